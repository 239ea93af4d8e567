"""Registered models and prompts are created, renamed, described, tagged, aliased and deleted."""

from __future__ import annotations

from ropewalk.console.acts.fields import described, tag_fields, tag_gone
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.console.registry import address_of
from ropewalk.models import aliases, prompts, registered, spelling, versions
from ropewalk.models.registered import RegisteredModel
from ropewalk.models.registration import new_prompt
from ropewalk.releases import release
from ropewalk.store.database import Reader, Transaction

HOME = "/models/{name}/do"
NAME = Field(name="name", label="Name", required=True, size=spelling.NAME_LETTERS_MAX)
DESCRIPTION = described(spelling.TEXT_LETTERS_MAX)
TEMPLATE = Field(
    name="template",
    label="Text",
    kind="area",
    hint="What changes stands in double braces: Answer shortly: {{question}}",
    required=True,
    size=spelling.VALUE_LETTERS_MAX,
)
MESSAGE = Field(name="message", label="What changed, and why", size=1000)


def home_of(rows: Reader, model: RegisteredModel) -> str:
    """Return the address of a model's or a prompt's page."""
    home = "/prompts" if registered.is_prompt(rows, model) else "/models"
    return address_of(model.name, home=home)


def _found(given: Given, rows: Reader) -> RegisteredModel:
    return registered.get(rows, given.path["name"])


def _sheet(rows: Reader, found: RegisteredModel, title: str, button: str, *fields: Field) -> Sheet:
    return Sheet(
        title=f"{title} {found.name}", button=button, back=home_of(rows, found), back_word=found.name, fields=fields
    )


def _create(_given: Given, _rows: Reader) -> Sheet:
    return Sheet(
        title="New registered model",
        button="Create",
        back="/models",
        back_word="Models",
        told=("A registered model is a name under which versions are counted; it begins without any.",),
        fields=(NAME, DESCRIPTION),
    )


def create(given: Given, tx: Transaction) -> Done:
    """Create a registered model."""
    made = registered.create(tx, given.site, given.word("name"), description=given.word("description"))
    return Done(told=f"Model {made.name} is there; it has no version yet.", address=address_of(made.name))


def _create_prompt(_given: Given, _rows: Reader) -> Sheet:
    return Sheet(
        title="New prompt",
        button="Create",
        back="/prompts",
        back_word="Prompts",
        fields=(NAME, TEMPLATE, MESSAGE),
    )


def create_prompt(given: Given, tx: Transaction) -> Done:
    """Create a prompt with its first version."""
    name = given.word("name")
    registered.create(tx, given.site, name, tags={prompts.MARK: "true"})
    new_prompt(tx, given.site, name, given.text("template"), message=given.word("message"))
    return Done(told=f"Prompt {name} is there.", address=address_of(name, home="/prompts"))


