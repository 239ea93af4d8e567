"""The registry: a model's versions, numbered by one, and the aliases that point at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.models import aliases as moves
from ropewalk.models import news, registered, spelling
from ropewalk.models.aliases import Alias
from ropewalk.models.registered import Holder
from ropewalk.refs import is_digest, is_name
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

LATEST = spelling.LATEST
PAGE_ROWS = 1000
VERSION_MAX = (1 << 31) - 1
_DIGITS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        name: the model.
        version: number from 1, growing by one.
        manifest: digest of the manifest that names its bytes; empty for what an MLflow client registered.
        run_id: the run that made it, empty when nobody said.
        author: who registered it.
        created_us: microseconds since the epoch.
        model: number of the registered model, which stays when it is renamed.
        registered_as: the model's name at the time; the ledger's entry about the registration has it.
        source: URI of what was registered.
        storage: URI of where its files are.
        run_link: address of the run, where a client gave one.
        logged_model: id of the logged model it was made of, or empty.
        stage: `None`, `Staging`, `Production` or `Archived`.
        status: `READY`; versions are made whole or not at all.
        status_message: more about the status.
        description: what people say of it.
        updated_us: microseconds since the epoch.
        deleted_us: when it was deleted, None while it is there.
    """

    name: str
    version: int
    manifest: str
    run_id: str
    author: str
    created_us: int
    model: int
    registered_as: str
    source: str
    storage: str
    run_link: str
    logged_model: str
    stage: str
    status: str
    status_message: str
    description: str
    updated_us: int
    deleted_us: int | None

    @property
    def ref(self) -> str:
        """The version as people write it: `flights/3`."""
        return f"{self.name}/{self.version}"

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"model:{self.registered_as}/{self.version}"


def register(tx: Transaction, site: Site, *, name: str, manifest: str, run_id: str) -> ModelVersion:
    """Give a model's bytes the next number; the same run and name again give the same version.

    Raises:
        Invalid: the name or the digest is none.
        Conflict: the run has registered other bytes under this name, or a prompt has the name.
    """
    if not is_name(name) or not is_digest(manifest):
        raise Invalid("model-name-invalid", "This cannot be a model version.", why=f"found {name[:80]!r}, {manifest!r}")
    known = tx.get(ModelVersion, "models.of_name_and_run", name=name, run_id=run_id)
    if known is not None:
        if known.manifest != manifest:
            raise Conflict(
                "model-registered-otherwise",
                "This run has registered other bytes under the same name.",
                where=known.ref,
                why=f"{known.manifest} stands there",
                fix="log the second model under another name",
            )
        return known
    model = registered.find(tx, name) or registered.create(tx, site, name)
    if registered.is_prompt(tx, model):
        raise Conflict("model-exists", "A prompt has this name.", where=name, fix="log the model under another name")
    source = f"runs:/{run_id}/{name}"
    return add(tx, site, name=name, source=source, storage=source, run_id=run_id, manifest=manifest)


