"""The check of a sweep's data before anything trains: every image is read, every ground truth is judged."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from retrieval.datasets.checks.finding import accept
from retrieval.evaluation.chance import chance_scores
from search.terminal import progress_bar, say
from tracking.format_version import JsonFormat
from trainables.data import SweepData, check_images, judge_data


class DataReport(BaseModel, frozen=True, extra="forbid"):
    """What was found out about the data of a sweep.

    Attributes:
        images: how many were read.
        warnings: doubts about the ground truth, a line each.
        chance: what a random order of the validation images scores, by the keys of a trial's metrics.
    """

    images: int
    warnings: tuple[str, ...]
    chance: dict[str, float]


DATA_REPORT_JSON = JsonFormat("a report on checked data", DataReport)


@dataclass(frozen=True)
class CheckedData:
    """Data that a sweep may use.

    Attributes:
        fingerprint: of the data.
        report: what was found out about it.
        file: where the report is kept, for every sweep over the same data.
    """

    fingerprint: str
    report: DataReport
    file: Path

    def keep(self) -> None:
        """Write the report, so that the images are not read again."""
        DATA_REPORT_JSON.write(self.file, self.report)


def check_data(data: SweepData, baselines: Path, console: Console) -> CheckedData:
    """Read every image and judge the ground truth, unless that was done before; say what was found.

    Args:
        data: of the sweep.
        baselines: below it the reports are kept, in `checked/`.
        console: shows progress and warnings.

    Raises:
        UnreadableImagesError: names and counts every unreadable image.
        ValueError: figures measured with this data would mean nothing; one line.
    """
    fingerprint = data.fingerprint
    file = baselines / "checked" / f"{fingerprint}.json"
    if file.is_file():
        report = DATA_REPORT_JSON.read(file)
        say(console, "every image was read before: all are sound")
    else:
        # What only lists tell is said first: to read all images takes minutes.
        warnings = check_ground_truth(data)
        with progress_bar(console, "reading every image once") as show:
            images = check_images(data.images, show)
        report = DataReport(images=images, warnings=warnings, chance=chance_scores(data.select_on))
        say(console, f"{images} images read: all are sound")
    for key, each in (("train", data.train), ("select_on", data.select_on), ("report_on", data.report_on)):
        if each.left_out:
            say(console, f"{key}: {each.left_out}")
    for warning in report.warnings:
        say(console, f"warning: {warning}")
    return CheckedData(fingerprint, report, file)


def check_ground_truth(data: SweepData) -> tuple[str, ...]:
    """Return a line for each doubt about the ground truth of a sweep's data.

    Raises:
        ValueError: figures measured with this data would mean nothing; one line.
    """
    return accept(judge_data(data))
