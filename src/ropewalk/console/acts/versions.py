"""A version of a model is described, tagged, moved between stages and deleted; a logged model becomes one."""

from __future__ import annotations

from urllib.parse import quote

from ropewalk.console.acts.fields import described, tag_fields, tag_gone
from ropewalk.console.acts.models import home_of
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.console.registry import address_of
from ropewalk.models import aliases, logged, registered, spelling, stages, versions
from ropewalk.models.logged import LoggedModel
from ropewalk.models.registration import register
from ropewalk.models.versions import ModelVersion
from ropewalk.releases import release
from ropewalk.store.database import Reader, Transaction

HOME = "/models/{name}/{number}/do"
LOGGED = "/logged/{model}/do"
MODELS_SHOWN = 500


def _found(given: Given, rows: Reader) -> ModelVersion:
    return versions.resolve(rows, given.path["name"], given.path["number"])


def _address(rows: Reader, found: ModelVersion) -> str:
    return f"{home_of(rows, registered.get(rows, found.name))}/{found.version}"


def _sheet(rows: Reader, found: ModelVersion, title: str, button: str, *fields: Field) -> Sheet:
    return Sheet(
        title=f"{title} {found.name} version {found.version}",
        button=button,
        back=_address(rows, found),
        back_word=found.ref,
        fields=fields,
    )


def _describe(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    return _sheet(rows, found, "Describe", "Save", described(spelling.TEXT_LETTERS_MAX, found.description))


def describe(given: Given, tx: Transaction) -> Done:
    """Say what a version is."""
    found = _found(given, tx)
    versions.describe(tx, given.site, found.name, found.version, given.word("description"))
    return Done(told="The description is saved.", address=_address(tx, found))


def _tag(given: Given, rows: Reader) -> Sheet:
    fields = tag_fields(given, spelling.VALUE_LETTERS_MAX)
    return _sheet(rows, _found(given, rows), "Set a tag of", "Set tag", *fields)


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of a version."""
    found, key = _found(given, tx), given.word("key")
    versions.set_tag(tx, given.site, found.name, found.version, key=key, value=given.text("value"))
    return Done(told=f"Tag {key} is set.", address=_address(tx, found))


def _untag(given: Given, rows: Reader) -> Sheet:
    return _sheet(rows, _found(given, rows), "Delete a tag of", "Delete tag", tag_gone(given))


def untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of a version away."""
    found = _found(given, tx)
    versions.delete_tag(tx, given.site, found.name, found.version, given.text("key"))
    return Done(told=f"Tag {given.text('key')} is gone.", address=_address(tx, found))


def _stage(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    fields = (
        Field(
            name="stage",
            label="Stage",
            kind="select",
            options=tuple((word, word) for word in stages.STAGES),
            values=(found.stage,),
            hint="Stages are MLflow's older word for what aliases do.",
        ),
        Field(name="archive", label="Archive whatever else is in that stage", kind="check"),
    )
    return _sheet(rows, found, "Move", "Move", *fields)


def stage(given: Given, tx: Transaction) -> Done:
    """Move a version to another stage."""
    found = _found(given, tx)
    archive = given.text("archive") == "1" and given.text("stage") in stages.ACTIVE
    moved = stages.transition(tx, given.site, found.name, found.version, given.text("stage"), archive_existing=archive)
    return Done(told=f"{found.ref} is in {moved.stage} now.", address=_address(tx, found))


def _delete(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    words = [one.alias for one in aliases.of_model(rows, found.model) if one.version == found.version]
    told = [f"Version {found.version} of {found.name} goes; its number is not given again."]
    if words:
        told.append(f"It is meant by {', '.join(words)}; what still asks for that gets an error.")
    told.append("Its run and its files stay.")
    return Sheet(
        title=f"Delete {found.name} version {found.version}",
        button="Delete version",
        back=_address(rows, found),
        back_word=found.ref,
        told=tuple(told),
        undo="Not possible. Register it anew from its run; it then has another number.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete a version."""
    found = _found(given, tx)
    home = home_of(tx, registered.get(tx, found.name))
    versions.delete(tx, given.site, found.name, found.version, holder=release.of_model)
    return Done(told=f"Version {found.version} is deleted.", address=home)


def _logged_home(model: LoggedModel) -> str:
    return f"/logged/{quote(model.id, safe='')}"


def _register(given: Given, rows: Reader) -> Sheet:
    model = logged.get(rows, given.path["model"])
    names = [str(row["name"]) for row in rows.rows("console.model_names", count=MODELS_SHOWN)]
    fields = [Field(name="new", label="New name", hint=f"such as {model.name}", size=spelling.NAME_LETTERS_MAX)]
    if names:
        options = (("", "a new one"), *((name, name) for name in names))
        fields.insert(0, Field(name="name", label="Registered model", kind="select", options=options))
    return Sheet(
        title=f"Register {model.name}",
        button="Register",
        back=_logged_home(model),
        back_word=model.name,
        told=("It becomes the next version of a registered model: of one that is there, or of a new one.",),
        fields=(*fields, described(spelling.TEXT_LETTERS_MAX)),
    )


def register_logged(given: Given, tx: Transaction) -> Done:
    """Make a logged model the next version of a registered one."""
    model = logged.get(tx, given.path["model"])
    name = given.word("new") or given.text("name")
    if registered.find(tx, name) is None:
        registered.create(tx, given.site, name)
    made = register(
        tx,
        given.site,
        name=name,
        source=f"models:/{model.id}",
        logged_model=model.id,
        description=given.word("description"),
    )
    return Done(told=f"Registered as {made.ref}.", address=address_of(made.name, made.version))


def _logged_tag(given: Given, rows: Reader) -> Sheet:
    model = logged.get(rows, given.path["model"])
    fields = tag_fields(given, spelling.VALUE_LETTERS_MAX)
    title = f"Set a tag of {model.name}"
    return Sheet(title=title, button="Set tag", back=_logged_home(model), back_word=model.name, fields=fields)


def logged_tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of a logged model."""
    model, key = logged.get(tx, given.path["model"]), given.word("key")
    logged.set_tags(tx, given.site, model.id, [(key, given.text("value"))])
    return Done(told=f"Tag {key} is set.", address=_logged_home(model))


def _logged_untag(given: Given, rows: Reader) -> Sheet:
    model = logged.get(rows, given.path["model"])
    title = f"Delete a tag of {model.name}"
    return Sheet(
        title=title, button="Delete tag", back=_logged_home(model), back_word=model.name, fields=(tag_gone(given),)
    )


def logged_untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of a logged model away."""
    model = logged.get(tx, given.path["model"])
    logged.delete_tag(tx, given.site, model.id, given.text("key"))
    return Done(told=f"Tag {given.text('key')} is gone.", address=_logged_home(model))


ACTS = (
    Act(path=f"{HOME}/describe", action="write", sheet=_describe, work=describe),
    Act(path=f"{HOME}/tag", action="write", sheet=_tag, work=tag),
    Act(path=f"{HOME}/untag", action="write", sheet=_untag, work=untag),
    Act(path=f"{HOME}/stage", action="write", sheet=_stage, work=stage),
    Act(path=f"{HOME}/delete", action="write", sheet=_delete, work=delete),
    Act(path=f"{LOGGED}/register", action="write", sheet=_register, work=register_logged),
    Act(path=f"{LOGGED}/tag", action="write", sheet=_logged_tag, work=logged_tag),
    Act(path=f"{LOGGED}/untag", action="write", sheet=_logged_untag, work=logged_untag),
)
