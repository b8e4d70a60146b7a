"""Write the files of a front and of a sensitivity map: data, page and picture.

The JSON comes last: whoever waits for it finds the others there.
"""

import io
from pathlib import Path
from typing import Any

from tracking.files import write_atomically
from tracking.front import FRONT_JSON, Front, FrontPoint
from tracking.sensitivity import SENSITIVITY_JSON, SensitivityMap

FRONT_FILES = ("front.html", "front.json", "front.parquet", "front.png")
SENSITIVITY_FILES = ("sensitivity.html", "sensitivity.json", "sensitivity.png")


def write_front(front: Front, folder: Path) -> None:
    """Write `FRONT_FILES` into `folder`, each atomically."""
    # A late import, for start-up: plotly and matplotlib take seconds, which a sweep needs at its end alone.
    from tracking.charts.front_figures import front_html, front_png

    write_atomically(folder / "front.parquet", _parquet(front))
    write_atomically(folder / "front.html", front_html(front))
    write_atomically(folder / "front.png", front_png(front))
    FRONT_JSON.write(folder / "front.json", front)


def write_sensitivity(sensitivity: SensitivityMap, folder: Path) -> None:
    """Write `SENSITIVITY_FILES` into `folder`, each atomically."""
    # A late import, for start-up: see `write_front`.
    from tracking.charts.heatmap import heatmap_html, heatmap_png

    write_atomically(folder / "sensitivity.html", heatmap_html(sensitivity))
    write_atomically(folder / "sensitivity.png", heatmap_png(sensitivity))
    SENSITIVITY_JSON.write(folder / "sensitivity.json", sensitivity)


def _parquet(front: Front) -> bytes:
    """Return one row a trial, in flat columns; the schema's metadata "prunefront" hold the front without its trials."""
    # A late import, for start-up: pyarrow is needed here alone.
    import pyarrow
    from pyarrow import parquet

    rows = [_row(point) for point in front.points]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    table = table.replace_schema_metadata({"prunefront": front.model_dump_json(exclude={"points"})})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _row(point: FrontPoint) -> dict[str, Any]:
    schedule = point.schedule.model_dump(exclude={"ratios": True, "quantization": {"group_bits"}})
    stages = {stage: schedule.pop(stage) or {} for stage in ("sparsity", "quantization")}
    bits = point.schedule.quantization.group_bits if point.schedule.quantization else {}
    return {
        "trial": point.number,
        "on_front": point.on_front,
        **schedule.pop("hyperparameters", {}),
        **schedule,
        **{f"{stage}.{key}": value for stage, entries in stages.items() for key, value in entries.items()},
        **point.metrics,
        **{f"ratio.{row.group}": row.asked_ratio for row in point.ledger},
        **{f"width.{row.group}": row.achieved_width for row in point.ledger},
        **{f"macs_saved.{row.group}": row.macs_saved for row in point.ledger},
        **{f"bits.{group}": count for group, count in bits.items()},
        "schedule": point.schedule.model_dump_json(),
    }
