"""Records of evaluation datasets: one for each input, with what is expected of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.refs import uuid7
from ropewalk.runs import paging
from ropewalk.site import Site
from ropewalk.store.database import Reader, Row, Transaction, Value
from ropewalk.traces import evaluation as evaluations
from ropewalk.traces.values import dumped, loaded

SOURCES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
BATCH_MAX = 10_000
DATASET_MAX = 100_000
RECORD_LETTERS_MAX = 1 << 20
PAGE_MAX = 10_000
DELETED_MAX = 10_000
ID_LETTERS_MAX = 250
_PARTS = ("inputs", "outputs", "expectations", "tags", "source")
_KINDS = ((bool, "boolean"), (int, "integer"), (float, "float"), (str, "string"), (list, "array"), (dict, "object"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record.

    Attributes:
        id: `dr-` and 32 hex digits.
        inputs: what is asked, by name.
        outputs: what came out, any JSON value, or None.
        expectations: what should come out, by name, or None.
        tags: by name.
        source: where it is from: `source_type` and `source_data`, or None.
        source_id: such as the trace's id, or None.
        source_type: one of `SOURCES`, or None.
        created_ms: milliseconds since the epoch.
        updated_ms: the same.
        created_by: who made it, or None.
        updated_by: who changed it last, or None.
    """

    id: str
    inputs: dict[str, Any]
    outputs: Any
    expectations: dict[str, Any] | None
    tags: dict[str, Any] | None
    source: dict[str, Any] | None
    source_id: str | None
    source_type: str | None
    created_ms: int
    updated_ms: int
    created_by: str | None
    updated_by: str | None


