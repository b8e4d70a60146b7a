import os
from collections.abc import Iterator

import pytest
import ray


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """Ray with one CPU, whose tasks can download nothing: where torch keeps downloads is no folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", os.devnull)
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()
