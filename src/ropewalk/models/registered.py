"""Registered models: a name that versions, tags and aliases belong to, and that may be given to something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.models import news, prompts, spelling
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

# Says who needs a model (version 0: any of its versions) and must keep it from being deleted or renamed, such as a
# release; empty for nobody. The rooms above know; they hand it down.
Holder = Callable[[Reader, str, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """One registered model as it stands.

    Attributes:
        id: its number, which stays when it is renamed.
        name: what people call it.
        author: who made it.
        description: what people say of it.
        created_us: microseconds since the epoch.
        updated_us: microseconds since the epoch.
    """

    id: int
    name: str
    author: str
    description: str
    created_us: int
    updated_us: int

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"model:{self.name}"


def find(reader: Reader, name: str) -> RegisteredModel | None:
    """Return a registered model, or None."""
    return reader.get(RegisteredModel, "models.model", name=name)


def get(reader: Reader, name: str) -> RegisteredModel:
    """Return a registered model.

    Raises:
        Invalid: the name can be no model's.
        NotFound: there is none.
    """
    spelling.check_name(name)
    found = find(reader, name)
    if found is None:
        raise NotFound("model-not-found", "There is no such registered model.", where=name, fix="ropewalk status")
    return found


def create(
    tx: Transaction, site: Site, name: str, *, tags: Mapping[str, str] | None = None, description: str = ""
) -> RegisteredModel:
    """Make a registered model without versions.

    Raises:
        Invalid: the name or a tag is none.
        Conflict: the name is taken.
    """
    given = dict(tags or {})
    spelling.check_name(name)
    spelling.check_text(description, "description")
    for key, value in given.items():
        spelling.check_tag(key, value)
    known = find(tx, name)
    if known is not None:
        raise _taken(name, is_prompt(tx, known), prompts.is_prompt(given))
    row = {"name": name, "author": site.actor, "description": description, "created_us": site.clock.now_us()}
    model = int(str(tx.rows("models.model_insert", **row)[0]["id"]))
    tx.many("models.model_tag_put", [{"model": model, "key": key, "value": value} for key, value in given.items()])
    hashes = {key: hash_of(value) for key, value in given.items()}
    site.record(tx, "model.created", f"model:{name}", {"model": model, "name": name})
    for key, hashed in hashes.items():
        site.record(tx, "model.tag", f"model:{name}", {"model": model, "version": 0, "key": key, "hash": hashed})
    news.model_created(tx, site, name, given, description)
    return get(tx, name)


def describe(tx: Transaction, site: Site, name: str, description: str) -> RegisteredModel:
    """Say what a model is; return it as it then stands.

    Raises:
        NotFound: there is none.
    """
    spelling.check_text(description, "description")
    model = get(tx, name)
    tx.run("models.model_describe", id=model.id, description=description, updated_us=site.clock.now_us())
    site.record(tx, "model.described", model.subject, {"model": model.id, "hash": hash_of(description)})
    return get(tx, name)


def rename(tx: Transaction, site: Site, name: str, new_name: str, *, holder: Holder) -> RegisteredModel:
    """Give a model another name; its versions, tags and aliases with all their history come along.

    Raises:
        Invalid: the new name is none.
        NotFound: there is no such model.
        Conflict: the new name is taken, or a release was signed for the old one.
    """
    spelling.check_name(new_name)
    model = get(tx, name)
    if new_name == name:
        return model
    require_free(tx, name, 0, holder, "renamed")
    other = find(tx, new_name)
    if other is not None:
        raise _taken(new_name, is_prompt(tx, other), is_prompt(tx, model))
    tx.run("models.model_rename", id=model.id, name=new_name, updated_us=site.clock.now_us())
    body = {"model": model.id, "name": new_name, "before": name}
    site.record(tx, "model.renamed", f"model:{new_name}", body)
    return get(tx, new_name)


def delete(tx: Transaction, site: Site, name: str, *, holder: Holder) -> None:
    """Delete a model with its versions; what the ledger says of them stays, and the name is free again.

    Raises:
        NotFound: there is none.
        Conflict: a release refers to one of its versions.
    """
    model = get(tx, name)
    require_free(tx, name, 0, holder, "deleted")
    tx.run("models.model_delete", id=model.id, deleted_us=site.clock.now_us())
    site.record(tx, "model.deleted", model.subject, {"model": model.id, "name": name})


def touch(tx: Transaction, site: Site, model: int) -> None:
    """Note that something of a model has changed now."""
    tx.run("models.model_touch", id=model, updated_us=site.clock.now_us())


def tags(reader: Reader, model: RegisteredModel) -> dict[str, str]:
    """Return a model's own tags."""
    return {str(row["key"]): str(row["value"]) for row in reader.rows("models.model_tags", model=model.id)}


def set_tag(tx: Transaction, site: Site, name: str, key: str, value: str) -> None:
    """Set a model's own tag.

    Raises:
        Invalid: it can be no tag.
        NotFound: there is no such model.
    """
    spelling.check_tag(key, value)
    model = get(tx, name)
    tx.run("models.model_tag_put", model=model.id, key=key, value=value)
    body = {"model": model.id, "version": 0, "key": key, "hash": hash_of(value)}
    site.record(tx, "model.tag", model.subject, body)
    news.tag_changed(tx, site, name, 0, key, value, prompt=is_prompt(tx, model))


def delete_tag(tx: Transaction, site: Site, name: str, key: str) -> None:
    """Take a model's own tag away; one that is not there is no error.

    Raises:
        Invalid: it can be no tag's key.
        NotFound: there is no such model.
    """
    spelling.check_key(key)
    model = get(tx, name)
    prompt = is_prompt(tx, model)
    if tx.run("models.model_tag_delete", model=model.id, key=key):
        site.record(tx, "model.untagged", model.subject, {"model": model.id, "version": 0, "key": key})
        news.tag_changed(tx, site, name, 0, key, None, prompt=prompt)


def is_prompt(reader: Reader, model: RegisteredModel) -> bool:
    """Say whether a registered model is a prompt."""
    return str(reader.value("models.model_tag", model=model.id, key=prompts.MARK) or "").lower() == "true"


def require_free(reader: Reader, name: str, version: int, holder: Holder, done: str) -> None:
    """Pass only when nobody above needs a model, or one version of it, under its name.

    Raises:
        Conflict: somebody does; the error says who.
    """
    held = holder(reader, name, version)
    if held:
        raise Conflict(
            "model-released",
            f"A model that was released cannot be {done}.",
            where=f"{name}/{version}" if version else name,
            why=f"release {held} was signed for it, and its evidence names it",
            fix="register it anew under another name: client.copy_model_version",
        )


def require_typed(model: RegisteredModel, typed: str) -> None:
    """Pass only who has typed a model's name before it goes for good.

    Raises:
        Invalid: another text was typed.
    """
    if typed != model.name:
        raise Invalid(
            "model-name-untyped",
            "Nothing was deleted: this is not its name.",
            where="name",
            why=f"typed {typed[:80]!r}, wanted {model.name[:80]!r}",
            fix="type the name as it stands there",
        )


def hash_of(text: str) -> str:
    """Return the sha256 of a text as the ledger keeps it: 64 hex digits, bare, for it names no file."""
    return sha256(text.encode()).hexdigest()


def _taken(name: str, old_is_prompt: bool, new_is_prompt: bool) -> Conflict:
    words = {True: "Prompt", False: "Registered Model"}
    why = "a model and a prompt cannot share a name" if old_is_prompt != new_is_prompt else ""
    return Conflict("model-exists", f"{words[old_is_prompt]} (name={name}) already exists.", where=name, why=why)
