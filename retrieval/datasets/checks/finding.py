"""A fault of a data set, or a doubt about it, that shows before anything trains."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What is wrong with a data set, or may be.

    Attributes:
        text: one line: which set, what, how often, the likely cause.
        is_error: no figure measured with this set would mean anything; otherwise it is a warning.
    """

    text: str
    is_error: bool = False


def accept(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the warnings, a line each.

    Raises:
        ValueError: one is an error; one line, the first one and how many more there are.
    """
    errors = [finding.text for finding in findings if finding.is_error]
    if errors:
        more = f" (and {len(errors) - 1} more: `python -m search check-data` names each)" if len(errors) > 1 else ""
        raise ValueError(errors[0] + more)
    return tuple(finding.text for finding in findings)
