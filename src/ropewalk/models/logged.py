"""Logged models: what a training wrote down as a model, with parameters, tags and what runs measured of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.errors import Invalid, NotFound
from ropewalk.models import spelling
from ropewalk.models.registered import hash_of
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PENDING = "PENDING"
READY = "READY"
FAILED = "FAILED"
STATUSES = (PENDING, READY, FAILED)
NAME_LETTERS_MAX = 500
PARAM_LETTERS_MAX = 65_535
METRICS_MAX = 25_000
DATASET_LETTERS_MAX = 500
DATASET_BYTES_MAX = 1000
DIGEST_LETTERS_MAX = 36
_BAD_LETTERS = frozenset("/:.%\"'")
# By this tag a model that was made elsewhere, or while the server was away, brings its id; told twice, it is one model.
WANTED_TAG = "ropewalk.spool_id"
_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """One logged model as it stands.

    Attributes:
        number: what rows join it by.
        id: `m-` and 32 hex digits, sorted by creation.
        experiment: id of the experiment that it belongs to.
        name: what people call it; several may have the same.
        location: URI below which its files are.
        model_type: such as `Agent`, or empty.
        source_run: id of the run that made it, or empty.
        status: `PENDING` until its files are there, then `READY` or `FAILED`.
        status_message: more about the status.
        author: who made it.
        created_us: microseconds since the epoch.
        updated_us: microseconds since the epoch.
        deleted_us: when it was deleted, None while it is there.
    """

    number: int
    id: str
    experiment: int
    name: str
    location: str
    model_type: str
    source_run: str
    status: str
    status_message: str
    author: str
    created_us: int
    updated_us: int
    deleted_us: int | None

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"logged:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a run measured of a model once.

    Attributes:
        key: the metric.
        value: NaN and infinities included.
        at_ms: milliseconds since the epoch.
        step: of the run.
        run_id: the run.
        dataset_name: what it was measured on, or empty.
        dataset_digest: the version of that, or empty.
    """

    key: str
    value: float
    at_ms: int
    step: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> Point:
        """Return a point as its row says."""
        return cls(
            key=str(row["key"]),
            value=math.nan if row["is_nan"] else float(str(row["value"])),
            at_ms=int(str(row["at_ms"])),
            step=int(str(row["step"])),
            run_id=str(row["run_id"]),
            dataset_name=str(row["dataset_name"]),
            dataset_digest=str(row["dataset_digest"]),
        )


def create(
    tx: Transaction,
    site: Site,
    *,
    experiment: int,
    root: str,
    name: str,
    model_type: str = "",
    source_run: str = "",
    params: Sequence[tuple[str, str]] = (),
    tags: Sequence[tuple[str, str]] = (),
) -> LoggedModel:
    """Write down a model whose files are still to come.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        experiment: what it belongs to; the caller has checked that it is active.
        root: URI of the experiment's artifacts, below which the model's place is.
        name: what people call it.
        model_type: such as `Agent`.
        source_run: the run that makes it.
        params: what it was made with.
        tags: what people say of it; `ropewalk.spool_id` may name the id that it had elsewhere.

    Raises:
        Invalid: the name, a parameter or a tag is none.
    """
    _check_words(name, model_type=model_type, source_run_id=source_run)
    now_us = site.clock.now_us()
    known, wanted = _wanted(tx, dict(tags).get(WANTED_TAG, ""))
    if known is not None:
        return known  # the same beginning, told again
    model_id = wanted or "m-" + uuid7(now_us).replace("-", "")
    words = {"name": name, "model_type": model_type, "source_run": source_run, "author": site.actor}
    place = f"{root.rstrip('/')}/models/{model_id}/artifacts"
    times = {"status": PENDING, "created_us": now_us}
    tx.run("logged.insert", id=model_id, experiment=experiment, location=place, **words, **times)
    site.record(tx, "logged.created", f"logged:{model_id}", {"experiment": experiment, "name": name, "run": source_run})
    made = get(tx, model_id)
    _add_params(tx, made.number, params)
    _put_tags(tx, site, made.number, made.subject, tags)
    return made


def _wanted(tx: Transaction, wanted: str) -> tuple[LoggedModel | None, str]:
    """Return the model that began with this id, or else the id when a model may have it."""
    if not _ID.fullmatch(wanted):
        return None, ""
    found = tx.get(LoggedModel, "logged.get", id=wanted)
    if found is None:
        return None, wanted
    told = {str(row["key"]): row["value"] for row in tx.rows("logged.tags", model=found.number)}
    return (found, "") if told.get(WANTED_TAG) == wanted and found.deleted_us is None else (None, "")


