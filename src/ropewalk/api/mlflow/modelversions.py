"""Routes of model versions: create, describe, move between stages, tag, search and delete."""

from __future__ import annotations

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.registrywords import (
    Tag,
    VersionAnswer,
    VersionsAnswer,
    version_number,
    version_words,
)
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.models import prompts, search, stages, versions
from ropewalk.models.registration import register
from ropewalk.models.versions import ModelVersion
from ropewalk.releases import release
from ropewalk.store.database import Reader, Transaction


class Created(Message, frozen=True, kw_only=True):
    """A new version."""

    name: str = ""
    source: str = ""
    run_id: str | None = None
    tags: list[Tag] = []
    run_link: str = ""
    description: str = ""
    model_id: str | None = None


class Version(Message, frozen=True, kw_only=True):
    """Names a version."""

    name: str = ""
    version: str = ""


class Described(Version, frozen=True, kw_only=True):
    """A new description."""

    description: str = ""


class Moved(Version, frozen=True, kw_only=True):
    """A stage to move to."""

    stage: str = ""
    archive_existing_versions: bool = False


class Tagged(Version, frozen=True, kw_only=True):
    """A tag to set."""

    key: str = ""
    value: str = ""


class Keyed(Version, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str = ""


class Searched(Message, frozen=True, kw_only=True):
    """What to search for."""

    filter: str = ""
    max_results: int = search.VERSIONS_MAX
    order_by: list[str] = []
    page_token: str = ""


class Address(Message, frozen=True, kw_only=True):
    """Where a version's files are."""

    artifact_uri: str = ""


def create(tx: Transaction, call: Call) -> VersionAnswer:
    """Register a version of a model, or of a prompt."""
    asked: Created = call.body
    tags = {tag.key: tag.value for tag in asked.tags}
    told = {"run_link": asked.run_link, "description": asked.description}
    if not prompts.is_prompt(tags):
        about = {"run_id": asked.run_id, "logged_model": asked.model_id}
        made = register(tx, call.site, name=asked.name, source=asked.source, tags=tags, **about, **told)
        return _answer(tx, made)
    prompts.check_source(asked.source)
    place = {"source": asked.source, "storage": asked.source, "run_id": asked.run_id or ""}
    return _answer(tx, versions.add(tx, call.site, name=asked.name, tags=tags, **place, **told))


def describe(tx: Transaction, call: Call) -> VersionAnswer:
    """Say what a version is."""
    asked: Described = call.body
    number = version_number(asked.version)
    return _answer(tx, versions.describe(tx, call.site, asked.name, number, asked.description))


def move(tx: Transaction, call: Call) -> VersionAnswer:
    """Move a version to another stage."""
    asked: Moved = call.body
    return _answer(
        tx,
        stages.transition(
            tx,
            call.site,
            asked.name,
            version_number(asked.version),
            asked.stage,
            archive_existing=asked.archive_existing_versions,
        ),
    )


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a version."""
    asked: Version = call.body
    versions.delete(tx, call.site, asked.name, version_number(asked.version), holder=release.of_model)
    return Nothing()


def get(reader: Reader, call: Call) -> VersionAnswer:
    """Return a version."""
    return _answer(reader, _named(reader, call.body))


def find(reader: Reader, call: Call) -> VersionsAnswer:
    """Return the versions that a filter fits."""
    asked: Searched = call.body
    page = search.versions(
        reader, asked.filter, order_by=asked.order_by, count=asked.max_results, token=asked.page_token
    )
    return VersionsAnswer(model_versions=version_words(reader, page.versions), next_page_token=page.token)


def address(reader: Reader, call: Call) -> Address:
    """Return where a version's files are."""
    return Address(artifact_uri=_named(reader, call.body).storage)


def set_tag(tx: Transaction, call: Call) -> Nothing:
    """Set a version's tag."""
    asked: Tagged = call.body
    number = version_number(asked.version)
    versions.set_tag(tx, call.site, asked.name, number, key=asked.key, value=asked.value)
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a version's tag away."""
    asked: Keyed = call.body
    versions.delete_tag(tx, call.site, asked.name, version_number(asked.version), asked.key)
    return Nothing()


def _named(reader: Reader, asked: Version) -> ModelVersion:
    return versions.get(reader, asked.name, version_number(asked.version))


def _answer(reader: Reader, found: ModelVersion) -> VersionAnswer:
    return VersionAnswer(model_version=version_words(reader, [found])[0])


_AT = "/mlflow/model-versions"
ROUTES = (
    writes("POST", f"{_AT}/create", create, Created, VersionAnswer),
    writes("PATCH", f"{_AT}/update", describe, Described, VersionAnswer),
    writes("POST", f"{_AT}/transition-stage", move, Moved, VersionAnswer),
    writes("DELETE", f"{_AT}/delete", delete, Version, Nothing),
    reads("GET", f"{_AT}/get", get, Version, VersionAnswer),
    reads("GET", f"{_AT}/search", find, Searched, VersionsAnswer),
    reads("GET", f"{_AT}/get-download-uri", address, Version, Address),
    writes("POST", f"{_AT}/set-tag", set_tag, Tagged, Nothing),
    writes("DELETE", f"{_AT}/delete-tag", delete_tag, Keyed, Nothing),
)
