"""Composes the statements that fetch chosen metrics, parameters and tags of a page of runs at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ropewalk.console.words import number
from ropewalk.runs.fragments import Bound
from ropewalk.store.database import Reader

# What each scope's values are selected by; runs and keys are bound.
SELECTS = {
    "metrics": "select run, key, value, is_nan from latest where node = ''",
    "params": "select run, key, value, 0 as is_nan from run_params where node = ''",
    "tags": "select run, key, value, 0 as is_nan from run_tags where node = ''",
}
Values = dict[tuple[str, int, str], str]


def values_of(
    reader: Reader, numbers: Sequence[int], columns: Sequence[str], *, said: Callable[[object], str] = number
) -> Values:
    """Return values as text by scope, number of the run and key.

    Args:
        reader: where the rows are.
        numbers: of the runs.
        columns: such as `metrics.auc`; those of other scopes are left out.
        said: says a metric; to five digits where nothing else is asked.
    """
    found: Values = {}
    for scope, select in SELECTS.items():
        keys = [key for column in columns for word, _, key in [column.partition(".")] if word == scope]
        if not keys or not numbers:
            continue
        bound = Bound()
        sql = f"{select} and run in {bound.several(numbers)} and key in {bound.several(keys)}"
        for row in reader.composed(sql, bound.values):
            value = str(row["value"])
            if scope == "metrics":
                value = said(math.nan if row["is_nan"] else float(value))
            found[(scope, int(str(row["run"])), str(row["key"]))] = value
    return found
