"""After the search: the front measured again with nothing else running, and scored once on the test queries."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import ray

from search.config import SweepConfig
from search.tasks import measure_member, score_member
from tracking.files import write_atomically
from tracking.front import Front, build_front
from tracking.record import TrialRecord
from trainables.folder import TrialFolder
from trainables.meter import MeterClient


def final_front(
    config: SweepConfig,
    storage: Path,
    baselines: Path,
    records: Sequence[TrialRecord],
    dense: dict[str, float],
    meter: MeterClient,
    notice: Callable[[str], None],
) -> Front:
    """The front of the finished trials, its members measured in quiet and scored on the test queries.

    A speed measured during the search had company; measuring a member again may move it behind another trial, which
    is then measured too, until every member is. The figures are kept beside each trial's record: asked again, nothing
    is measured twice.
    """

    def build() -> Front:
        merged = [with_finals(record, storage) for record in records]
        return build_front(config.name, merged, dense, config.search.objectives)

    front = build()
    while missing := [p.number for p in front.members() if not _finals_path(storage, p.number).is_file()]:
        for number in missing:
            notice(f"measuring trial {number} of the front again, alone, and scoring it on the test queries")
            _measure(config, storage, baselines, number, meter)
        front = build()
    return front


def _measure(config: SweepConfig, storage: Path, baselines: Path, number: int, meter: MeterClient) -> None:
    settings = config.trial_settings
    resources = {"num_cpus": config.resources.cpus, "num_gpus": config.resources.gpus}
    # One after the other: while the speed is measured nothing else may run.
    test = ray.get(score_member.options(**resources).remote(settings, baselines, storage, number))
    speed = ray.get(measure_member.remote(settings, baselines, storage, number, meter))
    write_atomically(_finals_path(storage, number), json.dumps({**vars(speed), **test}, indent=2))


def _finals_path(storage: Path, number: int) -> Path:
    return TrialFolder(storage, number).path / "finals.json"


def with_finals(record: TrialRecord, storage: Path) -> TrialRecord:
    """The record with what was measured after the search in place of what was measured during it."""
    path = _finals_path(storage, record.number)
    if not path.is_file():
        return record
    return record.model_copy(update={"metrics": {**record.metrics, **json.loads(path.read_text())}})
