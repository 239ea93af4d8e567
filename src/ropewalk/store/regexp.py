"""Whether a text fits a regular expression, by an engine whose time grows with the text and never faster than that."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time

from ropewalk.errors import Invalid


def fits(expression: str, text: str | None) -> bool | None:
    """Say whether an expression is found in a text; None where there is none.

    It is Rust's engine, as polars has it: no expression makes it turn back, so that none keeps a server busy.

    Raises:
        Invalid: the engine does not take the expression.
    """
    import polars as pl

    if text is None:
        return None
    try:
        return bool(pl.Series([text], dtype=pl.String).str.contains(expression)[0])
    except pl.exceptions.ComputeError as error:
        raise Invalid(
            "filter-invalid",
            "The regular expression of the search is not understood.",
            where=expression[:80],
            why=" ".join(str(error).split())[-200:],
            fix="compare with LIKE or ILIKE: '%' stands for any letters, '_' for one",
        ) from error


def fits_until(
    over: Callable[[], bool], end: Callable[[], object], spent: Callable[[float], object]
) -> Callable[[str, str | None], bool | None]:
    """Return `fits` for SQLite's `x regexp y`, which counts its own steps and none of these.

    Args:
        over: says whether the running statement has had its time.
        end: ends it.
        spent: hears what another thread took beside ours: polars wakes one, which looks for work as long as we match.
    """

    def fits_in_time(expression: str, text: str | None) -> bool | None:
        if over():
            end()
            return None
        began = thread_time()
        try:
            return fits(expression, text)
        finally:
            spent(thread_time() - began)

    return fits_in_time
