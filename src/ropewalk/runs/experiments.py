"""Experiments: what runs belong to; they are renamed, deleted with their runs, and restored with them."""

from __future__ import annotations

import re

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.records import frozen
from ropewalk.runs.keys import check_tag_key, check_text
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

DEFAULT = 0
ACTIVE = "active"
DELETED = "deleted"
LOCATION = "mlflow-artifacts:"
NAME_LETTERS_MAX = 500
LOCATION_LETTERS_MAX = 2048
TAG_LETTERS_MAX = 20_000
ID_MAX = (1 << 63) - 1


@frozen
class Experiment:
    """One experiment.

    Attributes:
        id: 0 for `Default`, which is always there.
        name: unique, also among deleted ones.
        location: artifact URI below which its runs keep their files.
        state: `active` or `deleted`.
        created_us: microseconds since the epoch; 0 for `Default`.
        updated_us: of its last renaming, deletion or restoration.
    """

    id: int
    name: str
    location: str
    state: str
    created_us: int
    updated_us: int

    @property
    def subject(self) -> str:
        """How the ledger and events name it."""
        return f"experiment:{self.id}"


def create(
    tx: Transaction, site: Site, name: object, *, location: str = "", tags: dict[str, str] | None = None
) -> Experiment:
    """Make an experiment and write that into the ledger.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        name: at most 500 characters.
        location: artifact URI; empty for one of the server's own.
        tags: its tags.

    Raises:
        Invalid: the name, the location or a tag is none.
        Conflict: there is one of that name, deleted perhaps.
    """
    fit = _name(name)
    _check_location(location)
    for key, value in (tags or {}).items():
        _check_tag(key, value)
    made = tx.value("experiments.insert", name=fit, location=location, at_us=site.clock.now_us())
    if made is None:
        raise _taken(tx, fit)
    number = int(str(made))
    if not location:
        tx.run("experiments.locate", id=number, location=f"{LOCATION}/{number}")
    for key, value in (tags or {}).items():
        tx.run("experiments.tag", id=number, key=key, value=value)
    return _told(tx, site, number, "experiment.created")


def named(tx: Transaction, site: Site, name: str) -> Experiment:
    """Return the experiment of a name, made when there is none.

    Raises:
        Invalid: the name is none.
        Conflict: it is deleted.
    """
    found = by_name(tx, name)
    if found is None:
        return create(tx, site, name)
    if found.state != ACTIVE:
        raise _taken(tx, name)
    return found


def get(reader: Reader, number: object) -> Experiment:
    """Return an experiment by its id, deleted ones too.

    Args:
        reader: where the rows are.
        number: its id, as a number or as digits.

    Raises:
        Invalid: this is no id.
        NotFound: there is no such experiment.
    """
    fit = parse_id(number)
    found = reader.get(Experiment, "experiments.get", id=fit)
    if found is None:
        raise NotFound("experiment-not-found", "There is no such experiment.", where=f"experiment:{fit}")
    return found


def active(reader: Reader, number: object) -> Experiment:
    """Return an experiment by its id if it is not deleted.

    Raises:
        Invalid: this is no id, or the experiment is deleted.
        NotFound: there is no such experiment.
    """
    found = get(reader, number)
    if found.state != ACTIVE:
        raise Invalid(
            "experiment-deleted",
            "The experiment is deleted.",
            where=found.subject,
            why="what is deleted takes no runs and no tags",
            fix="restore it first",
        )
    return found


def by_name(reader: Reader, name: str) -> Experiment | None:
    """Return the experiment of a name, deleted ones too, or None."""
    return reader.get(Experiment, "experiments.by_name", name=name)


def tags_of(reader: Reader, number: int) -> dict[str, str]:
    """Return an experiment's tags by key."""
    return {str(row["key"]): str(row["value"]) for row in reader.rows("experiments.tags", id=number)}


def rename(tx: Transaction, site: Site, number: object, name: object) -> Experiment:
    """Give an experiment another name.

    Raises:
        Invalid: this is no id, or no name.
        NotFound: there is no such experiment.
        Conflict: it is deleted, or the name is another one's.
    """
    fit, found = _name(name), get(tx, number)
    if found.state != ACTIVE:
        raise _deleted_already(found, "renamed")
    other = by_name(tx, fit)
    if other is not None and other.id != found.id:
        raise _taken(tx, fit)
    tx.run("experiments.rename", id=found.id, name=fit, at_us=site.clock.now_us())
    return _told(tx, site, found.id, "experiment.renamed")


