"""Routes of registered models: create, rename, describe, tag, alias, search and delete."""

from __future__ import annotations

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.registrywords import (
    ModelAnswer,
    ModelsAnswer,
    Tag,
    VersionAnswer,
    VersionsAnswer,
    model_words,
    version_number,
    version_words,
)
from ropewalk.api.mlflow.route import Call
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.errors import NotFound
from ropewalk.models import registered, search, spelling, stages, versions
from ropewalk.models.registered import RegisteredModel
from ropewalk.releases import release
from ropewalk.store.database import Reader, Transaction


class Named(Message, frozen=True, kw_only=True):
    """Names a registered model."""

    name: str = ""


class Created(Named, frozen=True, kw_only=True):
    """A new registered model."""

    tags: list[Tag] = []
    description: str = ""


class Renamed(Named, frozen=True, kw_only=True):
    """A new name."""

    new_name: str = ""


class Described(Named, frozen=True, kw_only=True):
    """A new description."""

    description: str = ""


class Searched(Message, frozen=True, kw_only=True):
    """What to search for."""

    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class Staged(Named, frozen=True, kw_only=True):
    """Stages of a model."""

    stages: list[str] = []


class Tagged(Named, frozen=True, kw_only=True):
    """A tag to set."""

    key: str = ""
    value: str = ""


class Keyed(Named, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str = ""


class Aliased(Named, frozen=True, kw_only=True):
    """An alias, and where it is to point."""

    alias: str = ""
    version: str = ""


class Alias(Named, frozen=True, kw_only=True):
    """An alias."""

    alias: str = ""


def create(tx: Transaction, call: Call) -> ModelAnswer:
    """Make a registered model."""
    asked: Created = call.body
    tags = {tag.key: tag.value for tag in asked.tags}
    return _answer(tx, registered.create(tx, call.site, asked.name, tags=tags, description=asked.description))


def rename(tx: Transaction, call: Call) -> ModelAnswer:
    """Give a model another name."""
    asked: Renamed = call.body
    return _answer(tx, registered.rename(tx, call.site, asked.name, asked.new_name, holder=release.of_model))


def describe(tx: Transaction, call: Call) -> ModelAnswer:
    """Say what a model is."""
    asked: Described = call.body
    return _answer(tx, registered.describe(tx, call.site, asked.name, asked.description))


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a model with its versions."""
    registered.delete(tx, call.site, call.body.name, holder=release.of_model)
    return Nothing()


def get(reader: Reader, call: Call) -> ModelAnswer:
    """Return a model."""
    return _answer(reader, registered.get(reader, call.body.name))


def find(reader: Reader, call: Call) -> ModelsAnswer:
    """Return the models that a filter fits."""
    asked: Searched = call.body
    page = search.models(reader, asked.filter, order_by=asked.order_by, count=asked.max_results, token=asked.page_token)
    return ModelsAnswer(registered_models=model_words(reader, page.models), next_page_token=page.token)


def latest(reader: Reader, call: Call) -> VersionsAnswer:
    """Return the newest version of each stage."""
    asked: Staged = call.body
    return VersionsAnswer(model_versions=version_words(reader, stages.latest(reader, asked.name, asked.stages)))


def set_tag(tx: Transaction, call: Call) -> Nothing:
    """Set a model's tag."""
    asked: Tagged = call.body
    registered.set_tag(tx, call.site, asked.name, asked.key, asked.value)
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a model's tag away."""
    asked: Keyed = call.body
    registered.delete_tag(tx, call.site, asked.name, asked.key)
    return Nothing()


def set_alias(tx: Transaction, call: Call) -> Nothing:
    """Point an alias at a version."""
    asked: Aliased = call.body
    version = version_number(asked.version)
    if not version:
        raise NotFound("model-not-found", "There is no version 0.", where=asked.name[:80])
    versions.set_alias(tx, call.site, asked.name, asked.alias, version)
    return Nothing()


def delete_alias(tx: Transaction, call: Call) -> Nothing:
    """Take an alias away; one that points nowhere is no error."""
    asked: Alias = call.body
    registered.get(tx, asked.name)
    spelling.check_alias(asked.alias)
    if asked.alias in versions.aliases(tx, asked.name):
        versions.set_alias(tx, call.site, asked.name, asked.alias, 0)
    return Nothing()


def by_alias(reader: Reader, call: Call) -> VersionAnswer:
    """Return the version that an alias means."""
    asked: Alias = call.body
    found = stages.by_alias(reader, asked.name, asked.alias)
    return VersionAnswer(model_version=version_words(reader, [found])[0])


def _answer(reader: Reader, model: RegisteredModel) -> ModelAnswer:
    return ModelAnswer(registered_model=model_words(reader, [model])[0])


_AT = "/mlflow/registered-models"
ROUTES = (
    writes("POST", f"{_AT}/create", create, Created, ModelAnswer),
    writes("POST", f"{_AT}/rename", rename, Renamed, ModelAnswer),
    writes("PATCH", f"{_AT}/update", describe, Described, ModelAnswer),
    writes("DELETE", f"{_AT}/delete", delete, Named, Nothing),
    reads("GET", f"{_AT}/get", get, Named, ModelAnswer),
    reads("GET", f"{_AT}/search", find, Searched, ModelsAnswer),
    reads("POST", f"{_AT}/get-latest-versions", latest, Staged, VersionsAnswer),
    reads("GET", f"{_AT}/get-latest-versions", latest, Staged, VersionsAnswer),
    writes("POST", f"{_AT}/set-tag", set_tag, Tagged, Nothing),
    writes("DELETE", f"{_AT}/delete-tag", delete_tag, Keyed, Nothing),
    writes("POST", f"{_AT}/alias", set_alias, Aliased, Nothing),
    writes("DELETE", f"{_AT}/alias", delete_alias, Alias, Nothing),
    reads("GET", f"{_AT}/alias", by_alias, Alias, VersionAnswer),
)
