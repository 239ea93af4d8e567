"""Evaluation datasets: what they are called, where they belong, what their records hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.errors import Invalid, NotFound
from ropewalk.refs import uuid7
from ropewalk.runs import experiments, paging
from ropewalk.runs.grammar import LISTS, NUMBERS, TEXTS, Field, Vocabulary, parse, parse_order
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import compile as composing

USER = "mlflow.user"
NAME_LETTERS_MAX = 500
TAG_KEY_LETTERS_MAX = 250
TAG_LETTERS_MAX = 5000
TAGS_MAX = 1000
EXPERIMENTS_MAX = 100
PAGE_MAX = 10_000
_DIGEST_LETTERS = 8
VOCABULARY = Vocabulary(
    thing="dataset",
    entities={"tags": "tag", "tag": "tag", "attributes": "attribute"},
    keyed={"tag": Field(ops=TEXTS, orders=False)},
    fields={
        "attribute": {
            "name": Field(name="name", ops=TEXTS | LISTS),
            "created_time": Field(name="created_ms", kind="whole", ops=NUMBERS),
            "last_update_time": Field(name="updated_ms", kind="whole", ops=NUMBERS),
            "created_by": Field(name="created_by", ops=TEXTS, orders=False),
            "last_updated_by": Field(name="updated_by", ops=TEXTS, orders=False),
        }
    },
    example="name LIKE 'qa%' and tags.team = 'ops'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation dataset without its records.

    Attributes:
        id: `d-` and 32 hex digits.
        name: what people call it; not unique.
        schema: JSON text with the kinds of its fields, or None while it is empty.
        profile: JSON text with the number of its records, or None while it is empty.
        digest: eight hex digits that change with its records.
        created_ms: milliseconds since the epoch.
        updated_ms: the same.
        created_by: who made it, or None.
        updated_by: who changed it last, or None.
    """

    id: str
    name: str
    schema: str | None
    profile: str | None
    digest: str
    created_ms: int
    updated_ms: int
    created_by: str | None
    updated_by: str | None

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"evaluation:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of datasets.

    Attributes:
        evaluations: in order.
        token: for the next page; empty when there is none.
    """

    evaluations: tuple[Evaluation, ...]
    token: str


def create(  # noqa: PLR0917 - what a dataset is made of
    tx: Transaction, site: Site, name: str, tags: Mapping[str, str], places: Sequence[str], identifier: str = ""
) -> Evaluation:
    """Make a dataset.

    Args:
        tx: the caller's transaction.
        site: the project.
        name: of the dataset.
        tags: by name; `mlflow.user` says who makes it.
        places: ids of experiments that it belongs to.
        identifier: its id, where it was made elsewhere; a new one when empty.

    Raises:
        Invalid: a name, a tag or an id is not what it can be.
        NotFound: there is no such experiment.
    """
    if not name.strip() or len(name) > NAME_LETTERS_MAX:
        raise _bad("name", f"a name has 1 to {NAME_LETTERS_MAX} letters")
    now = site.clock.now_us()
    made = Evaluation(
        id=identifier or f"d-{uuid7(now).replace('-', '')}",
        name=name,
        schema=None,
        profile=None,
        digest=digest(name, now // 1000),
        created_ms=now // 1000,
        updated_ms=now // 1000,
        created_by=tags.get(USER),
        updated_by=tags.get(USER),
    )
    row = {field: getattr(made, field) for field in Evaluation.__slots__}
    tx.run("evaluations.insert", **row)
    set_tags(tx, made.id, tags)
    join(tx, made.id, places)
    return made


def digest(name: str, at_ms: int) -> str:
    """Return what changes when a dataset changes."""
    return hashlib.sha256(f"{name}:{at_ms}".encode()).hexdigest()[:_DIGEST_LETTERS]


def get(reader: Reader, evaluation: str) -> Evaluation:
    """Return a dataset by its id.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Evaluation, "evaluations.get", id=evaluation)
    if found is None:
        raise NotFound(
            "evaluation-not-found",
            f"Evaluation dataset with id {evaluation[:80]!r} not found.",
            where=f"evaluation:{evaluation[:80]}",
            fix="mlflow.genai.datasets.search_datasets() lists them",
        )
    return found


def tags_of(reader: Reader, evaluation: str) -> dict[str, str]:
    """Return the tags of a dataset."""
    return {str(row["key"]): str(row["value"]) for row in reader.rows("evaluations.tags", dataset=evaluation)}


def experiments_of(reader: Reader, evaluation: str) -> list[str]:
    """Return ids of the experiments that a dataset belongs to."""
    return [str(row["experiment"]) for row in reader.rows("evaluations.experiments", dataset=evaluation)]


