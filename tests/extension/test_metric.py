"""What CONTRIBUTING says of a new metric, done in a copy of the tree: its function and its row are enough."""

from pathlib import Path

HERE = Path(__file__).parent
RECORD = "tracking/record.py"


def test_a_metric_is_its_function_and_its_row(copy, tiny_sweep, tiny_settings, tiny_baseline, tmp_path):
    row = (HERE / "metric_row.txt").read_text()
    copy.insert(RECORD, before='}\n"""Every metric by its key', line=row)
    # record.py has the import already.
    function = (HERE / "metric_function.py").read_text().partition("\n\n\n")[2]
    copy.insert(RECORD, before="METRICS: dict", line=f"{function}\n\n")
    said = copy.run(HERE / "metric_check.py", tiny_sweep, tiny_baseline.folder.parent, tmp_path)
    assert said == "parameter_ratio is reported\n"
