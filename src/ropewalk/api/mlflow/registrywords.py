"""What the registry's routes take and give: registered models, versions, tags and aliases in MLflow's words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from ropewalk.api.mlflow.message import Message
from ropewalk.errors import Invalid
from ropewalk.models import compile as sql
from ropewalk.models.registered import RegisteredModel
from ropewalk.models.versions import VERSION_MAX, ModelVersion
from ropewalk.store.database import Reader, Row


class Tag(Message, frozen=True, kw_only=True):
    """A key with a value."""

    key: str = ""
    value: str = ""


class AliasWord(Message, frozen=True, kw_only=True):
    """An alias and where it points."""

    alias: str
    version: str


class VersionWord(Message, frozen=True, kw_only=True):
    """One model version."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str = ""
    current_stage: str = ""
    description: str = ""
    source: str = ""
    run_id: str = ""
    status: str = ""
    status_message: str = ""
    tags: list[Tag] = []
    run_link: str = ""
    aliases: list[str] = []
    model_id: str = ""


class ModelWord(Message, frozen=True, kw_only=True):
    """One registered model."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str = ""
    description: str = ""
    latest_versions: list[VersionWord] = []
    tags: list[Tag] = []
    aliases: list[AliasWord] = []


class ModelAnswer(Message, frozen=True, kw_only=True):
    """An answer with one registered model."""

    registered_model: ModelWord


class VersionAnswer(Message, frozen=True, kw_only=True):
    """An answer with one version."""

    model_version: VersionWord


class ModelsAnswer(Message, frozen=True, kw_only=True):
    """A page of registered models."""

    registered_models: list[ModelWord] = []
    next_page_token: str = ""


class VersionsAnswer(Message, frozen=True, kw_only=True):
    """A page of versions."""

    model_versions: list[VersionWord] = []
    next_page_token: str = ""


def version_number(text: str) -> int:
    """Return the number that a version is called by; 0, which no version has, for one below it.

    Raises:
        Invalid: it is no whole number.
    """
    if not re.fullmatch(r"[+-]?[0-9]{1,100}", text):
        raise Invalid("version-invalid", "A version is a whole number.", where="version", why=f"found {text[:80]!r}")
    return max(0, min(int(text), VERSION_MAX + 1))


def model_words(reader: Reader, models: Sequence[RegisteredModel]) -> list[ModelWord]:
    """Return registered models with their tags, aliases and the newest version of each stage."""
    ids = [model.id for model in models]
    newest: dict[int, list[ModelVersion]] = defaultdict(list)
    for row in sql.latest_by_stage(reader, ids):
        newest[_number(row, "model")].append(ModelVersion(**row))  # type: ignore[arg-type]
    told = iter(version_words(reader, [one for model in ids for one in newest[model]]))
    tags, aliases = _tags(sql.model_tags(reader, ids)), _aliases(reader, ids)
    return [
        ModelWord(
            name=model.name,
            creation_timestamp=model.created_us // 1000,
            last_updated_timestamp=model.updated_us // 1000,
            user_id=model.author,
            description=model.description,
            latest_versions=[next(told) for _ in newest[model.id]],
            tags=tags[model.id],
            aliases=[AliasWord(alias=alias, version=str(version)) for alias, version in aliases[model.id]],
        )
        for model in models
    ]


def version_words(reader: Reader, versions: Sequence[ModelVersion]) -> list[VersionWord]:
    """Return versions with their tags and the aliases that point at them."""
    tags: dict[tuple[int, int], list[Tag]] = defaultdict(list)
    for row in sql.version_tags(reader, [(one.model, one.version) for one in versions]):
        place = (_number(row, "model"), _number(row, "version"))
        tags[place].append(Tag(key=str(row["key"]), value=str(row["value"])))
    aliases = _aliases(reader, sorted({one.model for one in versions}))
    pointing: dict[tuple[int, int], list[str]] = defaultdict(list)
    for model, found in aliases.items():
        for alias, version in found:
            pointing[model, version].append(alias)
    return [_version(one, tags[one.model, one.version], pointing[one.model, one.version]) for one in versions]


def _version(one: ModelVersion, tags: list[Tag], aliases: list[str]) -> VersionWord:
    return VersionWord(
        name=one.name,
        version=str(one.version),
        creation_timestamp=one.created_us // 1000,
        last_updated_timestamp=one.updated_us // 1000,
        user_id=one.author,
        current_stage=one.stage,
        description=one.description,
        source=one.source,
        run_id=one.run_id,
        status=one.status,
        status_message=one.status_message,
        tags=tags,
        run_link=one.run_link,
        aliases=aliases,
        model_id=one.logged_model,
    )


def _tags(rows: Sequence[Row]) -> dict[int, list[Tag]]:
    found: dict[int, list[Tag]] = defaultdict(list)
    for row in rows:
        found[_number(row, "model")].append(Tag(key=str(row["key"]), value=str(row["value"])))
    return found


def _aliases(reader: Reader, models: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in sql.model_aliases(reader, models):
        found[_number(row, "model")].append((str(row["alias"]), _number(row, "version")))
    return found


def _number(row: Row, name: str) -> int:
    return int(str(row[name]))
