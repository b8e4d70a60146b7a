"""What a bundle's card says; the rest is tests/flow's."""

import pytest

from search.results.export import NETWORK_JSON, NetworkCard
from trainables.settings import DataSettings, DescriptorSettings, EvaluationSettings, NetworkSettings


def _card(tmp_path, **keys) -> NetworkCard:
    return NetworkCard(
        network=NetworkSettings(name="mini_resnet"),
        classes=2,
        descriptor=DescriptorSettings(),
        data=DataSettings(root=tmp_path, image_size=64, **keys),
        evaluation=EvaluationSettings(),
    )


@pytest.mark.parametrize("treatment", ["apply", "ignore"])
def test_test_images_are_scored_again_as_they_were_read_at_the_export(tmp_path, treatment):
    (tmp_path / "network.json").write_text(NETWORK_JSON.dump(_card(tmp_path, exif_orientation=treatment)))
    card = NETWORK_JSON.read(tmp_path / "network.json")
    assert card.scored_data() == card.data
    moved = card.scored_data(tmp_path / "moved")
    assert (moved.exif_orientation, moved.root) == (treatment, tmp_path / "moved")


def test_a_bundle_from_before_orientations_were_applied_is_scored_without_turning(tmp_path):
    assert _card(tmp_path).scored_data().exif_orientation == "ignore"
