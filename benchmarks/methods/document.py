"""docs/results/methods.md from the results of `benchmarks.methods`: tables, picture, and the figures of both."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib as mpl

from benchmarks.methods.cases import EPOCHS, PENALTY, TARGETS
from pruning.methods.registry import METHODS
from tracking.files import write_atomically

Result = Mapping[str, Any]
MEGABYTE = 1e6
BY_HAND = "<!-- by hand from here -->"
_COLUMNS = ("bits", "grid", "threshold", "pruned", "mAP drop", "MB on disk", "MB by formula", "bytes ÷")


def write_document(runs: Path, seeds: Sequence[int], docs: Path) -> None:
    """Write the document anew, but for what was written by hand at its end; results of all seeds must be there."""
    folder = docs / "results"
    document = folder / "methods.md"
    text = document.read_text() if document.is_file() else BY_HAND
    results = [_read(path, seed) for seed in seeds for path in sorted((runs / "results" / str(seed)).glob("*.json"))]
    dense = {result["seed"]: result for result in results if result["name"] == "dense"}
    order = [*METHODS, "l1 + trained_pq", "dense, trained on"]
    trials = sorted((r for r in results if r["name"] != "dense"), key=lambda trial: order.index(trial["method"]))
    lines = [
        *_head(trials, dense),
        *_by_method(trials, dense),
        *_paired(trials),
        *_by_bits(trials, dense),
        BY_HAND + text.partition(BY_HAND)[2],
    ]
    write_atomically(document, "\n".join(lines).rstrip() + "\n")
    write_atomically(folder / "methods.json", json.dumps(results, separators=(",", ":")))
    draw(trials, dense, docs / "pictures" / "methods.png")


def show(values: Iterable[float], form: str = "{:.1f}", scale: float = 100) -> str:
    """Mean ± sample standard deviation; values scaled, percent unless told otherwise."""
    scaled = [scale * value for value in values]
    spread = stdev(scaled) if len(scaled) > 1 else 0.0
    return f"{form.format(mean(scaled))} ± {form.format(spread)}"


def draw(trials: Sequence[Result], dense: Mapping[int, Result], picture: Path) -> None:
    """Test mAP over the share of multiply-adds that is left, a line a method, bars for the spread over seeds."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    reference = mean(result["metrics"]["test_map"] for result in dense.values())
    axes.axhline(100 * reference, color="grey", linestyle=":", label="dense")
    groups = _grouped([trial for trial in trials if trial["target"] in TARGETS], lambda trial: trial["method"])
    for method, of_method in groups.items():
        by_target = _grouped(of_method, lambda trial: trial["target"])
        ratios = [mean(_metric(of_target, "mac_ratio")) for of_target in by_target.values()]
        maps = [[100 * value for value in _metric(of_target, "test_map")] for of_target in by_target.values()]
        spreads = [stdev(values) if len(values) > 1 else 0.0 for values in maps]
        line = "-" if method in ("plfp", "l1", "sfp", "fpgm") else "--"
        axes.errorbar(
            ratios, [mean(values) for values in maps], yerr=spreads, marker="o", capsize=3, linestyle=line, label=method
        )
    axes.set(xscale="log", xlabel="multiply-adds, dense / pruned", ylabel="test mAP (%)")
    axes.set_xticks(TARGETS, [f"÷{target}" for target in TARGETS])
    axes.minorticks_off()
    axes.legend(ncols=2)
    axes.grid(alpha=0.3)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _read(path: Path, seed: int) -> dict[str, Any]:
    return {"name": path.stem, "seed": seed, "target": None, "bits": None, **json.loads(path.read_text())}


def _head(trials: Sequence[Result], dense: Mapping[int, Result]) -> list[str]:
    origin = trials[0]["provenance"]
    commits = sorted({trial["provenance"]["git_commit"].partition("-")[0][:12] for trial in trials})
    return [
        "# The methods beside each other",
        "",
        f"Miniature benchmark, mini_resnet, seeds {', '.join(map(str, dense))} (each draws its own places and trains",
        f"its own dense network); every trial trains {EPOCHS} epochs. Test mAP in percent, mean ± standard deviation",
        "over the seeds. Nothing was selected by these figures: one schedule a method, with the papers' defaults.",
        "Channels are removed at one ratio in all groups, so all methods in a column have the same widths and the same",
        "multiply-adds.",
        "",
        "Written by `python -m benchmarks.methods` (`make bench-methods`) from `methods.json` beside this file; "
        f"commit {', '.join(f'`{commit}`' for commit in commits)}, {origin['cpu']}, one thread a trial, "
        f"torch {origin['torch']}, {origin['time_utc'][:10]}.",
        "",
        "![Test mAP over multiply-adds](../pictures/methods.png)",
        "",
    ]


