"""The verification of a bundle from its files alone: whether it still gives the results that it was exported with."""

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from pruning.coding.packing import unpack
from pruning.schedule import Schedule
from pruning.surgery import plan_from_json
from retrieval.descriptors.extract import Describe, describe_with
from retrieval.evaluation.evaluate import evaluate
from retrieval.networks.weights import check_finite
from retrieval.runtime.onnx_model import describe_in, open_session
from search.errors import BadInputError, FailedError, input_is_checked
from search.results.export import CHECKSUMS, NETWORK_JSON, NetworkCard, contents_of
from tracking.format_version import VERSION_KEY, check_version
from trainables.baseline import build_dense
from trainables.data import open_data
from trainables.folder import PACKED, PLAIN
from trainables.settings import traced_size
from trainables.threads import available_threads
from trainables.trial import replay

DESCRIPTOR_TOLERANCE = 1e-5
MAP_TOLERANCE = 0.005
_ROUNDING_SLACK = 4


class BundleBrokenError(FailedError):
    """The bundle does not give the results that it states; the message names the file, or both numbers."""


@dataclass(frozen=True)
class Check:
    """One check that a bundle has passed.

    Attributes:
        name: what was checked.
        figures: the result in words, with its figures.
    """

    name: str
    figures: str


def verify(bundle: Path, data: Path | None = None) -> Iterator[Check]:
    """Yield each check as it passes.

    Args:
        bundle: a folder that `export` wrote.
        data: where the data set lies, if it was moved since the export.

    Raises:
        BundleBrokenError: a check does not pass.
        BadInputError: the folder is no bundle or one of an unknown format version, or the data set is missing.
    """
    if not (bundle / CHECKSUMS).is_file():
        raise BadInputError(f"{bundle} is no bundle: it has no {CHECKSUMS}")
    _check_format(bundle)
    yield _check_sums(bundle)
    card = NETWORK_JSON.read(bundle / "network.json")
    if PACKED in contents_of(_schedule(bundle)):
        yield _check_packed(bundle)
    yield _check_descriptors(bundle, _rebuild(bundle, card), traced_size(card.data.image_size))
    yield _check_map(bundle, card, data)


def _check_format(bundle: Path) -> None:
    """Refuse a bundle of a format version that is not known, before its files are compared with what is known."""
    path = bundle / "network.json"
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return  # missing or damaged: the checksums tell
    if isinstance(fields, dict):
        with input_is_checked():
            check_version(fields.get(VERSION_KEY, 1), path, NETWORK_JSON.name, NETWORK_JSON.version)


def _check_sums(bundle: Path) -> Check:
    lines = (bundle / CHECKSUMS).read_text(errors="replace").splitlines()
    # Compared with the names that export writes: a line that was removed, or names another file, is noticed.
    expected = {name: noted for noted, _, name in (line.partition("  ") for line in lines)}
    contents = contents_of(_schedule(bundle))
    if set(expected) != set(contents):
        raise BundleBrokenError(f"{CHECKSUMS} was changed: it must name {', '.join(contents)}")
    for name in contents:
        if not (bundle / name).is_file():
            raise BundleBrokenError(f"{name} is missing")
        digest = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        if digest != expected[name]:
            raise BundleBrokenError(f"{name} was changed: its SHA-256 is {digest[:12]}…, not {expected[name][:12]}…")
    return Check("checksums", f"{len(contents)} files as exported")


def _schedule(bundle: Path) -> Schedule:
    """Return what the trial did, on which the list of files depends."""
    try:
        return Schedule.model_validate_json((bundle / "schedule.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BundleBrokenError("schedule.json is missing, or no schedule any more") from error


def _check_packed(bundle: Path) -> Check:
    try:
        unpacked = unpack((bundle / PACKED).read_bytes())
    except ValueError as error:
        raise BundleBrokenError(f"{PACKED} cannot be read: {error}") from error
    plain = safetensors.torch.load_file(bundle / PLAIN)
    different = [name for name in plain if name not in unpacked or not torch.equal(plain[name], unpacked[name])]
    if different or len(plain) != len(unpacked):
        raise BundleBrokenError(f"{PACKED} and {PLAIN} do not hold the same weights: {', '.join(different[:3])}")
    size, plain_size = ((bundle / name).stat().st_size for name in (PACKED, PLAIN))
    return Check("packed weights", f"{size:,} bytes unpack to the {plain_size:,} of {PLAIN}, equal to the bit")


def _rebuild(bundle: Path, card: NetworkCard) -> nn.Module:
    plan = plan_from_json((bundle / "plan.json").read_text())
    weights = safetensors.torch.load_file(bundle / PLAIN)
    with input_is_checked():
        check_finite(weights, bundle / PLAIN)
    return replay(build_dense(card.network, card.classes).eval(), plan, weights, card.data.image_size, card.descriptor)


def _check_descriptors(bundle: Path, network: nn.Module, size: tuple[int, int]) -> Check:
    """Compare ONNX Runtime with torch on random images at three sizes, one of them not square."""
    describe_onnx = describe_in(open_session(bundle / "model.onnx"))
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    height, width = size
    sizes = [(height, width), (height * 3 // 2, width), (height, width * 2)]
    for height, width in sizes:
        images_NCHW = torch.randn(2, 3, height, width, generator=generator)
        difference, allowed = compare_descriptors(describe_onnx, network, images_NCHW)
        if not difference <= allowed:
            raise BundleBrokenError(
                f"model.onnx and weights.safetensors differ by {difference:.2e} on {height}×{width} images "
                f"(at most {allowed:.0e} would be right)"
            )
        worst = max(worst, difference)
    shown = ", ".join(f"{height}×{width}" for height, width in sizes)
    return Check("descriptors", f"ONNX Runtime and torch differ by at most {worst:.1e} at {shown}")


def compare_descriptors(describe: Describe, network: nn.Module, images_NCHW: Tensor) -> tuple[float, float]:
    """Return the largest difference from the network's descriptors, and how large it may be.

    Both compute in float32. Whitening, and the roots of a mean over scales, magnify rounding errors: the difference may
    be `DESCRIPTOR_TOLERANCE`, or a few times the difference between torch's float32 and float64, if that is more.

    Args:
        describe: the exported network, in ONNX Runtime.
        network: the same network in torch.
        images_NCHW: to describe.
    """
    onnx_ND = describe(images_NCHW)
    single_ND = describe_with(network, torch.device("cpu"))(images_NCHW)
    with torch.inference_mode():
        double_ND = deepcopy(network).double()(images_NCHW.double()).numpy()
    own_error = float(np.abs(single_ND - double_ND).max())
    return float(np.abs(onnx_ND - single_ND).max()), max(DESCRIPTOR_TOLERANCE, _ROUNDING_SLACK * own_error)


def _check_map(bundle: Path, card: NetworkCard, data: Path | None) -> Check:
    with input_is_checked():
        sets = open_data(card.scored_data(data))
    expected: float = json.loads((bundle / "metrics.json").read_text())["test_map"]
    session = open_session(bundle / "model.onnx", threads=available_threads())
    batch_size, index = card.evaluation.batch_size, card.evaluation.index
    reader = sets.reader_of(sets.report_on)
    measured = evaluate(describe_in(session), sets.report_on, reader, batch_size=batch_size, index=index).map
    if not abs(measured - expected) <= MAP_TOLERANCE:
        raise BundleBrokenError(
            f"test mAP is {measured:.4f}, the bundle says {expected:.4f}: they differ by more than {MAP_TOLERANCE}"
        )
    return Check("test mAP", f"{measured:.4f} in ONNX Runtime, {expected:.4f} when exported")
