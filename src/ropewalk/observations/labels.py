"""Labels: what really happened, told later by the id of a prediction or by the key of its request."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.errors import Invalid
from ropewalk.observations.batch import BATCH_MAX, FOREVER_US, Added, seal, sift
from ropewalk.refs import canonical, uuid7_time_us
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    import polars as pl

Value = bool | int | float | str
TEXT_MAX = 512
# Predictions carry the time of their id; a label by key has none and counts from the time it was known.
_ID_LENGTH = 36
WHOLE_MAX = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One truth.

    Attributes:
        value: the class, or 0/1, or the number that a regression predicted.
        known_us: when the world knew it, microseconds since the epoch.
        prediction: id of the prediction; empty for a label by key.
        key: key of the request that it belongs to; empty for a label by id. It then holds for every prediction with
            this key that was made before it was known.
    """

    value: Value
    known_us: int
    prediction: str = ""
    key: str = ""


def add(tx: Transaction, site: Site, endpoint: str, labels: Sequence[Label | tuple[str, Value, int]]) -> Added:
    """Keep a batch of labels with one ledger entry that holds the digest of them all.

    They may come in any order, late, twice, or before their prediction is sealed. A later `known_us` wins; of two
    labels with the same one the last told wins.

    Args:
        tx: the transaction.
        site: the project.
        endpoint: whose predictions.
        labels: records, or (prediction id, value, known_us); 100,000 at most.

    Raises:
        Invalid: one of them is malformed; nothing was changed.
    """
    wanted = _all_checked(labels)
    kept, new, revised = sift(
        wanted,
        # A key comes back, with another truth each time; a prediction has one.
        lambda label: (label.prediction, label.key, label.known_us if label.key else 0),
        lambda label: (canonical(label.value).decode(), label.known_us),
        lambda label: _last(tx, endpoint, label),
    )
    done = Added(new=new, revised=revised, repeated=len(wanted) - new - revised, batch=0)
    if not kept:
        return done
    rows = [(endpoint, label.prediction, label.key, canonical(label.value).decode(), label.known_us) for label in kept]
    done = seal(tx, site, "labels.added", endpoint, rows=rows, done=done)
    tx.many("observations.label_insert", (_row(done.batch, row) for row in rows))
    site.announce(tx, "labels.added", f"endpoint:{endpoint}", {"batch": done.batch, "count": len(rows)})
    return done


def batch_rows(reader: Reader, batch: int) -> list[tuple[str, str, str, str, int]]:
    """Return the rows of a batch, for `batch_digest` to check them against ledger entry `batch`."""
    names = ("endpoint", "prediction", "key", "value", "known_us")
    rows = reader.rows("observations.labels_of_batch", batch=batch)
    return [tuple(row[name] for name in names) for row in rows]  # type: ignore[misc]


def count(reader: Reader, endpoint: str) -> int:
    """Return how many labels an endpoint has, revisions included."""
    return int(str(reader.value("observations.labels_count", endpoint=endpoint)))


def newest(reader: Reader, endpoint: str) -> int:
    """Return the newest batch of an endpoint, 0 for none: it changes whenever there are new labels."""
    return int(str(reader.value("observations.labels_newest", endpoint=endpoint)))


