"""Experiments are created, renamed, described, tagged, deleted and restored."""

from __future__ import annotations

from ropewalk.console.acts.fields import described, tag_fields, tag_gone
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.runs import experiments
from ropewalk.runs.experiments import Experiment
from ropewalk.store.database import Reader, Transaction

NOTE = "mlflow.note.content"
HOME = "/experiments/{experiment}/do"


def address_of(number: int) -> str:
    """Return the address of an experiment's runs."""
    return f"/runs?experiment={number}"


def _found(given: Given, rows: Reader) -> Experiment:
    return experiments.get(rows, given.path["experiment"])


def _sheet(found: Experiment, title: str, button: str, *fields: Field) -> Sheet:
    return Sheet(
        title=title, button=button, back=address_of(found.id), back_word=f"Experiment {found.name}", fields=fields
    )


def _create(_given: Given, _rows: Reader) -> Sheet:
    return Sheet(
        title="New experiment",
        button="Create",
        back="/runs",
        back_word="Runs",
        told=("An experiment is what runs belong to: one question, many tries.",),
        fields=(
            Field(name="name", label="Name", required=True, size=experiments.NAME_LETTERS_MAX),
            described(experiments.TAG_LETTERS_MAX),
        ),
    )


def create(given: Given, tx: Transaction) -> Done:
    """Create an experiment."""
    note = given.word("description")
    made = experiments.create(tx, given.site, given.word("name"), tags={NOTE: note} if note else None)
    return Done(told=f"Experiment {made.name} is there.", address=address_of(made.id))


def _rename(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    field = Field(name="name", label="Name", values=(found.name,), required=True, size=experiments.NAME_LETTERS_MAX)
    return _sheet(found, f"Rename experiment {found.name}", "Rename", field)


def rename(given: Given, tx: Transaction) -> Done:
    """Give an experiment another name."""
    found = experiments.rename(tx, given.site, given.path["experiment"], given.word("name"))
    return Done(told=f"The experiment is called {found.name} now.", address=address_of(found.id))


def _describe(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    note = experiments.tags_of(rows, found.id).get(NOTE, "")
    field = described(experiments.TAG_LETTERS_MAX, note)
    return _sheet(found, f"Describe experiment {found.name}", "Save", field)


def describe(given: Given, tx: Transaction) -> Done:
    """Say what an experiment is for."""
    found = _found(given, tx)
    experiments.set_tag(tx, given.site, found.id, NOTE, given.word("description"))
    return Done(told="The description is saved.", address=address_of(found.id))


def _tag(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    fields = tag_fields(given, experiments.TAG_LETTERS_MAX)
    return _sheet(found, f"Set a tag of experiment {found.name}", "Set tag", *fields)


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of an experiment."""
    found = _found(given, tx)
    experiments.set_tag(tx, given.site, found.id, given.word("key"), given.text("value"))
    return Done(told=f"Tag {given.word('key')} is set.", address=address_of(found.id))


def _untag(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    return _sheet(found, f"Delete a tag of experiment {found.name}", "Delete tag", tag_gone(given))


def untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of an experiment away."""
    found = _found(given, tx)
    experiments.delete_tag(tx, given.site, found.id, given.text("key"))
    return Done(told=f"Tag {given.text('key')} is gone.", address=address_of(found.id))


def _delete(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    runs = int(str(rows.value("console.runs_of", experiment=found.id)))
    return Sheet(
        title=f"Delete experiment {found.name}",
        button="Delete experiment",
        back=address_of(found.id),
        back_word=f"Experiment {found.name}",
        told=(
            f"The experiment goes, and {runs:,} {'run' if runs == 1 else 'runs'} with it; its name stays taken.",
            "Nothing of it is erased: runs, metrics and files stay in the store.",
        ),
        undo="Restore the experiment; it is listed under “deleted”, and all of its runs come back with it.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete an experiment with its runs."""
    found = experiments.delete(tx, given.site, given.path["experiment"])
    undo = f"/experiments/{found.id}/do/restore"
    return Done(told=f"Experiment {found.name} is deleted.", address="/runs", undo=undo)


def _restore(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    return Sheet(
        title=f"Restore experiment {found.name}",
        button="Restore",
        back=address_of(found.id),
        back_word=f"Experiment {found.name}",
        told=("The experiment and all of its runs come back, those too that were deleted one by one before.",),
    )


def restore(given: Given, tx: Transaction) -> Done:
    """Restore an experiment with its runs."""
    found = experiments.restore(tx, given.site, given.path["experiment"])
    return Done(told=f"Experiment {found.name} is back.", address=address_of(found.id))


ACTS = (
    Act(path="/experiments/do/create", action="write", sheet=_create, work=create),
    Act(path=f"{HOME}/rename", action="write", sheet=_rename, work=rename),
    Act(path=f"{HOME}/describe", action="write", sheet=_describe, work=describe),
    Act(path=f"{HOME}/tag", action="write", sheet=_tag, work=tag),
    Act(path=f"{HOME}/untag", action="write", sheet=_untag, work=untag),
    Act(path=f"{HOME}/delete", action="write", sheet=_delete, work=delete),
    Act(path=f"{HOME}/restore", action="write", sheet=_restore, work=restore, restores=True),
)
