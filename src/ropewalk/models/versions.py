"""The registry: a model's versions, numbered without gaps, and the aliases that point at them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import is_digest, is_name
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

LATEST = "latest"
PAGE_ROWS = 1000
_RESERVED = re.compile(r"latest|v?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        name: the model.
        version: number from 1, without gaps.
        manifest: digest of the manifest that names its bytes.
        run_id: the run that made it.
        author: who registered it.
        created_us: microseconds since the epoch.
    """

    name: str
    version: int
    manifest: str
    run_id: str
    author: str
    created_us: int

    @property
    def ref(self) -> str:
        """The version as people write it: `flights/3`."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Where an alias points, or pointed.

    Attributes:
        name: the model.
        alias: the word.
        seq: how often it had been moved, from 1.
        version: where it points; 0 when it was taken away.
        actor: who moved it.
        at_us: microseconds since the epoch.
    """

    name: str
    alias: str
    seq: int
    version: int
    actor: str
    at_us: int


def register(tx: Transaction, site: Site, *, name: str, manifest: str, run_id: str) -> ModelVersion:
    """Give a model the next number; the same run and name again give the same version.

    Raises:
        Invalid: the name or the digest is none.
        Conflict: the run has registered other bytes under this name.
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
    newest = tx.value("models.newest", name=name)
    made = ModelVersion(
        name=name,
        version=(newest if isinstance(newest, int) else 0) + 1,
        manifest=manifest,
        run_id=run_id,
        author=site.actor,
        created_us=site.clock.now_us(),
    )
    tx.run(
        "models.insert",
        name=name,
        version=made.version,
        manifest=manifest,
        run_id=run_id,
        author=made.author,
        created_us=made.created_us,
    )
    site.record(tx, "model.registered", f"model:{made.ref}", {"manifest": manifest, "run": run_id})
    return made


def get(reader: Reader, name: str, version: int) -> ModelVersion:
    """Return a version.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(ModelVersion, "models.get", name=name, version=version)
    if found is None:
        raise _not_found(f"{name}/{version}")
    return found


def latest(reader: Reader, name: str) -> ModelVersion | None:
    """Return the newest version of a model, or None."""
    return reader.get(ModelVersion, "models.latest", name=name)


def names(reader: Reader) -> list[str]:
    """Return every model's name, in order."""
    return [str(row["name"]) for row in reader.rows("models.names")]


def list_versions(reader: Reader, name: str, *, before: int = 0, count: int = PAGE_ROWS) -> list[ModelVersion]:
    """Return versions of a model, newest first.

    Args:
        reader: the view.
        name: the model.
        before: only versions below this one; 0 for all.
        count: how many at most.
    """
    return reader.all(ModelVersion, "models.list", name=name, before=before or (1 << 31), count=count)


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
        Invalid: the word is a number, `latest`, or no name at all.
        NotFound: there is no such version.
    """
    if not is_name(alias) or _RESERVED.fullmatch(alias.lower()):
        raise Invalid(
            "alias-invalid",
            "This cannot be an alias.",
            where=alias[:80],
            why="an alias is a name that is not a number, not v1, and not latest",
        )
    if version:
        get(tx, name, version)
    before = tx.get(Alias, "models.alias", name=name, alias=alias)
    if before is None and not version:
        raise _not_found(f"{name}@{alias}")
    if before is not None and before.version == version:
        return before
    made = Alias(
        name=name,
        alias=alias,
        seq=1 if before is None else before.seq + 1,
        version=version,
        actor=site.actor,
        at_us=site.clock.now_us(),
    )
    tx.run(
        "models.alias_insert",
        name=name,
        alias=alias,
        seq=made.seq,
        version=version,
        actor=made.actor,
        at_us=made.at_us,
    )
    body = {"alias": alias, "seq": made.seq, "version": version, "before": 0 if before is None else before.version}
    site.record(tx, "model.alias", f"model:{name}@{alias}", body)
    return made


def aliases(reader: Reader, name: str) -> dict[str, int]:
    """Return where each alias of a model points now."""
    return {item.alias: item.version for item in reader.all(Alias, "models.aliases", name=name)}


def resolve(reader: Reader, name: str, wanted: str | int = LATEST) -> ModelVersion:
    """Return the version that a number, `latest` or an alias means now.

    Raises:
        NotFound: there is none.
    """
    text = str(wanted)
    if text.isascii() and text.isdigit():
        return get(reader, name, int(text))
    if text == LATEST:
        found = latest(reader, name)
        if found is None:
            raise _not_found(name)
        return found
    alias = reader.get(Alias, "models.alias", name=name, alias=text)
    if alias is None or not alias.version:
        raise _not_found(f"{name}@{text}")
    return get(reader, name, alias.version)


def alias_at(reader: Reader, name: str, alias: str, at_us: int) -> ModelVersion | None:
    """Return the version that an alias meant at a time, or None when it meant none."""
    found = reader.get(Alias, "models.alias_at", name=name, alias=alias, at_us=at_us)
    return None if found is None or not found.version else get(reader, name, found.version)


def _not_found(where: str) -> NotFound:
    return NotFound("model-not-found", "There is no such model version.", where=where, fix="ropewalk runs")
