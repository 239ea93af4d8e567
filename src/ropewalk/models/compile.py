"""The SQL of searches in the registry: constant parts, with every value bound by name.

Pages are cut by the keys that order them, never by an offset, so that they stand while rows are added.
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.runs.fragments import Bound, Key, beyond, compared
from ropewalk.runs.grammar import Clause
from ropewalk.runs.paging import Position
from ropewalk.store.database import Reader, Row

MODEL = "m.id, m.name, m.author, m.description, m.created_us, m.updated_us"
MODELS = "registered_models m"
VERSION = "v.*, m.name"
VERSIONS = "model_versions v join registered_models m on m.id = v.model"
LOGGED = "m.*"
LOGGEDS = "logged_models m"
MEASURED = "exists (select 1 from logged_model_metrics x where x.model = m.number and {})"
_CHUNK = 500


def tagged(table: str, join: str, clause: Clause, bound: Bound) -> str:
    """Return that a row of keys and values fits: one with another key never does, one without the key neither."""
    key, fits = bound(clause.key), compared("t.value", clause, bound)
    return f"exists (select 1 from {table} t where {join} and t.key = {key} and {fits}{bound.apart})"


def measured(key: str, fits: str) -> str:
    """Return that some point of a metric of a logged model `m` fits; asked once for all models, not once for each."""
    return f"m.number in (select x.model from logged_model_metrics x where x.key = {key} and {fits})"


def measured_key(key: str) -> str:
    """Return where the rows of a metric of a logged model `m` are."""
    return f"from logged_model_metrics x where x.model = m.number and x.key = {key}"


def page(
    reader: Reader,
    columns: str,
    table: str,
    *,
    conditions: Sequence[str],
    keys: Sequence[Key],
    bound: Bound,
    after: Position | None,
    count: int,
) -> list[Row]:
    """Return one page of rows, each with its keys as `k0`, `k1` and so on.

    Args:
        reader: where the rows are.
        columns: what to select.
        table: from what.
        conditions: all of which must hold.
        keys: what orders the rows; together they tell any two apart.
        bound: the values of the conditions.
        after: the keys of the last row of the page before, None for the first page.
        count: how many rows at most.
    """
    chosen = ", ".join(f"{key.sql} as k{place}" for place, key in enumerate(keys))
    outer = [Key(sql=f"k{place}", kind=key.kind, descending=key.descending) for place, key in enumerate(keys)]
    where = " and ".join(conditions)
    rest = "" if after is None else f"where {beyond(outer, after, bound)} "
    sql = (
        f"select * from (select {columns}, {chosen} from {table} where {where}) q "
        f"{rest}order by {', '.join(key.order for key in outer)} limit {bound(count)}"
    )
    return reader.composed(sql, bound.values)


def place_of(row: Row, keys: Sequence[Key]) -> Position:
    """Return the keys of a row that a page has given."""
    kinds = {"s": str, "i": int, "f": float}
    return tuple(kinds[key.kind](str(row[f"k{place}"])) for place, key in enumerate(keys))


def latest_by_stage(reader: Reader, models: Sequence[int]) -> list[Row]:
    """Return the newest version of each stage of several models."""
    return _chunked(
        reader,
        "select v.*, m.name from (select w.model, w.stage, max(w.version) as version from model_versions w "
        "where w.model in {} and w.deleted_us is null group by w.model, w.stage) l "
        "join model_versions v on v.model = l.model and v.version = l.version "
        "join registered_models m on m.id = v.model order by v.model, v.version",
        models,
    )


def model_tags(reader: Reader, models: Sequence[int]) -> list[Row]:
    """Return the tags of several registered models."""
    return _chunked(
        reader, "select model, key, value from registered_model_tags where model in {} order by model, key", models
    )


def model_aliases(reader: Reader, models: Sequence[int]) -> list[Row]:
    """Return where the aliases of several registered models point."""
    return _chunked(
        reader,
        "select a.model, a.alias, a.version from model_aliases a where a.model in {} and a.version > 0 and a.seq = "
        "(select max(b.seq) from model_aliases b where b.model = a.model and b.alias = a.alias) "
        "order by a.model, a.alias",
        models,
    )


def version_tags(reader: Reader, refs: Sequence[tuple[int, int]]) -> list[Row]:
    """Return the tags of several versions, each named by its model's number and its own."""
    found: list[Row] = []
    for start in range(0, len(refs), _CHUNK):
        bound = Bound()
        pairs = ", ".join(bound.several(ref) for ref in refs[start : start + _CHUNK])
        sql = (
            "select model, version, key, value from model_version_tags "
            f"where (model, version) in (values {pairs}) order by model, version, key"
        )
        found += reader.composed(sql, bound.values)
    return found


def logged_details(reader: Reader, table: str, models: Sequence[int]) -> list[Row]:
    """Return parameters or tags of several logged models."""
    assert table in ("logged_model_params", "logged_model_tags"), "one of ours"
    return _chunked(reader, f"select model, key, value from {table} where model in {{}} order by model, key", models)


def logged_metrics(reader: Reader, models: Sequence[int], each: int) -> list[Row]:
    """Return what was measured of several logged models, newest first, so many of each at most."""
    bound = Bound()
    if not models:
        return []
    sql = (
        "select * from (select x.*, row_number() over (partition by x.model order by x.at_ms desc, x.step desc, x.key, "
        "x.run_id, x.dataset_name, x.dataset_digest, x.value) as place from logged_model_metrics x "
        f"where x.model in {bound.several(models)}) q where place <= {bound(each)} order by model, place"
    )
    return reader.composed(sql, bound.values)


def _chunked(reader: Reader, sql: str, numbers: Sequence[int]) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(numbers), _CHUNK):
        bound = Bound()
        statement = sql.format(bound.several(numbers[start : start + _CHUNK]))
        found += reader.composed(statement, bound.values)
    return found