def add(
    tx: Transaction,
    site: Site,
    *,
    name: str,
    source: str,
    storage: str,
    run_id: str = "",
    logged_model: str = "",
    manifest: str = "",
    run_link: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """Give a model the next number, for what a source names; `models.source` says which sources are allowed.

    Raises:
        Invalid: a tag or text is none.
        NotFound: there is no such registered model.
    """
    given = dict(tags or {})
    model = registered.get(tx, name)
    _check_texts(given, description=description, run_id=run_id, source=source, storage=storage, run_link=run_link)
    version = int(str(tx.value("models.newest", model=model.id))) + 1
    tx.run(
        "models.insert",
        model=model.id,
        version=version,
        name=name,
        manifest=manifest,
        run_id=run_id,
        author=site.actor,
        source=source,
        storage=storage,
        run_link=run_link,
        logged_model=logged_model,
        description=description,
        created_us=site.clock.now_us(),
    )
    ref = {"model": model.id, "version": version}
    tx.many("models.tag_put", [{**ref, "key": key, "value": value} for key, value in given.items()])
    registered.touch(tx, site, model.id)
    body = {**ref, "manifest": manifest, "run": run_id, "source": source}
    site.record(tx, "model.registered", f"model:{name}/{version}", body)
    for key, value in given.items():
        site.record(tx, "model.tag", f"model:{name}/{version}", {**ref, "key": key, "hash": registered.hash_of(value)})
    news.version_created(tx, site, (name, version), given, source=source, run_id=run_id, description=description)
    return get(tx, name, version)


def _check_texts(given: Mapping[str, str], *, description: str, run_id: str, **addresses: str) -> None:
    spelling.check_text(description, "description")
    spelling.check_text(run_id, "run_id", spelling.ID_LETTERS_MAX)
    for what, text in addresses.items():
        spelling.check_text(text, what, spelling.URI_LETTERS_MAX)
    for key, value in given.items():
        spelling.check_tag(key, value)


def get(reader: Reader, name: str, version: int) -> ModelVersion:
    """Return a version.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(ModelVersion, "models.get", name=name, version=version) if version <= VERSION_MAX else None
    if found is None:
        raise _not_found(f"{name}/{version}")
    return found


def describe(tx: Transaction, site: Site, name: str, version: int, description: str) -> ModelVersion:
    """Say what a version is; return it as it then stands.

    Raises:
        NotFound: there is none.
    """
    spelling.check_text(description, "description")
    found = get(tx, name, version)
    now_us = site.clock.now_us()
    tx.run("models.describe", model=found.model, version=version, description=description, updated_us=now_us)
    body = {"model": found.model, "version": version, "hash": registered.hash_of(description)}
    site.record(tx, "model.described", f"model:{found.ref}", body)
    return get(tx, name, version)


def delete(tx: Transaction, site: Site, name: str, version: int, *, holder: Holder) -> None:
    """Delete a version, and the aliases that point at it; its number is never given again.

    Raises:
        NotFound: there is none.
        Conflict: a release refers to it.
    """
    found = get(tx, name, version)
    registered.require_free(tx, name, version, holder, "deleted")
    for alias in moves.of_model(tx, found.model):
        if alias.version == version:
            set_alias(tx, site, name, alias.alias, 0)
    tx.run("models.delete", model=found.model, version=version, deleted_us=site.clock.now_us())
    registered.touch(tx, site, found.model)
    body = {"model": found.model, "version": version, "stage": found.stage}
    site.record(tx, "model.withdrawn", f"model:{found.ref}", body)


def tags(reader: Reader, found: ModelVersion) -> dict[str, str]:
    """Return a version's tags."""
    rows = reader.rows("models.tags", model=found.model, version=found.version)
    return {str(row["key"]): str(row["value"]) for row in rows}


def set_tag(tx: Transaction, site: Site, name: str, version: int, *, key: str, value: str) -> None:
    """Set a version's tag.

    Raises:
        Invalid: it can be no tag.
        NotFound: there is no such version.
    """
    spelling.check_tag(key, value)
    found = get(tx, name, version)
    tx.run("models.tag_put", model=found.model, version=version, key=key, value=value)
    body = {"model": found.model, "version": version, "key": key, "hash": registered.hash_of(value)}
    site.record(tx, "model.tag", f"model:{found.ref}", body)
    news.tag_changed(tx, site, name, version, key, value, prompt=registered.is_prompt(tx, registered.get(tx, name)))


def delete_tag(tx: Transaction, site: Site, name: str, version: int, key: str) -> None:
    """Take a version's tag away; one that is not there is no error.

    Raises:
        Invalid: it can be no tag's key.
        NotFound: there is no such version.
    """
    spelling.check_key(key)
    found = get(tx, name, version)
    if tx.run("models.tag_delete", model=found.model, version=version, key=key):
        body = {"model": found.model, "version": version, "key": key}
        site.record(tx, "model.untagged", f"model:{found.ref}", body)
        prompt = registered.is_prompt(tx, registered.get(tx, name))
        news.tag_changed(tx, site, name, version, key, None, prompt=prompt)


def latest(reader: Reader, name: str) -> ModelVersion | None:
    """Return the newest version of a model, or None."""
    return reader.get(ModelVersion, "models.latest", name=name)


def names(reader: Reader) -> list[str]:
    """Return every model's name, in order."""
    return [str(row["name"]) for row in reader.rows("models.model_names")]


def list_versions(reader: Reader, name: str, *, before: int = 0, count: int = PAGE_ROWS) -> list[ModelVersion]:
    """Return versions of a model, newest first.

    Args:
        reader: the view.
        name: the model.
        before: only versions below this one; 0 for all.
        count: how many at most.
    """
    return reader.all(ModelVersion, "models.list", name=name, before=before or VERSION_MAX, count=count)


def all_versions(reader: Reader) -> list[ModelVersion]:
    """Return every version of every model, for verification."""
    return reader.all(ModelVersion, "models.all")


def of_run(reader: Reader, run_id: str) -> list[ModelVersion]:
    """Return what a run has registered."""
    return reader.all(ModelVersion, "models.of_run", run_id=run_id)


def of_manifest(reader: Reader, manifest: str, name: str = "") -> list[ModelVersion]:
    """Return every version with a manifest, oldest first; only of one name where one is given."""
    found = reader.all(ModelVersion, "models.of_manifest", manifest=manifest)
    return [one for one in found if name in ("", one.name)]


def set_alias(tx: Transaction, site: Site, name: str, alias: str, version: int) -> Alias:
    """Point an alias at a version, from now on; where it pointed before stays known. Version 0 takes it away.

    Raises:
        Invalid: the word is `latest`, `v1`, or none at all.
        NotFound: there is no such version, or the alias to take away points nowhere.
    """
    spelling.check_alias(alias)
    model = registered.get(tx, name)
    if version:
        get(tx, name, version)
    elif moves.newest(tx, model.id, alias) is None:
        raise _not_found(f"{name}@{alias}")
    moved, is_news = moves.move(tx, site, model.id, name, alias=alias, version=version)
    if is_news:
        news.alias_moved(tx, site, name, alias, version, prompt=registered.is_prompt(tx, model))
    return moved


def aliases(reader: Reader, name: str) -> dict[str, int]:
    """Return where each alias of a model points now."""
    model = registered.find(reader, name)
    return {} if model is None else {item.alias: item.version for item in moves.of_model(reader, model.id)}


def resolve(reader: Reader, name: str, wanted: str | int = LATEST) -> ModelVersion:
    """Return the version that a number, `latest` or an alias means now.

    Raises:
        NotFound: there is none.
    """
    text = str(wanted)
    if text.isascii() and text.isdigit():
        return get(reader, name, int(text) if len(text) <= _DIGITS_MAX else VERSION_MAX + 1)
    if text == LATEST:
        found = latest(reader, name)
        if found is None:
            raise _not_found(name)
        return found
    model = registered.find(reader, name)
    alias = None if model is None else moves.newest(reader, model.id, text)
    if alias is None or not alias.version:
        raise _not_found(f"{name}@{text}")
    return get(reader, name, alias.version)


def alias_at(reader: Reader, name: str, alias: str, at_us: int) -> ModelVersion | None:
    """Return the version that an alias meant at a time, or None when it meant none or that one was deleted since."""
    model = registered.find(reader, name)
    found = None if model is None else moves.at(reader, model.id, alias, at_us)
    if found is None or not found.version:
        return None
    return reader.get(ModelVersion, "models.get", name=name, version=found.version)


def alias_history(
    reader: Reader, name: str, alias: str = "", *, before_us: int = 0, count: int = PAGE_ROWS
) -> list[Alias]:
    """Return every move of a model's aliases, newest first; arguments are those of `aliases.history`."""
    model = registered.find(reader, name)
    return [] if model is None else moves.history(reader, model.id, alias, before_us=before_us, count=count)


def require_bytes(reader: Reader, found: ModelVersion) -> ModelVersion:
    """Return a version whose bytes a manifest of ours names, so that it can be shipped.

    Raises:
        Conflict: an MLflow client registered it.
    """
    if found.manifest:
        return found
    other = reader.get(ModelVersion, "models.latest_with_bytes", name=found.name)
    raise Conflict(
        "model-without-manifest",
        "This version cannot be shipped.",
        where=found.ref,
        why="an MLflow client registered it: there is no manifest that names its bytes, contract and golden rows",
        fix=f"ropewalk ship {other.ref}" if other else "log the model in a step of the pipeline: ropewalk run",
    )


def _not_found(where: str) -> NotFound:
    return NotFound("model-not-found", "There is no such model version.", where=where, fix="ropewalk runs")
