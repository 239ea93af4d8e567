"""How a canary's evidence has grown, look by look: a few dozen points that stand in each decision, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ropewalk.releases.tally import Evidence
from ropewalk.releases.verdict import Verdict

# More points than can be told apart on a plot; from there on the one with the nearest neighbours is left out.
POINTS_MAX = 64


def extend(course: Sequence[dict[str, Any]], evidence: Evidence, judged: Verdict) -> list[dict[str, Any]]:
    """Return the course with a look at its end; a look at no more rows and labels takes the place of the one before.

    Args:
        course: points as this function makes them, oldest first.
        evidence: what was looked at.
        judged: what the judge said of it.

    Returns:
        JSON-able points: `rows` of the candidate, `e_value` of all signals, and for each signal what it read, the ends
        of the interval that is valid at every look, its own e-value, and the increase that was allowed.
    """
    point: dict[str, Any] = {
        "rows": evidence.total("errors", "canary")[1],
        "e_value": judged.e_value,
        "signals": {
            one.name: {
                "reading": one.reading,
                "low": one.low,
                "high": one.high,
                "e_value": one.e_value,
                "allowed": one.allowed,
            }
            for one in judged.signals
            if one.says != "waiting"
        },
    }
    before = list(course)
    if before and before[-1]["rows"] == point["rows"]:
        before.pop()
    grown = [*before, point]
    if len(grown) > POINTS_MAX:
        del grown[min(range(1, len(grown) - 1), key=lambda at: grown[at + 1]["rows"] - grown[at - 1]["rows"])]
    return grown
