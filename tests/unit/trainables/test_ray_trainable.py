from pathlib import Path

import pytest

from retrieval.images import UnreadableImagesError
from trainables.folder import LeaseLostError
from trainables.ray_trainable import is_own_fault


@pytest.mark.parametrize(
    ("error", "own"),
    [
        (FloatingPointError("training diverged"), True),
        (ValueError("a ratio that cannot be"), True),
        (UnreadableImagesError([Path("a.jpg")]), False),
        (FileNotFoundError("no trained baseline"), False),
        (RuntimeError("CUDA out of memory"), False),
        (LeaseLostError("held by another"), False),
    ],
)
def test_only_errors_of_the_trial_itself_are_not_tried_again(error, own):
    assert is_own_fault(error) is own
