"""What CONTRIBUTING says of a new data set format, done in a copy of the tree: its file is all that it takes."""

from pathlib import Path

HERE = Path(__file__).parent


def test_a_format_is_its_file(copy) -> None:
    copy.add("label_csv_format.py", to="retrieval/datasets/formats/label_csv.py")
    assert copy.run(HERE / "format_check.py").splitlines() == [
        "oxford gnd market1501 msmt17 dbstruct utm sfm manifest label_csv folders",
        "label_csv",
        "[3]",
        "('rose', 'tulip')",
        "flowers: Flowers, labels in a CSV file (labels.csv), {'images': 4, 'labels': 2}",
        "flowers: Flowers, labels in a CSV file (labels.csv), {'images': 4, 'queries': 4, 'positives': 4, 'junk': 4}",
        "4 {}",
    ]