def delete(tx: Transaction, site: Site, evaluation: str) -> None:
    """Delete a dataset with its records, if it is there; the ledger says which."""
    found = tx.get(Evaluation, "evaluations.get", id=evaluation)
    if found is None:
        return
    body = {"name": found.name, "digest": found.digest, "profile": found.profile}
    tx.run("evaluations.delete", id=evaluation)
    site.record(tx, "evaluation.deleted", found.subject, body)


def set_tags(tx: Transaction, evaluation: str, tags: Mapping[str, str]) -> None:
    """Give a dataset tags, or other values to those that it has.

    Raises:
        NotFound: there is no such dataset.
        Invalid: a name or a value is too long, or there would be more than 1000.
    """
    get(tx, evaluation)
    for key, value in tags.items():
        if not key or len(key) > TAG_KEY_LETTERS_MAX or len(value) > TAG_LETTERS_MAX:
            why = f"a tag's name has 1 to {TAG_KEY_LETTERS_MAX} letters, its value {TAG_LETTERS_MAX} at most"
            raise _bad(f"tags.{key[:80]}", why)
        tx.run("evaluations.tag", dataset=evaluation, key=key, value=value)
    if int(str(tx.value("evaluations.count_tags", dataset=evaluation))) > TAGS_MAX:
        raise _bad("tags", f"a dataset has at most {TAGS_MAX} tags")


def delete_tag(tx: Transaction, evaluation: str, key: str) -> None:
    """Take a tag off a dataset, if it has it."""
    tx.run("evaluations.untag", dataset=evaluation, key=key)


def join(tx: Transaction, evaluation: str, places: Sequence[str]) -> Evaluation:
    """Make a dataset belong to experiments.

    Raises:
        NotFound: there is no such dataset or experiment.
        Invalid: there are more than 100.
    """
    found = get(tx, evaluation)
    _require_few(places)
    for place in places:
        tx.run("evaluations.join", dataset=evaluation, experiment=experiments.get(tx, place).id)
    return found


def leave(tx: Transaction, evaluation: str, places: Sequence[str]) -> Evaluation:
    """Make a dataset belong to experiments no longer.

    Raises:
        NotFound: there is no such dataset.
        Invalid: this is no experiment's id, or there are more than 100.
    """
    found = get(tx, evaluation)
    _require_few(places)
    for place in places:
        tx.run("evaluations.leave", dataset=evaluation, experiment=experiments.parse_id(place))
    return found


def touch(tx: Transaction, site: Site, found: Evaluation) -> Evaluation:
    """Note that a dataset was changed now."""
    row = {name: getattr(found, name) for name in ("id", "schema", "profile", "digest", "updated_by")}
    tx.run("evaluations.update", **row, updated_ms=site.clock.now_us() // 1000)
    return get(tx, found.id)


def search(
    reader: Reader,
    places: Sequence[str],
    *,
    where: str = "",
    orders: Sequence[str] = (),
    count: int = 1000,
    token: str = "",
) -> Found:
    """Return a page of datasets, the newest first unless an order says otherwise.

    Args:
        reader: where the rows are.
        places: ids of experiments, to one of which they belong; empty for all.
        where: the filter.
        orders: such as `name ASC`.
        count: datasets on a page, 1 to 10000.
        token: of the page before.

    Raises:
        Invalid: filter, order, count or token is not understood.
    """
    if not 1 <= count <= PAGE_MAX:
        raise _bad("max_results", f"a page has 1 to {PAGE_MAX} datasets, not {count}")
    numbers = tuple(experiments.parse_id(place) for place in places)
    clauses, order = parse(where, VOCABULARY), parse_order(orders, VOCABULARY)
    asked = [list(numbers), where, list(orders)]
    keys = composing.dataset_keys(order)
    place = paging.after(token, asked, "".join(key.kind for key in keys))
    rows = composing.datasets(reader, experiments=numbers, clauses=clauses, keys=keys, after=place, count=count + 1)
    found = [Evaluation(**{name: row[name] for name in Evaluation.__slots__}) for row in rows]  # type: ignore[arg-type]
    if len(found) <= count:
        return Found(evaluations=tuple(found), token="")
    last = found[count - 1]
    return Found(
        evaluations=tuple(found[:count]),
        token=paging.token(asked, [getattr(last, key.sql.removeprefix("d.")) for key in keys]),
    )


def _require_few(places: Sequence[str]) -> None:
    if len(places) > EXPERIMENTS_MAX:
        raise _bad("experiment_ids", f"at most {EXPERIMENTS_MAX} experiments in one request")


def _bad(where: str, why: str) -> Invalid:
    return Invalid("evaluation-invalid", "An evaluation dataset cannot be like this.", where=where, why=why)
