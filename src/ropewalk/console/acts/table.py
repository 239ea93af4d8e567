"""Many runs at once, chosen in the table or by its filter: deleted, restored and tagged, all of them or none."""

from __future__ import annotations

from collections import Counter

from starlette.datastructures import QueryParams

from ropewalk.console.acts.fields import tag_fields
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.console.query import DELETED, Asked
from ropewalk.errors import Invalid
from ropewalk.runs import batch, experiments, remote, search
from ropewalk.runs.keys import TAG_LETTERS_MAX
from ropewalk.store.database import Reader, Transaction

RUNS_MAX = 10_000
NAMES_SHOWN = 8
PAGE = 1000


def _ids(given: Given, rows: Reader) -> tuple[str, ...]:
    """Return which runs are meant: those that are named, or all that a filter of the table fits.

    Raises:
        Invalid: none is, too many are, or the filter is none.
    """
    found = given.many("run")
    if given.text("every"):
        found = _fitting(given, rows)
    if not found or len(found) > RUNS_MAX:
        raise Invalid(
            "runs-chosen-count",
            "No run is chosen." if not found else "Too many runs are chosen.",
            where="run",
            why=f"1 to {RUNS_MAX:,} at once",
            fix="choose runs in the table" if not found else "narrow the filter",
        )
    return found


def _fitting(given: Given, rows: Reader) -> tuple[str, ...]:
    asked = Asked.read(QueryParams(given.text("every")))
    numbers = tuple(experiments.parse_id(item) for item in asked.experiments) or None
    found: list[str] = []
    token = ""
    while len(found) <= RUNS_MAX:
        page = search.search(rows, asked.text, experiments=numbers, view=asked.view, count=PAGE, token=token)
        found += [run.id for run in page.runs]
        token = page.token
        if not token:
            break
    return tuple(found)


def _back(given: Given) -> str:
    """Return the table as it was looked at, at its first page."""
    return Asked.read(QueryParams(given.text("back") or given.text("every"))).but().address()


def _sheet(given: Given, rows: Reader, ids: tuple[str, ...], title: str, *more: Field) -> Sheet:
    names = [str(row["name"]) for id_ in ids[:NAMES_SHOWN] if (row := rows.row("console.names_of_runs", id=id_))]
    others = len(ids) - len(names)
    said = ", ".join(names) + (f" and {others:,} more" if others > 0 else "")
    return Sheet(
        title=f"{title} {_count(len(ids))}",
        button=f"{title} {_count(len(ids))}",
        back=_back(given),
        back_word="Runs",
        told=(said, "All of them in one transaction: either every one changes or none does."),
        fields=(
            Field(name="run", kind="hidden", values=ids),
            Field(name="back", kind="hidden", values=(given.text("back") or given.text("every"),)),
            *more,
        ),
    )


def _count(number: int) -> str:
    return f"{number:,} {'run' if number == 1 else 'runs'}"


def _delete(given: Given, rows: Reader) -> Sheet:
    ids = _ids(given, rows)
    plain = _sheet(given, rows, ids, "Delete")
    states = Counter(str(row["state"]) for id_ in ids if (row := rows.row("console.state_of_run", id=id_)))
    told = [*plain.told, "Of them " + ", ".join(f"{count:,} {state}" for state, count in sorted(states.items())) + "."]
    return Sheet(
        title=plain.title,
        button=plain.button,
        back=plain.back,
        back_word=plain.back_word,
        told=tuple(told),
        fields=plain.fields,
        undo="Choose them under “deleted” and restore them, until “ropewalk gc” takes them.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete runs."""
    ids = _ids(given, tx)
    for id_ in ids:
        remote.delete(tx, given.site, id_)
    told = f"{_count(len(ids))} deleted. They stand under “deleted”."
    return Done(told=told, address=_back(given))


def _restore(given: Given, rows: Reader) -> Sheet:
    return _sheet(given, rows, _ids(given, rows), "Restore")


def restore(given: Given, tx: Transaction) -> Done:
    """Restore runs."""
    ids = _ids(given, tx)
    for id_ in ids:
        remote.restore(tx, given.site, id_)
    back = Asked.read(QueryParams(given.text("back")))
    address = back.but(view="active").address() if back.view == DELETED else back.but().address()
    return Done(told=f"{_count(len(ids))} restored.", address=address)


def _tag(given: Given, rows: Reader) -> Sheet:
    return _sheet(given, rows, _ids(given, rows), "Tag", *tag_fields(given, TAG_LETTERS_MAX))


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of runs."""
    ids, pair = _ids(given, tx), (given.word("key"), given.text("value"))
    for id_ in ids:
        batch.set_tags(tx, given.site, id_, [pair], by_client=False)
    return Done(told=f"Tag {pair[0]} is set on {_count(len(ids))}.", address=_back(given))


ACTS = (
    Act(path="/runs/do/delete", action="write", sheet=_delete, work=delete, asks=True),
    Act(path="/runs/do/restore", action="write", sheet=_restore, work=restore, asks=True, restores=True),
    Act(path="/runs/do/tag", action="write", sheet=_tag, work=tag, asks=True),
)