def upsert(tx: Transaction, site: Site, evaluation: str, told: object, ids: Sequence[str] = ()) -> tuple[int, int]:
    """Keep records; those with inputs that are known are merged. Return how many are new and how many were merged.

    Args:
        tx: the caller's transaction.
        site: the project.
        evaluation: id of the dataset.
        told: a list of mappings with `inputs` and perhaps `outputs`, `expectations`, `tags` and `source`.
        ids: of these records, where they were made elsewhere; new ones are made when empty.

    Raises:
        NotFound: there is no such dataset.
        Invalid: a record is not what it can be, or there are too many; nothing is kept then.
    """
    found = evaluations.get(tx, evaluation)
    given = _checked(told)
    now, by = site.clock.now_us(), None
    new = 0
    for place, record in enumerate(given):
        user = _user(record)
        by = user or by
        row = {**_texts(record), "updated_ms": now // 1000, "updated_by": user}
        known = tx.row("evaluations.record", dataset=evaluation, input_hash=_hash(record))
        if known is None:
            name = ids[place] if ids else f"dr-{uuid7(now + place).replace('-', '')}"
            made = {"id": name, "dataset": evaluation, "created_by": user}
            tx.run("evaluations.insert_record", **row, **made, input_hash=_hash(record), created_ms=now // 1000)
            new += 1
        else:
            _merge(tx, known, record, now // 1000, user)
    total = int(str(tx.value("evaluations.count_records", dataset=evaluation)))
    if total > DATASET_MAX:
        raise _bad("records", f"a dataset has at most {DATASET_MAX} records, this would make {total}")
    _update(tx, found, given, now // 1000, by, total)
    return new, len(given) - new


def page(reader: Reader, evaluation: str, count: int, token: str) -> tuple[list[Record], str]:
    """Return records in the order in which they came, and the token of the next page, empty when there is none.

    Raises:
        NotFound: there is no such dataset.
        Invalid: the count or the token is not understood.
    """
    evaluations.get(reader, evaluation)
    if not 1 <= count <= PAGE_MAX:
        raise _bad("max_results", f"a page has 1 to {PAGE_MAX} records, not {count}")
    asked = ["records", evaluation]
    place = paging.after(token, asked, "i")
    number = place[0] if place else 0
    rows = reader.rows("evaluations.records", dataset=evaluation, number=int(number), count=count + 1)
    more = len(rows) > count
    last = int(str(rows[count - 1]["number"])) if more else 0
    return [_record(row) for row in rows[:count]], paging.token(asked, [last]) if more else ""


def delete(tx: Transaction, evaluation: str, ids: Sequence[str]) -> int:
    """Delete records of a dataset; return how many were there.

    Raises:
        NotFound: there is no such dataset.
        Invalid: there are too many ids.
    """
    found = evaluations.get(tx, evaluation)
    if len(ids) > DELETED_MAX:
        raise _bad("dataset_record_ids", f"at most {DELETED_MAX} in one request")
    gone = sum(tx.run("evaluations.delete_record", dataset=evaluation, id=one) for one in dict.fromkeys(ids))
    if gone:
        left = int(str(tx.value("evaluations.count_records", dataset=evaluation)))
        row = {name: getattr(found, name) for name in ("id", "schema", "digest", "updated_ms", "updated_by")}
        tx.run("evaluations.update", **row, profile=_profile(left))
    return gone


def _checked(told: object) -> list[dict[str, Any]]:
    if not isinstance(told, list):
        raise _bad("records", "records are a list")
    given = cast("list[object]", told)
    if len(given) > BATCH_MAX:
        raise _bad("records", f"at most {BATCH_MAX} in one request, found {len(given)}")
    for place, one in enumerate(given):
        where = f"records[{place}]"
        record = cast("dict[str, Any]", one) if isinstance(one, dict) else None
        if record is None or not isinstance(record.get("inputs", {}), dict):
            raise _bad(where, "a record is a mapping, and so are its inputs")
        if not all(isinstance(record.get(name), dict | None) for name in ("expectations", "tags", "source")):
            raise _bad(where, "expectations, tags and source are mappings")
        if sum(len(dumped(record.get(name))) for name in _PARTS) > RECORD_LETTERS_MAX:
            raise _bad(where, f"a record has at most {RECORD_LETTERS_MAX} letters")
        if record.get("source") and _source_type(record["source"]) not in SOURCES:
            raise _bad(where, f"a source is one of {', '.join(SOURCES)}")
    return cast("list[dict[str, Any]]", given)


def _source_type(source: Mapping[str, Any]) -> str:
    return str(source.get("source_type", "")).upper()


def _texts(record: Mapping[str, Any]) -> dict[str, Value]:
    source = cast("dict[str, Any]", record.get("source") or {})
    kind = _source_type(source) if source else None
    data = cast("dict[str, Any]", source["source_data"] if isinstance(source.get("source_data"), dict) else {})
    named = data.get("trace_id" if kind == "TRACE" else "source_id")
    return {
        "inputs": dumped(record.get("inputs", {})),
        **{name: _text(record.get(name)) for name in ("outputs", "expectations", "tags")},
        "source": dumped({"source_type": kind, "source_data": data}) if source else None,
        "source_id": str(named)[:ID_LETTERS_MAX] if named is not None else None,
        "source_type": kind,
    }


def _merge(tx: Transaction, known: Row, record: Mapping[str, Any], at_ms: int, user: str | None) -> None:
    merged: dict[str, Value] = {"outputs": cast("Value", known["outputs"])}
    if "outputs" in record:
        merged["outputs"] = _text(record["outputs"])
    for name in ("expectations", "tags"):
        old = cast("dict[str, Any]", loaded(str(known[name])) if known[name] is not None else {})
        more = cast("dict[str, Any]", record.get(name) or {})
        merged[name] = _text({**old, **more} or None)
    tx.run("evaluations.update_record", number=int(str(known["number"])), **merged, updated_ms=at_ms, updated_by=user)


def _update(  # noqa: PLR0917 - all of it decides what is written
    tx: Transaction,
    found: evaluations.Evaluation,
    given: Sequence[Mapping[str, Any]],
    at_ms: int,
    by: str | None,
    total: int,
) -> None:
    schema = _schema(found.schema, given)
    tx.run(
        "evaluations.update",
        id=found.id,
        schema=schema,
        profile=_profile(total) or found.profile,
        digest=evaluations.digest(found.name, at_ms),
        updated_ms=at_ms,
        updated_by=by,
    )


def _profile(total: int) -> str | None:
    return json.dumps({"num_records": total}) if total else None


def _schema(known: str | None, given: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the kinds of all fields that records ever had, the first time counts."""
    if not given and not known:
        return known
    schema: dict[str, Any] = (
        loaded(known) if known else {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    )
    for record in given:
        for part in ("inputs", "outputs", "expectations"):
            value = record.get(part)
            if isinstance(value, dict) and isinstance(schema[part], dict):
                for key, one in cast("dict[str, Any]", value).items():
                    schema[part].setdefault(key, _kind(one))
            elif part == "outputs" and value is not None and not schema[part]:
                schema[part] = _kind(cast("object", value))
    return json.dumps(schema)


def _kind(value: object) -> str:
    return "null" if value is None else next(name for kind, name in _KINDS if isinstance(value, kind))


def _user(record: Mapping[str, Any]) -> str | None:
    user = cast("dict[str, object]", record.get("tags") or {}).get(evaluations.USER)
    return None if user is None else str(user)[:ID_LETTERS_MAX]


def _hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record.get("inputs", {}), sort_keys=True).encode()).hexdigest()


def _text(value: object) -> str | None:
    return None if value is None else dumped(value)


def _record(row: Row) -> Record:
    values = {name: None if row[name] is None else loaded(str(row[name])) for name in _PARTS}
    plain = {name: row[name] for name in Record.__slots__ if name not in _PARTS}
    return Record(**values, **plain)  # type: ignore[arg-type]


def _bad(where: str, why: str) -> Invalid:
    return Invalid("evaluation-invalid", "A record of an evaluation dataset cannot be like this.", where=where, why=why)