def _prompt_version(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    newest = versions.latest(rows, found.name)
    text = "" if newest is None else versions.tags(rows, newest).get(prompts.TEXT, "")
    field = Field(
        name=TEMPLATE.name,
        label=TEMPLATE.label,
        kind="area",
        hint=TEMPLATE.hint,
        required=True,
        size=TEMPLATE.size,
        values=(text,),
    )
    return _sheet(rows, found, "New version of", "Save as new version", field, MESSAGE)


def prompt_version(given: Given, tx: Transaction) -> Done:
    """Keep a prompt's text as its next version."""
    name = given.path["name"]
    made = new_prompt(tx, given.site, name, given.text("template"), message=given.word("message"))
    return Done(told=f"Version {made.version} is saved.", address=address_of(name, home="/prompts"))


def _rename(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    field = Field(name="name", label="Name", values=(found.name,), required=True, size=spelling.NAME_LETTERS_MAX)
    return _sheet(rows, found, "Rename", "Rename", field)


def rename(given: Given, tx: Transaction) -> Done:
    """Give a model another name."""
    name = given.path["name"]
    found = registered.rename(tx, given.site, name, given.word("name"), holder=release.of_model)
    told = f"{name} is called {found.name} now; its versions and aliases came along."
    return Done(told=told, address=home_of(tx, found))


def _describe(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    return _sheet(rows, found, "Describe", "Save", described(spelling.TEXT_LETTERS_MAX, found.description))


def describe(given: Given, tx: Transaction) -> Done:
    """Say what a model is."""
    found = registered.describe(tx, given.site, given.path["name"], given.word("description"))
    return Done(told="The description is saved.", address=home_of(tx, found))


def _tag(given: Given, rows: Reader) -> Sheet:
    fields = tag_fields(given, spelling.VALUE_LETTERS_MAX)
    return _sheet(rows, _found(given, rows), "Set a tag of", "Set tag", *fields)


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of a model."""
    key = given.word("key")
    registered.set_tag(tx, given.site, given.path["name"], key, given.text("value"))
    return Done(told=f"Tag {key} is set.", address=home_of(tx, _found(given, tx)))


def _untag(given: Given, rows: Reader) -> Sheet:
    return _sheet(rows, _found(given, rows), "Delete a tag of", "Delete tag", tag_gone(given))


def untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of a model away."""
    registered.delete_tag(tx, given.site, given.path["name"], given.text("key"))
    return Done(told=f"Tag {given.text('key')} is gone.", address=home_of(tx, _found(given, tx)))


def _alias(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    known = versions.list_versions(rows, found.name, count=200)
    fields = (
        Field(
            name="alias",
            label="Alias",
            hint="champion, challenger, …",
            values=given.form.get("alias", ()),
            required=True,
            size=spelling.ALIAS_LETTERS_MAX,
        ),
        Field(
            name="version",
            label="Version",
            kind="select",
            options=tuple((str(one.version), f"version {one.version}") for one in known),
            values=given.form.get("version", ()),
        ),
    )
    return _sheet(rows, found, "Set an alias of", "Set alias", *fields)


def alias(given: Given, tx: Transaction) -> Done:
    """Point an alias at a version."""
    name, word = given.path["name"], given.word("alias")
    found = versions.resolve(tx, name, given.word("version"))
    before = versions.aliases(tx, name).get(word, 0)
    versions.set_alias(tx, given.site, name, word, found.version)
    told = f"{word} means version {found.version} now"
    told += f"; it meant version {before} before." if before not in (0, found.version) else "."
    return Done(told=told, address=f"{home_of(tx, _found(given, tx))}#aliases")


def _unalias(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    word = given.text("alias")
    before = versions.aliases(rows, found.name).get(word, 0)
    return Sheet(
        title=f"Take alias {word} away",
        button="Take away",
        back=f"{home_of(rows, found)}#aliases",
        back_word=found.name,
        told=(
            f"Who asks for models:/{found.name}@{word} gets an error from then on."
            + (f" It means version {before} now." if before else ""),
        ),
        undo=f"Set {word} again{f' to version {before}' if before else ''}; every move of it stays known.",
        fields=(Field(name="alias", kind="hidden", values=(word,)),),
        danger=True,
    )


def unalias(given: Given, tx: Transaction) -> Done:
    """Take an alias away."""
    name, word = given.path["name"], given.text("alias")
    spelling.check_alias(word)
    if word in versions.aliases(tx, name):
        versions.set_alias(tx, given.site, name, word, 0)
    return Done(told=f"{word} means nothing now.", address=f"{home_of(tx, _found(given, tx))}#aliases")


def _delete(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    count = int(str(rows.value("console.versions_of_model", model=found.id)))
    words = [item.alias for item in aliases.of_model(rows, found.id)]
    told = [f"{count:,} {'version' if count == 1 else 'versions'} of it go with it, and this cannot be undone."]
    if words:
        told.append(f"From then on nothing is meant by {', '.join(words)}.")
    told.append("The runs and the files that the versions were made of stay; the ledger keeps what was done.")
    return Sheet(
        title=f"Delete {found.name}",
        button="Delete for good",
        back=home_of(rows, found),
        back_word=found.name,
        told=tuple(told),
        undo="Not possible. Register the versions anew from their runs.",
        fields=(
            Field(name="name", label="Type its name to be sure", required=True, hint=found.name),
            Field(name="home", kind="hidden", values=("/prompts" if registered.is_prompt(rows, found) else "/models",)),
        ),
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete a model with its versions, when its name was typed."""
    name = given.path["name"]
    found = registered.get(tx, name)
    home = "/prompts" if registered.is_prompt(tx, found) else "/models"
    registered.require_typed(found, given.word("name"))
    registered.delete(tx, given.site, name, holder=release.of_model)
    return Done(told=f"{name} is deleted.", address=home)


ACTS = (
    Act(path="/models/do/create", action="write", sheet=_create, work=create),
    Act(path="/prompts/do/create", action="write", sheet=_create_prompt, work=create_prompt),
    Act(path="/prompts/{name}/do/version", action="write", sheet=_prompt_version, work=prompt_version),
    Act(path=f"{HOME}/rename", action="write", sheet=_rename, work=rename),
    Act(path=f"{HOME}/describe", action="write", sheet=_describe, work=describe),
    Act(path=f"{HOME}/tag", action="write", sheet=_tag, work=tag),
    Act(path=f"{HOME}/untag", action="write", sheet=_untag, work=untag),
    Act(path=f"{HOME}/alias", action="write", sheet=_alias, work=alias),
    Act(path=f"{HOME}/unalias", action="write", sheet=_unalias, work=unalias, asks=True),
    Act(path=f"{HOME}/delete", action="write", sheet=_delete, work=delete),
)