def get(reader: Reader, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
    """Return a logged model.

    Raises:
        NotFound: there is none, or it was deleted.
    """
    found = reader.get(LoggedModel, "logged.get", id=model_id)
    if found is None or (found.deleted_us is not None and not allow_deleted):
        raise NotFound(
            "logged-model-not-found",
            f"Logged model with ID '{model_id[:80]}' not found.",
            where=model_id[:80],
            fix="client.search_logged_models([EXPERIMENT_ID])",
        )
    return found


def of_run(reader: Reader, run_id: str) -> list[LoggedModel]:
    """Return what a run has written down, oldest first."""
    return reader.all(LoggedModel, "logged.of_run", run_id=run_id) if run_id else []


def finalize(tx: Transaction, site: Site, model_id: str, status: str) -> LoggedModel:
    """Say that a model's files are all there, or that they will not come.

    Raises:
        Invalid: there is no such status.
        NotFound: there is no such model.
    """
    if status not in STATUSES:
        raise Invalid(
            "status-unknown", "There is no such status.", where=status[:80], why=f"it is one of {', '.join(STATUSES)}"
        )
    found = get(tx, model_id, allow_deleted=True)
    tx.run("logged.set_status", number=found.number, status=status, updated_us=site.clock.now_us())
    site.record(tx, "logged.finalized", found.subject, {"status": status})
    return get(tx, model_id, allow_deleted=True)


def delete(tx: Transaction, site: Site, model_id: str) -> None:
    """Delete a model; it can still be asked for by who knows that it is deleted.

    Raises:
        NotFound: there never was one.
    """
    found = get(tx, model_id, allow_deleted=True)
    if found.deleted_us is None:
        tx.run("logged.delete", number=found.number, deleted_us=site.clock.now_us())
        site.record(tx, "logged.deleted", found.subject, {"name": found.name})


def params(reader: Reader, found: LoggedModel) -> dict[str, str]:
    """Return what a model was made with."""
    return {str(row["key"]): str(row["value"]) for row in reader.rows("logged.params", model=found.number)}


def log_params(tx: Transaction, site: Site, model_id: str, given: Sequence[tuple[str, str]]) -> None:
    """Write down what a model was made with; a value never changes, the same one may be written again.

    Raises:
        Invalid: one is none, or has another value already.
        NotFound: there is no such model.
    """
    found = get(tx, model_id, allow_deleted=True)
    _add_params(tx, found.number, given)
    site.record(tx, "logged.params", found.subject, {"keys": sorted({key for key, _ in given})})


def tags(reader: Reader, found: LoggedModel) -> dict[str, str]:
    """Return a model's tags."""
    return {str(row["key"]): str(row["value"]) for row in reader.rows("logged.tags", model=found.number)}


def set_tags(tx: Transaction, site: Site, model_id: str, given: Sequence[tuple[str, str]]) -> LoggedModel:
    """Set tags; of a key that is given twice the last value holds.

    Raises:
        Invalid: one can be no tag.
        NotFound: there is no such model.
    """
    found = get(tx, model_id, allow_deleted=True)
    _put_tags(tx, site, found.number, found.subject, given)
    return found


def delete_tag(tx: Transaction, site: Site, model_id: str, key: str) -> None:
    """Take a tag away.

    Raises:
        NotFound: there is no such model, or it has no such tag.
    """
    found = get(tx, model_id, allow_deleted=True)
    if not tx.run("logged.tag_delete", model=found.number, key=key):
        raise NotFound(
            "logged-tag-not-found", f"No tag with key {key[:80]!r} found for this model.", where=f"{model_id[:80]}"
        )
    site.record(tx, "logged.untagged", found.subject, {"key": key})


def metrics(reader: Reader, found: LoggedModel, count: int = METRICS_MAX) -> list[Point]:
    """Return what runs measured of a model, newest first, so many at most."""
    return reader.all(Point, "logged.metrics", model=found.number, count=count)


def note_metrics(tx: Transaction, points: Mapping[str, Sequence[Point]]) -> None:
    """Write down what runs measured of logged models, by model id; a point that is known is written once.

    Raises:
        Invalid: a dataset's name or digest is too long.
        NotFound: there is no such model.
    """
    for model_id, measured in points.items():
        found = get(tx, model_id, allow_deleted=True)
        for one in measured:
            spelling.check_text(one.dataset_name, "dataset_name", DATASET_LETTERS_MAX)
            spelling.check_bytes(one.dataset_name, "dataset_name", DATASET_BYTES_MAX)
            spelling.check_text(one.dataset_digest, "dataset_digest", DIGEST_LETTERS_MAX)
        tx.many(
            "logged.metric_insert",
            [
                {
                    "model": found.number,
                    "key": one.key,
                    "at_ms": one.at_ms,
                    "step": one.step,
                    "run_id": one.run_id,
                    "dataset_name": one.dataset_name,
                    "dataset_digest": one.dataset_digest,
                    "value": 0.0 if math.isnan(one.value) else one.value,
                    "is_nan": int(math.isnan(one.value)),
                }
                for one in measured
            ],
        )


def _check_words(name: str, **more: str) -> None:
    for what, text in more.items():
        spelling.check_text(text, what, NAME_LETTERS_MAX)
    if not name or len(name) > NAME_LETTERS_MAX or not _BAD_LETTERS.isdisjoint(name):
        raise Invalid(
            "model-name-invalid",
            "This cannot name a model.",
            where=name[:80],
            why=f"a name has 1 to {NAME_LETTERS_MAX} characters, none of them / : . % \" or '",
        )


def _add_params(tx: Transaction, number: int, given: Sequence[tuple[str, str]]) -> None:
    for key, value in given:
        spelling.check_key(key)
        spelling.check_text(value, key, PARAM_LETTERS_MAX)
        known = tx.value("logged.param", model=number, key=key)
        if known is None:
            tx.run("logged.param_insert", model=number, key=key, value=value)
        elif known != value:
            raise Invalid(
                "logged-param-changed",
                "A model's parameter keeps its first value.",
                where=key,
                why=f"{str(known)[:80]!r} stands there, {value[:80]!r} was to be written",
                fix="log another model",
            )


def _put_tags(tx: Transaction, site: Site, number: int, subject: str, given: Sequence[tuple[str, str]]) -> None:
    for key, value in dict(given).items():
        spelling.check_tag(key, value)
        tx.run("logged.tag_put", model=number, key=key, value=value)
        site.record(tx, "logged.tag", subject, {"key": key, "hash": hash_of(value)})
