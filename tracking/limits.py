"""What a sweep's trials may cost: limits on what is known before a trial trains."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """[limits]: a proposal outside them is never trained; the search is told that it violates a constraint.

    `max_macs` is of one image; `max_size_mb` of the weights' file, in 10^6 bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_speedup: float | None = Field(default=None, gt=0)
    min_mac_ratio: float | None = Field(default=None, gt=0)
    min_compression: float | None = Field(default=None, gt=0)
    max_macs: float | None = Field(default=None, gt=0)
    max_parameters: float | None = Field(default=None, gt=0)
    max_size_mb: float | None = Field(default=None, gt=0)

    def violations(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Limit → by which share of it the metrics lie outside; 0 or less is inside.

        Limits on metrics that are not among `metrics` are left out: the speed is known later than what is counted.
        """
        found = {}
        for name, (key, limit) in self._given().items():
            if key in metrics:
                outside = limit - metrics[key] if name.startswith("min_") else metrics[key] - limit
                found[name] = outside / limit
        return found

    def explain(self, metrics: Mapping[str, float]) -> str | None:
        """Which limit the metrics violate most, and by how much, in words; None where they violate none."""
        violations = self.violations(metrics)
        name = max(violations, key=lambda key: violations[key], default=None)
        if name is None or violations[name] <= 0:
            return None
        key, limit = self._given()[name]
        return f"{name} {limit:g}: {key} is {metrics[key]:.6g}, {violations[name]:.1%} outside"

    def _given(self) -> dict[str, tuple[str, float]]:
        """Each limit that is given: its metric, and its value in that metric's unit."""
        given = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                key = name.partition("_")[2]
                given[name] = ("size_bytes", value * 1e6) if key == "size_mb" else (key, value)
        return given
