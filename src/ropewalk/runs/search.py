"""Finding runs: newest first, by a filter, in pages."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass

from ropewalk.errors import Invalid
from ropewalk.refs import canonical, digest_of
from ropewalk.runs import keep
from ropewalk.runs.filter import Clause, like, parse
from ropewalk.runs.keep import Point
from ropewalk.runs.run import Run, get
from ropewalk.store.database import Reader

COUNT_MAX = 1000
LAST = "~"  # sorts after every id


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs, newest first.

    Attributes:
        runs: at most as many as were asked for.
        token: given to the next search for the runs that follow; empty when there are none.
    """

    runs: tuple[Run, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run with what it logged.

    Attributes:
        run: the run.
        metrics: newest point of each metric.
        params: parameters by name; a name that several steps used is followed by ` [STEP]`.
        tags: tags by name, likewise.
    """

    run: Run
    metrics: tuple[Point, ...]
    params: dict[str, str]
    tags: dict[str, str]


def search(reader: Reader, text: str = "", *, count: int = 100, token: str = "") -> Page:
    """Return runs that a filter fits, newest first.

    A metric's clause looks at its newest point, in any step; NaN fits no comparison but `!=`. Where a run has no such
    metric, parameter or tag, no comparison with it holds.

    Args:
        reader: where the rows are.
        text: the filter; empty for all runs.
        count: how many at most, 1 to 1,000.
        token: of the page before, with the same filter.

    Raises:
        Invalid: the filter or the token is not understood.
    """
    clauses = parse(text)
    count = max(1, min(COUNT_MAX, count))
    before = _after(token, text)
    own = [clause for clause in clauses if clause.scope == "run"]
    logged = [clause for clause in clauses if clause.scope != "run"]
    found = _among(reader, logged, own, before, count) if logged else _paged(reader, own, before, count)
    more = len(found) > count
    return Page(runs=tuple(found[:count]), token=_token(found[count - 1].id, text) if more else "")


def _paged(reader: Reader, own: list[Clause], before: str, count: int) -> list[Run]:
    found: list[Run] = []
    while len(found) <= count:
        page = reader.all(Run, "runs.before", before=before, count=count + 1)
        found += [run for run in page if _fits(run, own)]
        if len(page) <= count:
            break
        before = page[-1].id
    return found


def _among(reader: Reader, logged: list[Clause], own: list[Clause], before: str, count: int) -> list[Run]:
    """Return runs that every clause on what was logged names, one more than is wanted."""
    ids = _ids(reader, logged[0])
    for clause in logged[1:]:
        ids &= _ids(reader, clause)
    found: list[Run] = []
    for run_id in sorted((run_id for run_id in ids if run_id < before), reverse=True):
        run = get(reader, run_id)
        if _fits(run, own):
            found.append(run)
        if len(found) > count:
            break
    return found


def _fits(run: Run, own: list[Clause]) -> bool:
    for clause in own:
        value = str(getattr(run, "commit_sha" if clause.key == "commit" else clause.key))
        wanted = str(clause.value)
        holds = like(wanted, value) if clause.op == "like" else (value == wanted) is (clause.op == "=")
        if not holds:
            return False
    return True


def _ids(reader: Reader, clause: Clause) -> set[str]:
    if clause.scope == "metric":
        low, high = _range(clause.op, float(clause.value))
        ids = {str(row["run_id"]) for row in reader.rows("runs.with_metric", key=clause.key, low=low, high=high)}
        if clause.op == "!=":
            return {str(row["run_id"]) for row in reader.rows("runs.with_any_metric", key=clause.key)} - ids
        return ids
    if clause.op == "=":
        text = canonical(clause.value).decode()
        rows = reader.rows("runs.with_value", kind=clause.scope, key=clause.key, value=text)
        return {str(row["run_id"]) for row in rows}
    rows = reader.rows("runs.with_any_value", kind=clause.scope, key=clause.key)
    pairs = ((str(row["run_id"]), str(json.loads(str(row["value"])))) for row in rows)
    wanted = str(clause.value)
    if clause.op == "like":
        return {run_id for run_id, value in pairs if like(wanted, value)}
    return {run_id for run_id, value in pairs if value != wanted}


def _range(op: str, value: float) -> tuple[float, float]:
    """Return the closed range of floats that a comparison names; for `!=` the range that it leaves out."""
    return {
        "=": (value, value),
        "!=": (value, value),
        "<": (-math.inf, math.nextafter(value, -math.inf)),
        "<=": (-math.inf, value),
        ">": (math.nextafter(value, math.inf), math.inf),
        ">=": (value, math.inf),
    }[op]


def _token(last: str, text: str) -> str:
    return base64.urlsafe_b64encode(canonical([last, digest_of(text.encode())])).decode()


def _after(token: str, text: str) -> str:
    if not token:
        return LAST
    try:
        last, digest = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise _bad_token("it is not one of ours") from error
    if digest != digest_of(text.encode()) or not isinstance(last, str):
        raise _bad_token("it belongs to another filter")
    return last


def _bad_token(why: str) -> Invalid:
    return Invalid("token-invalid", "The page token is not valid.", why=why, fix="search again without a token")


def summarize(reader: Reader, run: Run) -> Summary:
    """Return a run with what it logged."""
    return Summary(
        run=run,
        metrics=keep.metrics(reader, run.id),
        params=named(reader, run.id, "param"),
        tags=named(reader, run.id, "tag"),
    )


def named(reader: Reader, run_id: str, kind: str) -> dict[str, str]:
    """Return a run's parameters or tags by name; a name that several steps used is followed by ` [STEP]`."""
    facts = keep.facts(reader, run_id, kind)
    keys = [fact.key for fact in facts]
    return {
        fact.key if keys.count(fact.key) == 1 else f"{fact.key} [{fact.node}]": str(fact.content()) for fact in facts
    }