def read(reader: Reader, endpoint: str, *, since_us: int, until_us: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is known of predictions whose ids were made in a half-open span of time.

    Returns:
        By id: columns `id`, `label` (JSON text), `known_us`, one row an id. By key: columns `key`, `label`,
        `known_us`, every one that became known at or after `since_us`, ordered by time.
    """
    import polars as pl

    rows = reader.rows("observations.labels_of_time", endpoint=endpoint, since_us=since_us, until_us=until_us)
    late = reader.rows("observations.labels_of_keys", endpoint=endpoint, since_us=until_us)
    whole = [*rows, *late]
    names = ("prediction", "key", "value", "known_us")
    frame = pl.DataFrame(
        {name: [row[name] for row in whole] for name in names},
        schema={name: pl.Int64 if name == "known_us" else pl.String for name in names},
    ).rename({"value": "label", "prediction": "id"})
    # Rows come in the order of known_us and batch, so the last one is the one that counts.
    by_id = frame.filter(pl.col("id") != "").select("id", "label", "known_us")
    by_key = frame.filter(pl.col("key") != "").select("key", "label", "known_us")
    return by_id.unique("id", keep="last", maintain_order=True), by_key.sort("known_us", maintain_order=True)


def of_rows(reader: Reader, endpoint: str, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is known of captured rows, as `read` does; a shadow's is that of its pair, maybe older.

    Args:
        reader: where labels are.
        endpoint: whose rows they are.
        rows: with `id` and `pair`.
    """
    if not rows.height:
        return read(reader, endpoint, since_us=0, until_us=0)
    ids, pairs = rows.get_column("id"), rows.get_column("pair").drop_nulls()
    first = min(str(ids.min()), str(pairs.min())) if len(pairs) else str(ids.min())
    return read(reader, endpoint, since_us=uuid7_time_us(first), until_us=uuid7_time_us(str(ids.max())) + 1)


def since(reader: Reader, endpoint: str, batch: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what was told after a batch.

    Returns:
        By id: columns `id`, `label` (JSON text), one row an id. By key: columns `key`, `known_us`.
    """
    import polars as pl

    rows = reader.rows("observations.labels_since", endpoint=endpoint, batch=batch)
    text, whole = pl.String, pl.Int64
    frame = pl.DataFrame(
        [(row["prediction"], row["key"], row["value"], row["known_us"]) for row in rows],
        schema={"id": text, "key": text, "label": text, "known_us": whole},
        orient="row",
    )
    by_id = frame.filter(pl.col("id") != "").select("id", "label").unique("id", keep="last", maintain_order=True)
    return by_id, frame.filter(pl.col("key") != "").select("key", "known_us")


def join(frame: pl.DataFrame, by_id: pl.DataFrame, by_key: pl.DataFrame) -> pl.DataFrame:
    """Return captured rows with the column `label` (JSON text, null where none is known).

    A shadow takes the label of the prediction it is paired with. A label by id goes before one by key; a label by key
    holds for predictions whose event was not after it became known, the first such label for each of them.

    Args:
        frame: captured rows with `id`, `role`, `pair`, `key` and `event_us`.
        by_id: as `read` gives it.
        by_key: as `read` gives it.
    """
    import polars as pl

    own = pl.when(pl.col("role") == "shadow").then(pl.col("pair")).otherwise(pl.col("id"))
    found = frame.with_columns(own.alias("label_of")).join(
        by_id.select(pl.col("id").alias("label_of"), "label"), on="label_of", how="left"
    )
    if by_key.height:
        told = by_key.select("key", pl.col("label").alias("label_by_key"), pl.col("known_us").alias("event_us"))
        found = (
            found.sort("event_us")
            .join_asof(told.sort("event_us"), on="event_us", by="key", strategy="forward", check_sortedness=False)
            .with_columns(pl.coalesce("label", "label_by_key").alias("label"))
            .drop("label_by_key")
        )
    return found.drop("label_of").sort("id")


def _all_checked(labels: Sequence[Label | tuple[str, Value, int]]) -> list[Label]:
    if len(labels) > BATCH_MAX:
        raise Invalid(
            "labels-too-many",
            f"One batch holds at most {BATCH_MAX} labels.",
            why=f"found {len(labels)}",
            fix="send them in smaller batches",
        )
    return [_checked(number, label) for number, label in enumerate(labels)]


def _checked(number: int, label: Label | tuple[str, Value, int]) -> Label:
    found = label if isinstance(label, Label) else Label(prediction=label[0], value=label[1], known_us=label[2])
    wrong = _wrong(found)
    if wrong:
        raise Invalid(
            "label-malformed",
            "A label is not one; nothing of the batch was kept.",
            where=f"label {number}",
            why=wrong,
            fix='{"id": PREDICTION, "label": 0 or 1 or a class or a number, "time": "2013-09-01T06:00:00Z"}',
        )
    return found


def _wrong(label: Label) -> str:
    """Return what is wrong with a label; an empty text when nothing."""
    if bool(label.prediction) == bool(label.key):
        return "it needs either the id of a prediction or a key"
    if len(label.key) > TEXT_MAX:
        return f"its key has {len(label.key)} letters, {TEXT_MAX} at most"
    if label.prediction and not is_prediction(label.prediction):
        return f"{label.prediction[:60]!r} is no id of a prediction"
    return _wrong_value(label.value) or (
        "" if 0 <= label.known_us < FOREVER_US else "its time is not microseconds since the epoch"
    )


def _wrong_value(value: object) -> str:
    match value:
        case bool():
            return ""
        case int():
            return "" if abs(value) < WHOLE_MAX else "its value is too large a number"
        case float():
            return "" if math.isfinite(value) else "its value is not a finite number"
        case str():
            return "" if len(value) <= TEXT_MAX else f"its value has {len(value)} letters, {TEXT_MAX} at most"
        case _:
            return "its value is no number, class or boolean"


def is_prediction(text: str) -> bool:
    """Say whether a text is the id of a prediction."""
    if len(text) != _ID_LENGTH or text != text.lower():  # ids are kept in small letters, and are compared as text
        return False
    try:
        uuid7_time_us(text)
    except ValueError:
        return False
    return True


def _last(tx: Transaction, endpoint: str, label: Label) -> tuple[str, int] | None:
    row = tx.row(
        "observations.label_last",
        endpoint=endpoint,
        prediction=label.prediction,
        key=label.key,
        known_us=label.known_us,
    )
    return None if row is None else (str(row["value"]), int(str(row["known_us"])))


def _row(batch: int, row: tuple[str, str, str, str, int]) -> dict[str, str | int]:
    endpoint, prediction, key, value, known_us = row
    return {
        "endpoint": endpoint,
        "prediction": prediction,
        "key": key,
        "value": value,
        "known_us": known_us,
        "at_us": uuid7_time_us(prediction) if prediction else known_us,
        "batch": batch,
    }


def value_of(text: str) -> Value:
    """Return a label's value from its JSON text."""
    return json.loads(text)