def delete(tx: Transaction, site: Site, number: object) -> Experiment:
    """Delete an experiment with its runs; all of it can be restored.

    Raises:
        Invalid: this is no id.
        NotFound: there is no such experiment, or it is deleted already.
    """
    found = get(tx, number)
    if found.state != ACTIVE:
        raise NotFound("experiment-not-found", "The experiment is deleted already.", where=found.subject)
    now_us = site.clock.now_us()
    tx.run("experiments.move", id=found.id, state=DELETED, at_us=now_us)
    tx.run("experiments.delete_runs", id=found.id, at_us=now_us)
    return _told(tx, site, found.id, "experiment.deleted")


def restore(tx: Transaction, site: Site, number: object) -> Experiment:
    """Take a deletion back, for the experiment and all of its runs.

    Raises:
        Invalid: this is no id.
        NotFound: there is no such experiment, or it is not deleted.
    """
    found = get(tx, number)
    if found.state != DELETED:
        raise NotFound("experiment-not-found", "There is no such deleted experiment.", where=found.subject)
    tx.run("experiments.move", id=found.id, state=ACTIVE, at_us=site.clock.now_us())
    tx.run("experiments.restore_runs", id=found.id)
    return _told(tx, site, found.id, "experiment.restored")


def set_tag(tx: Transaction, site: Site, number: object, key: object, value: object) -> None:
    """Set a tag; a later value takes the place of an earlier one.

    Raises:
        Invalid: this is no id, no key or no value, or the experiment is deleted.
        NotFound: there is no such experiment.
    """
    fit, text = _check_tag(key, value)
    found = active(tx, number)
    tx.run("experiments.tag", id=found.id, key=fit, value=text)
    site.record(tx, "experiment.tagged", found.subject, {"key": fit, "value": text})


def delete_tag(tx: Transaction, site: Site, number: object, key: object) -> None:
    """Take a tag away.

    Raises:
        Invalid: this is no id, or the experiment is deleted.
        NotFound: there is no such experiment, or it has no such tag.
    """
    found = active(tx, number)
    if not tx.run("experiments.untag", id=found.id, key=str(key)):
        raise NotFound("tag-not-found", "The experiment has no such tag.", where=f"{found.subject} {str(key)[:80]}")
    site.record(tx, "experiment.untagged", found.subject, {"key": str(key)})


def parse_id(number: object) -> int:
    """Return the number that an experiment's id stands for.

    Raises:
        Invalid: it is no whole number that fits 64 bits.
    """
    text = str(number)
    if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or int(text) > ID_MAX:
        raise Invalid(
            "experiment-id-invalid",
            "An experiment's id is a whole number.",
            where="experiment_id",
            why=f"found {text[:80]!r}",
        )
    return int(text)


def _told(tx: Transaction, site: Site, number: int, kind: str) -> Experiment:
    found = get(tx, number)
    site.record(tx, kind, found.subject, {"name": found.name, "state": found.state, "location": found.location})
    return found


def _name(name: object) -> str:
    if not isinstance(name, str) or not name or len(name) > NAME_LETTERS_MAX:
        raise Invalid(
            "experiment-name-invalid",
            "This cannot be an experiment's name.",
            where="name",
            why=f"a name is a text of 1 to {NAME_LETTERS_MAX} characters, found {str(name)[:80]!r}",
        )
    return name


def _check_location(location: str) -> None:
    if len(location) > LOCATION_LETTERS_MAX or location.startswith("runs:") or re.search(r"[\x00-\x20]|\.\.", location):
        raise Invalid(
            "location-invalid",
            "This cannot be an artifact location.",
            where="artifact_location",
            why=f"a location is a URI of at most {LOCATION_LETTERS_MAX:,} characters, without spaces and '..', and "
            "not runs:",
        )


def _check_tag(key: object, value: object) -> tuple[str, str]:
    return check_tag_key(key), check_text("tag", str(key), value, TAG_LETTERS_MAX)


def _taken(reader: Reader, name: str) -> Conflict:
    found = by_name(reader, name)
    gone = found is not None and found.state != ACTIVE
    return Conflict(
        "experiment-exists",
        f"Experiment {name[:80]!r} already exists, deleted." if gone else f"Experiment {name[:80]!r} already exists.",
        where=found.subject if found else "",
        fix="restore it, or take another name" if gone else "take another name",
    )


def _deleted_already(found: Experiment, what: str) -> Conflict:
    return Conflict(
        "experiment-state",
        f"A deleted experiment cannot be {what}.",
        where=found.subject,
        why=f"it is {found.state}",
        fix="restore it first",
    )
