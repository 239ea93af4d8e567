"""A run is renamed, described, tagged, deleted and restored."""

from __future__ import annotations

from ropewalk.console.acts.experiments import NOTE, address_of
from ropewalk.console.acts.fields import described, tag_fields, tag_gone
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.runs import batch, remote
from ropewalk.runs import run as runs
from ropewalk.runs.keys import TAG_LETTERS_MAX
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader, Transaction

HOME = "/runs/{run}/do"


def _found(given: Given, rows: Reader) -> Run:
    return runs.get(rows, given.path["run"])


def _home(run: Run) -> str:
    return f"/runs/{run.id}"


def _sheet(run: Run, title: str, button: str, *fields: Field) -> Sheet:
    return Sheet(title=title, button=button, back=_home(run), back_word=f"Run {run.name}", fields=fields)


def _rename(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    field = Field(name="name", label="Name", values=(run.name,), required=True, size=remote.NAME_LETTERS_MAX)
    return _sheet(run, f"Rename run {run.name}", "Rename", field)


def rename(given: Given, tx: Transaction) -> Done:
    """Give a run another name."""
    run = remote.update(tx, given.site, given.path["run"], name=remote.required_name(given.word("name")))
    return Done(told=f"The run is called {run.name} now.", address=_home(run))


def _describe(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    note = str(rows.value("runs.tag_of", run=run.number, key=NOTE) or "")
    return _sheet(run, f"Describe run {run.name}", "Save", described(TAG_LETTERS_MAX, note))


def describe(given: Given, tx: Transaction) -> Done:
    """Say what a run is."""
    batch.set_tags(tx, given.site, given.path["run"], [(NOTE, given.word("description"))], by_client=False)
    return Done(told="The description is saved.", address=_home(_found(given, tx)))


def _tag(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    return _sheet(run, f"Set a tag of run {run.name}", "Set tag", *tag_fields(given, TAG_LETTERS_MAX))


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of a run."""
    pair = (given.word("key"), given.text("value"))
    batch.set_tags(tx, given.site, given.path["run"], [pair], by_client=False)
    return Done(told=f"Tag {pair[0]} is set.", address=f"{_home(_found(given, tx))}#tags")


def _untag(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    return _sheet(run, f"Delete a tag of run {run.name}", "Delete tag", tag_gone(given))


def untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of a run away."""
    batch.delete_tag(tx, given.site, given.path["run"], given.text("key"), by_client=False)
    return Done(told=f"Tag {given.text('key')} is gone.", address=f"{_home(_found(given, tx))}#tags")


def _delete(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    told = ["The run leaves the table and every search; its metrics and files stay in the store."]
    if run.state in ("running", "scheduled"):
        told.append("It has not ended: what it still logs will be refused.")
    versions = int(str(rows.value("console.versions_of_run", run=run.id)))
    if versions:
        told.append(f"{versions} model {'version' if versions == 1 else 'versions'} came of it and will stay.")
    return Sheet(
        title=f"Delete run {run.name}",
        button="Delete run",
        back=_home(run),
        back_word=f"Run {run.name}",
        told=tuple(told),
        undo="Restore it from its page or from the table under “deleted”, until “ropewalk gc” takes it.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete a run."""
    run = remote.delete(tx, given.site, given.path["run"])
    return Done(told=f"Run {run.name} is deleted.", address=address_of(run.experiment), undo=f"{_home(run)}/do/restore")


def _restore(given: Given, rows: Reader) -> Sheet:
    run = _found(given, rows)
    return _sheet(run, f"Restore run {run.name}", "Restore")


def restore(given: Given, tx: Transaction) -> Done:
    """Restore a run."""
    run = remote.restore(tx, given.site, given.path["run"])
    return Done(told=f"Run {run.name} is back.", address=_home(run))


ACTS = (
    Act(path=f"{HOME}/rename", action="write", sheet=_rename, work=rename),
    Act(path=f"{HOME}/describe", action="write", sheet=_describe, work=describe),
    Act(path=f"{HOME}/tag", action="write", sheet=_tag, work=tag),
    Act(path=f"{HOME}/untag", action="write", sheet=_untag, work=untag),
    Act(path=f"{HOME}/delete", action="write", sheet=_delete, work=delete),
    Act(path=f"{HOME}/restore", action="write", sheet=_restore, work=restore, restores=True),
)