def _by_method(trials: Sequence[Result], dense: Mapping[int, Result]) -> list[str]:
    structured = [trial for trial in trials if trial["target"] in TARGETS]
    by_target = _grouped(structured, lambda trial: trial["target"])
    ratios = {target: mean(_metric(of_target, "mac_ratio")) for target, of_target in by_target.items()}
    trained_on = [trial for trial in trials if trial["target"] == 1]
    lines = [
        "## At equal multiply-adds",
        "",
        f"Dense: {show(_metric(dense.values(), 'test_map'))}. "
        f"Dense, trained on for the same epochs: {show(_metric(trained_on, 'test_map'))}.",
        "",
        "| method | " + " | ".join(f"÷{target} ({ratios[target]:.2f})" for target in TARGETS) + " |",
        "|---|" + "---|" * len(TARGETS),
    ]
    for method, of_method in _grouped(structured, lambda trial: trial["method"]).items():
        cells = _grouped(of_method, lambda trial: trial["target"])
        lines.append(
            f"| {method} | " + " | ".join(show(_metric(cells[target], "test_map")) for target in TARGETS) + " |"
        )
    return [*lines, ""]


def _paired(trials: Sequence[Result]) -> list[str]:
    """Differences to plfp on the same places from the same dense network: the seeds' own spread cancels."""
    maps = {(t["method"], t["target"], t["seed"]): t["metrics"]["test_map"] for t in trials if t["target"] in TARGETS}
    seeds = sorted({seed for _, _, seed in maps})
    lines = [
        "plfp minus each of the others, paired by seed, in points of test mAP (above 0: plfp is better):",
        "",
        "| plfp minus | " + " | ".join(f"÷{target}" for target in TARGETS) + " |",
        "|---|" + "---|" * len(TARGETS),
    ]
    for method in dict.fromkeys(method for method, _, _ in maps if method != "plfp"):
        cells = [[maps["plfp", target, seed] - maps[method, target, seed] for seed in seeds] for target in TARGETS]
        lines.append(f"| {method} | " + " | ".join(show(cell, "{:+.1f}").replace("± +", "± ") for cell in cells) + " |")
    return [*lines, ""]


def _by_bits(trials: Sequence[Result], dense: Mapping[int, Result]) -> list[str]:
    reference = {seed: result["metrics"]["test_map"] for seed, result in dense.items()}
    size = mean(_metric(dense.values(), "size_bytes")) / MEGABYTE
    lines = [
        "## Trained pruning + quantization",
        "",
        f"In the shape of Saha et al.'s table. The dense file has {size:.2f} MB. One threshold for all layers, the",
        f"25, 50, 70, 75 or 85 % quantile of the dense weights; penalty {PENALTY:g}, two rounds, then one codebook a",
        "layer (`uniform`: one grid a channel); Huffman-coded. The drop is from the dense network of the same seed, in",
        "points (below 0: better than dense). The formula is the papers', without positions and codebooks.",
    ]
    for title, method in (("", "trained_pq"), ("As the last stage after l1 at ÷4:", "l1 + trained_pq")):
        lines += ["", *([title, ""] if title else []), f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
        of_method = [trial for trial in trials if trial["method"] == method]
        ordered = sorted(of_method, key=lambda trial: (-trial["bits"], trial["grid"], mean_pruned(of_method, trial)))
        for cell in _grouped(ordered, lambda trial: trial["name"]).values():
            drops = [reference[trial["seed"]] - trial["metrics"]["test_map"] for trial in cell]
            row = (
                str(cell[0]["bits"]),
                cell[0]["grid"],
                _threshold(cell),
                show(_metric(cell, "pruned_weights")) + " %",
                show(drops),
                show(_metric(cell, "size_bytes"), "{:.3f}", 1 / MEGABYTE),
                show(_metric(cell, "size_formula_bytes"), "{:.3f}", 1 / MEGABYTE),
                show(_metric(cell, "compression"), "{:.1f}", 1),
            )
            lines.append(f"| {' | '.join(row)} |")
    return [*lines, ""]


def mean_pruned(trials: Sequence[Result], trial: Result) -> float:
    """The share that trials of this name prune on average: what rows are ordered by."""
    return mean(_metric([other for other in trials if other["name"] == trial["name"]], "pruned_weights"))


def _threshold(trials: Sequence[Result]) -> str:
    thresholds = [trial["schedule"]["sparsity"]["threshold"] for trial in trials]
    return "a share" if None in thresholds else f"{mean(thresholds):.4f}"


def _metric(results: Iterable[Result], key: str) -> list[float]:
    return [result["metrics"][key] for result in results]


def _grouped(results: Iterable[Result], key: Callable[[Result], Any]) -> dict[Any, list[Result]]:
    groups = defaultdict(list)
    for result in results:
        groups[key(result)].append(result)
    return dict(groups)
