"""What CONTRIBUTING says of a new loss, done in a copy of the tree: its file and its row are all that it takes."""

from pathlib import Path

HERE = Path(__file__).parent
REGISTRY = "retrieval/training/losses/registry.py"


def test_a_loss_is_its_file_and_its_row(copy, tmp_path) -> None:
    copy.add("neighbours_loss.py", to="retrieval/training/losses/neighbours.py")
    its_import = "from retrieval.training.losses.neighbours import NEIGHBOURS\n"
    copy.insert(REGISTRY, before="from retrieval.training.losses.reid import REID\n", line=its_import)
    copy.insert(REGISTRY, before='    "reid": REID,\n', line='    "neighbours": NEIGHBOURS,\n')
    assert copy.run(HERE / "loss_check.py", tmp_path / "data").splitlines() == [
        "Input should be greater than 0",
        "Value error, margin is 0.5, but neighbours takes only temperature, classes_per_batch, images_per_class",
        "True",
        "False",
        "True",
    ]
