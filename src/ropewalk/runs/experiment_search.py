"""Finding experiments: by a filter, in an order, in pages; the newest first where nothing else is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.errors import Invalid
from ropewalk.runs import paging
from ropewalk.runs.compile import experiments_of
from ropewalk.runs.experiments import ACTIVE, DELETED, Experiment, parse_id
from ropewalk.runs.fragments import Bound, Key, beyond, compared, millis
from ropewalk.runs.grammar import LISTS, Clause, Order, parse, parse_order
from ropewalk.runs.vocabulary import EXPERIMENTS
from ropewalk.store.database import Reader

COUNT_MAX = 50_000
VIEWS = {"active": (ACTIVE,), "deleted": (DELETED,), "all": (ACTIVE, DELETED)}
_COLUMNS = {
    "name": ("e.name", "s"),
    "experiment_id": ("e.id", "i"),
    "creation_time": ("e.created_us", "i"),
    "last_update_time": ("e.updated_us", "i"),
}
_FIELDS = {"e.name": "name", "e.id": "id", "e.created_us": "created_us", "e.updated_us": "updated_us"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some experiments, in order.

    Attributes:
        experiments: each with its tags, at most as many as were asked for.
        token: given to the next search for those that follow; empty when there are none.
    """

    experiments: tuple[tuple[Experiment, dict[str, str]], ...]
    token: str


def search(
    reader: Reader,
    text: str = "",
    *,
    orders: Sequence[str] = (),
    view: str = "active",
    count: int = 1000,
    token: str = "",
) -> Page:
    """Return experiments that a filter fits.

    Args:
        reader: where the rows are.
        text: the filter; empty for all.
        orders: what comes first, such as `name ASC`; then larger ids.
        view: `active`, `deleted` or `all`.
        count: how many at most, 1 to 50,000.
        token: of the page before, of the same search.

    Raises:
        Invalid: the filter, an order or the token is not understood.
    """
    clauses, parsed = parse(text, EXPERIMENTS), parse_order(orders, EXPERIMENTS)
    count = max(1, min(COUNT_MAX, count))
    keys = _keys(parsed)
    sealed = ["experiments", text, list(orders), view]
    position = paging.after(token, sealed, "".join(key.kind for key in keys))
    bound = Bound(len(clauses))
    where = [f"e.state in {bound.several(VIEWS[view])}", *(_clause(one, bound) for one in clauses)]
    if position is not None:
        where.append(beyond(keys, position, bound))
    order = ", ".join(key.order for key in keys)
    rows, tags = experiments_of(reader, " and ".join(where), order, bound, count + 1)
    found, more = [Experiment(**row) for row in rows[:count]], len(rows) > count
    last = [getattr(found[-1], _FIELDS[key.sql]) for key in keys] if more else []
    return Page(
        experiments=tuple((one, tags.get(one.id, {})) for one in found),
        token=paging.token(sealed, last) if more else "",
    )


def _keys(orders: Sequence[Order]) -> list[Key]:
    keys = [Key(sql=_COLUMNS[one.key][0], kind=_COLUMNS[one.key][1], descending=one.descending) for one in orders]
    if not keys:
        return [Key(sql="e.created_us", kind="i", descending=True), Key(sql="e.id", kind="i")]
    return keys if any(key.sql == "e.id" for key in keys) else [*keys, Key(sql="e.id", kind="i", descending=True)]


def _clause(clause: Clause, bound: Bound) -> str:
    if clause.entity == "tag":
        rows = f"select 1 from experiment_tags t where t.experiment = e.id and t.key = {bound(clause.key)}"  # noqa: S608
        if clause.op == "IS NULL":
            return f"not exists ({rows}{bound.apart})"
        if clause.op == "IS NOT NULL":
            return f"exists ({rows}{bound.apart})"
        return f"exists ({rows} and {compared('t.value', clause, bound)}{bound.apart})"
    if clause.key == "experiment_id":
        ids = clause.value if isinstance(clause.value, tuple) else (clause.value,)
        listed = bound.several([parse_id(one) for one in ids])
        return f"e.id {'in' if clause.op in LISTS - {'NOT IN'} or clause.op == '=' else 'not in'} {listed}"
    if clause.key == "name":
        return compared("e.name", clause, bound)
    if isinstance(clause.value, float):
        raise Invalid(
            "filter-invalid",
            "The filter of the search is not understood.",
            where=clause.key,
            why="a time is a whole number of milliseconds",
            fix=EXPERIMENTS.example,
        )
    return millis(_COLUMNS[clause.key][0], clause, bound)
