"""The final evaluation of a sweep: the front measured again with nothing else running, and scored on test queries."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel

from search.config import SweepConfig
from search.driver.results import result_of, task_errors_in_one_line
from search.driver.tasks import measure_member, score_member
from search.driver.waiting import wait_with_progress
from tracking.format_version import JsonFormat
from tracking.front import Front, build_front
from tracking.record import BORDER, TrialRecord
from trainables.data import open_data
from trainables.folder import TrialFolder
from trainables.speed.latency_cache import LatencyMeter

Shape = tuple[int, ...]


class FinalMetrics(BaseModel):
    """finals.json: what was measured of one trial after the search.

    Attributes:
        speed: the metrics of its speed, measured with nothing else running.
        test: its metrics on the test queries.
    """

    model_config = BORDER

    speed: dict[str, float]
    test: dict[str, float]


FINALS_JSON = JsonFormat("a trial's final metrics", FinalMetrics)


@dataclass(frozen=True)
class FinalEvaluation:
    """The final measurements of one sweep, each written to disk as soon as it is made.

    A speed belongs to a shape, the test metrics to a trial: trials of equal widths are equally fast, and the noise of
    two measurements must not decide which of them is on the front.

    Attributes:
        config: of the sweep.
        storage: the sweep's folder.
        baselines: where its dense network is kept.
        meter: measures speeds.
    """

    config: SweepConfig
    storage: Path
    baselines: Path
    meter: LatencyMeter

    def front(self, records: Sequence[TrialRecord], dense: dict[str, float], notice: Callable[[str], None]) -> Front:
        """Return the front of the finished trials, its members measured alone and scored on the test queries.

        During the search other trials ran beside each measurement. A member's new speed may move it behind another
        trial, which is then measured too, until every member is. A second call measures nothing again.

        Args:
            records: of all trials.
            dense: the dense network's metrics.
            notice: called with a line for each measurement.
        """
        by_number = {record.number: record for record in records}
        while True:
            search = self.config.search
            merged = self.merged(records)
            front = build_front(self.config.name, merged, dense, search.objectives, reference=search.reference)
            missing = [point.number for point in front.members() if not self._path(point.number).is_file()]
            if not missing:
                return front
            for number in missing:
                notice(f"measuring trial {number} of the front again, alone, and scoring it on the test queries")
                self._measure(by_number[number], records, notice)

    def merged(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Return the records, with the final measurements in place of those made during the search."""
        speeds = self._speeds(records)
        merged = []
        for record in records:
            final = self._read(record.number)
            metrics = {**record.metrics, **speeds.get(shape_of(record), {}), **(final.test if final else {})}
            merged.append(record.model_copy(update={"metrics": metrics}))
        return merged

    def _measure(self, record: TrialRecord, records: Sequence[TrialRecord], notice: Callable[[str], None]) -> None:
        settings, number = self.config.trial_settings, record.number
        options = self.config.resources.task_options
        # One after the other: nothing else may run while the speed is measured.
        scored = score_member.options(**options).remote(settings, self.baselines, self.storage, number)
        images = len(open_data(settings.data).report_on.images)
        with task_errors_in_one_line(f"scoring trial {number}", self.storage):
            test = wait_with_progress(scored, TrialFolder(self.storage, number).path, images, notice)
        speed = self._speeds(records).get(shape_of(record))
        if speed is None:
            task = measure_member.remote(settings, self.baselines, self.storage, number, self.meter)
            speed = asdict(result_of(task, f"measuring the speed of trial {number}", self.storage))
        FINALS_JSON.write(self._path(number), FinalMetrics(speed=speed, test=test))

    def _speeds(self, records: Sequence[TrialRecord]) -> dict[Shape, dict[str, float]]:
        finals = ((shape_of(record), self._read(record.number)) for record in records)
        return {shape: final.speed for shape, final in finals if final is not None}

    def _read(self, number: int) -> FinalMetrics | None:
        path = self._path(number)
        return FINALS_JSON.read(path) if path.is_file() else None

    def _path(self, number: int) -> Path:
        return TrialFolder(self.storage, number).path / "finals.json"


def shape_of(record: TrialRecord) -> Shape:
    """Return the width of every group: trials with equal widths run the same network with other weights."""
    return tuple(row.achieved_width for row in record.ledger)
