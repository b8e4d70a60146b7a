"""The whole map as Ray tasks: kept group by group, gone on with, and clear about what failed."""

import re
import shutil
from pathlib import Path

import pytest
import ray
import torch

from search.build import build_groups, build_space
from search.config import SweepConfig, load_config
from search.errors import FailedError
from search.sensitivity import groups_to_measure, sensitivity_map
from tracking.sensitivity import SensitivityMap
from trainables.sensitivity import Probe, measure_group

pytestmark = pytest.mark.ray

PRESET = 'preset = "filters"'


@pytest.fixture(scope="module")
def local_ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def config(tiny_sweep: Path) -> SweepConfig:
    text = tiny_sweep.read_text().replace(PRESET, f'{PRESET}\nmethods = ["l1"]')
    tiny_sweep.write_text(text.replace("[sensitivity]", "[sensitivity]\nratios = [0.5]"))
    return load_config(tiny_sweep)


def make_map(config: SweepConfig, baselines: Path, notice) -> SensitivityMap:
    return sensitivity_map(config, build_space(config, build_groups(config)), baselines, notice)


def test_an_interrupted_map_measures_only_what_is_missing(local_ray, config, tiny_baseline, baselines):
    lines: list[str] = []
    of_other_sweeps = set(tiny_baseline.folder.glob("sensitivity-*"))
    first = make_map(config, baselines, lines.append)
    assert len(lines) == len(first.groups) == len(groups_to_measure(build_space(config, build_groups(config))))
    (folder,) = set(tiny_baseline.folder.glob("sensitivity-*")) - of_other_sweeps
    removed = first.groups[3].group
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / f"{removed}.json").unlink()
    lines.clear()
    assert make_map(config, baselines, lines.append) == first
    changed = [path.name for path in folder.iterdir() if path.stat().st_mtime_ns != times[path.name]]
    assert changed == [f"{removed}.json"]
    assert lines[0].endswith(f"{len(first.groups) - 1} of {len(first.groups)} groups were measured before")
    assert removed in lines[1]
    assert len(lines) == 2


def test_the_map_holds_what_each_group_measured_alone_gives(local_ray, config, tiny_settings, tiny_baseline, baselines):
    found = make_map(config, baselines, lambda line: None)
    probe = Probe(method="l1", ratios=(0.5,), quality="map")
    torch.set_num_threads(1)
    alone = measure_group(tiny_settings, tiny_baseline, found.groups[2].group, probe, torch.device("cpu"))
    assert found.groups[2] == alone
    assert 0 < found.dense <= 1
    assert found.dense_macs > alone.points[0].macs_saved > 0


def test_a_group_that_fails_is_an_error_of_one_line_that_names_it(local_ray, config, tiny_data, baselines, tmp_path):
    copied = tmp_path / "data"
    shutil.copytree(tiny_data, copied)
    image = next((copied / "val").rglob("*.jpg"))
    image.write_bytes(image.read_bytes()[:40])  # after the sweep's own check of all images
    data = config.data.model_copy(update={"root": copied})
    with pytest.raises(FailedError) as failed:
        make_map(config.model_copy(update={"data": data}), baselines, lambda line: None)
    message = str(failed.value)
    assert re.match(r"measuring the sensitivity of group 'backbone\.\S+' failed: 1 unreadable image", message)
    assert "\n" not in message
    assert image.name in message


def test_a_sweep_that_removes_no_channels_has_no_map(tiny_sweep, baselines):
    tiny_sweep.write_text(tiny_sweep.read_text().replace(PRESET, 'preset = "trained_pq"'))
    config = load_config(tiny_sweep)
    space = build_space(config, build_groups(config))
    assert groups_to_measure(space) == ()
    with pytest.raises(ValueError, match="removes channels"):
        sensitivity_map(config, space, baselines, lambda line: None)
