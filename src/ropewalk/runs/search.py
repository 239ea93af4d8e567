"""Finding runs: by a filter, in an order, in pages; newest first where nothing else is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.runs import keep, paging
from ropewalk.runs.clauses import keys_of
from ropewalk.runs.compile import VIEWS, Wish, pick, rows_of
from ropewalk.runs.experiments import parse_id
from ropewalk.runs.grammar import parse, parse_order
from ropewalk.runs.keep import Point
from ropewalk.runs.run import Run
from ropewalk.runs.vocabulary import RUNS
from ropewalk.store.database import Reader, Row

COUNT_MAX = 50_000
EXPERIMENTS_MAX = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs, in order.

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
        tags: tags by name, likewise; MLflow's own, which begin with `mlflow.`, are left out.
    """

    run: Run
    metrics: tuple[Point, ...]
    params: dict[str, str]
    tags: dict[str, str]


def search(
    reader: Reader,
    text: str = "",
    *,
    experiments: Iterable[object] | None = None,
    orders: Sequence[str] = (),
    view: str = "active",
    count: int = 100,
    token: str = "",
) -> Page:
    """Return runs that a filter fits.

    A metric's clause looks at its newest point; NaN fits no comparison but `!=`. Where a run has no such metric,
    parameter or tag, no comparison with it holds but `IS NULL`.

    Args:
        reader: where the rows are.
        text: the filter; empty for all runs.
        experiments: ids of experiments; None for all.
        orders: what comes first, such as `metrics.auc DESC`; then later starts, then ids. What has no such metric,
            parameter or tag comes last, before it metrics that are no number.
        view: `active`, `deleted` or `all`.
        count: how many at most, 1 to 50,000.
        token: of the page before, of the same search.

    Raises:
        Invalid: the filter, an order, an id or the token is not understood.
    """
    assert view in VIEWS, f"a view is one of {', '.join(VIEWS)}"
    clauses, parsed = parse(text, RUNS), parse_order(orders, RUNS)
    given = None if experiments is None else sorted({parse_id(one) for one in experiments})
    ids = None if given is None else _known(reader, given)
    count = max(1, min(COUNT_MAX, count))
    keys = keys_of(parsed)
    sealed = ["runs", text, list(orders), view, given]
    position = paging.after(token, sealed, "".join(key.kind for key in keys))
    wish = Wish(experiments=ids, clauses=clauses, orders=parsed, view=view, position=position, count=count + 1)
    found = pick(reader, wish)
    page = found[:count]
    more = len(found) > count
    last = [_place(page[-1][f"k{place}"], key.kind) for place, key in enumerate(keys)] if more else []
    return Page(
        runs=in_order(reader, [int(str(row["number"])) for row in page]),
        token=paging.token(sealed, last) if more else "",
    )


def in_order(reader: Reader, numbers: Sequence[int]) -> tuple[Run, ...]:
    """Return runs by their numbers, in the order that was asked for."""
    rows = cast("Iterable[dict[str, Any]]", rows_of(reader, "runs", numbers))
    found = {run.number: run for run in (Run(**row) for row in rows)}
    return tuple(found[number] for number in numbers)


def _known(reader: Reader, wanted: Sequence[int]) -> tuple[int, ...] | None:
    """Return those ids that there are; None where they are all that there are."""
    known = {int(str(row["id"])) for row in reader.rows("experiments.ids")}
    if known <= set(wanted):
        return None
    found = known & set(wanted)
    if len(found) > EXPERIMENTS_MAX:
        raise Invalid(
            "experiments-too-many",
            "The search names too many experiments.",
            where="experiment_ids",
            why=f"{len(found):,} of them; the limit is {EXPERIMENTS_MAX:,}, or all of them",
        )
    return tuple(sorted(found))


def _place(value: object, kind: str) -> str | int | float:
    if kind == "s":
        return str(value)
    return float(cast("float", value)) if kind == "f" else int(cast("int", value))


def summarize(reader: Reader, run: Run) -> Summary:
    """Return a run with what it logged."""
    return summaries(reader, [run])[0]


def summaries(reader: Reader, runs: Sequence[Run]) -> list[Summary]:
    """Return runs with what they logged, in few statements however many they are."""
    numbers = [run.number for run in runs]
    logged = {what: by_run(rows_of(reader, what, numbers)) for what in ("latest", "run_params", "run_tags")}
    return [
        Summary(
            run=run,
            metrics=tuple(Point.from_row(row) for row in keep.of_steps(logged["latest"].get(run.number, []))),
            params=named(keep.of_steps(logged["run_params"].get(run.number, []))),
            tags={
                key: value
                for key, value in named(keep.of_steps(logged["run_tags"].get(run.number, []))).items()
                if not key.startswith(keep.RESERVED)
            },
        )
        for run in runs
    ]


def by_run(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return rows by the number of the run that they belong to."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(cast("int", row["run"]), []).append(row)
    return found


def named(rows: Sequence[Row]) -> dict[str, str]:
    """Return parameters or tags by name; a name that several steps used is followed by ` [STEP]`."""
    used = Counter(row["key"] for row in rows)
    return {
        str(row["key"]) if used[row["key"]] == 1 else f"{row['key']} [{row['node']}]": str(row["value"]) for row in rows
    }
