"""Limits on the costs of a trial that are known before it trains."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """[limits]: a proposal outside them is never trained; the search is told that it violates a constraint.

    Attributes:
        min_speedup: least speedup over the dense network.
        min_mac_ratio: least dense multiply-adds / multiply-adds.
        min_compression: least dense bytes / bytes.
        max_macs: most multiply-adds of one image.
        max_parameters: most parameters.
        max_size_mb: largest weights' file, in 10^6 bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_speedup: float | None = Field(default=None, gt=0)
    min_mac_ratio: float | None = Field(default=None, gt=0)
    min_compression: float | None = Field(default=None, gt=0)
    max_macs: float | None = Field(default=None, gt=0)
    max_parameters: float | None = Field(default=None, gt=0)
    max_size_mb: float | None = Field(default=None, gt=0)

    def violations(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return, for each limit, by which share of it the metrics lie outside; 0 or less is inside.

        Limits on metrics that are not among `metrics` are left out: the speed is known later than what is counted.
        """
        violations = {}
        for name, (key, limit) in self._given().items():
            if key in metrics:
                outside = limit - metrics[key] if name.startswith("min_") else metrics[key] - limit
                violations[name] = outside / limit
        return violations

    def explain(self, metrics: Mapping[str, float]) -> str | None:
        """Say which limit the metrics violate most, and by how much; None where they violate none."""
        violations = self.violations(metrics)
        name = max(violations, key=lambda key: violations[key], default=None)
        if name is None or violations[name] <= 0:
            return None
        key, limit = self._given()[name]
        return f"{name} {limit:g}: {key} is {metrics[key]:.6g}, {violations[name]:.1%} outside"

    def _given(self) -> dict[str, tuple[str, float]]:
        """Return the metric of each limit that is set, and the limit in that metric's unit."""
        given = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                key = name.partition("_")[2]
                given[name] = ("size_bytes", value * 1e6) if key == "size_mb" else (key, value)
        return given
