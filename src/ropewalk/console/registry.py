"""What the console shows of registered models: the list, one model with where its aliases pointed when, one version."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.datastructures import QueryParams

from ropewalk.clock import from_iso
from ropewalk.console import files, shelves
from ropewalk.console.shelves import Shelf
from ropewalk.console.timeline import Stay, timeline
from ropewalk.console.words import at
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.house import House
from ropewalk.models import aliases, prompts, registered, versions
from ropewalk.models.aliases import Alias
from ropewalk.models.manifest import read_manifest
from ropewalk.models.registered import RegisteredModel
from ropewalk.models.versions import ModelVersion
from ropewalk.store.database import Reader

VERSIONS_SHOWN = 50
MOVES_SHOWN = 1000
RELEASES_SHOWN = 20
LETTERS_SHOWN = 200
UNSHIPPABLE = "none can carry it: a client registered it; only models that a step of a pipeline logs can be shipped"
DAY_US = 86_400_000_000


def address_of(name: str, version: int | None = None, *, home: str = "/models") -> str:
    """Return the address of a model's page, or of one version's."""
    whole = f"{home}/{quote(name, safe='')}"
    return whole if version is None else f"{whole}/{version}"


def heading(rows: Reader, model: RegisteredModel) -> dict[str, Any]:
    """Return what stands at the top of a model's page."""
    return {
        "name": model.name,
        "acts": address_of(model.name),
        "description": model.description,
        "created": at(model.created_us),
        "changed": at(model.updated_us),
        "tags": list(prompts.without_marks(registered.tags(rows, model)).items()),
    }


def one(house: House, rows: Reader, name: str, query: QueryParams, *, home: str = "/models") -> dict[str, Any]:
    """Return everything that a model's page shows.

    Raises:
        NotFound: there is no such model.
    """
    model = registered.get(rows, name)
    moves = aliases.history(rows, model.id, count=MOVES_SHOWN)
    asked, problem = _asked(query.get("at", ""))
    before = query.get("before", "")
    found = versions.list_versions(
        rows, name, before=int(before) if before.isdecimal() and len(before) <= len(str(versions.VERSION_MAX)) else 0,
        count=VERSIONS_SHOWN + 1,
    )  # fmt: skip
    pointing: dict[int, list[str]] = {}
    for alias in aliases.of_model(rows, model.id):
        pointing.setdefault(alias.version, []).append(alias.alias)
    more = len(found) > VERSIONS_SHOWN
    return {
        "model": {**heading(rows, model), "address": address_of(model.name, home=home)},
        "pointing": [
            {"alias": word, "version": number, "address": address_of(model.name, number, home=home)}
            for number, words in sorted(pointing.items())
            for word in words
        ],
        "home": home,
        "timeline": timeline(stays(moves, house.site.clock.now_us()), asked_us=asked),
        "asked_at": "" if asked is None else at(asked)[:10],
        "problem": problem,
        "then": None if asked is None else _then(rows, model, moves, asked, home),
        "moves": [
            {
                "at": at(item.at_us),
                "alias": item.alias,
                "to": f"version {item.version}" if item.version else "nothing",
                "who": item.actor,
            }
            for item in moves
        ],
        "more_moves": len(moves) == MOVES_SHOWN,
        "versions": [_row(rows, item, pointing.get(item.version, []), home) for item in found[:VERSIONS_SHOWN]],
        "next": f"{address_of(name, home=home)}?before={found[VERSIONS_SHOWN - 1].version}#versions" if more else "",
    }


def stays(moves: list[Alias], now_us: int) -> list[Stay]:
    """Return how long each alias meant which version.

    Args:
        moves: every move, newest first.
        now_us: where the last stays end, microseconds since the epoch.
    """
    until: dict[str, int] = {}
    found: list[Stay] = []
    for item in sorted(moves, key=lambda move: (move.at_us, move.seq), reverse=True):
        to_us = until.get(item.alias, max(now_us, item.at_us))
        until[item.alias] = item.at_us
        if item.version:
            found.append(Stay(alias=item.alias, version=item.version, from_us=item.at_us, to_us=to_us, who=item.actor))
    return sorted(found, key=lambda stay: (stay.alias, stay.from_us, stay.to_us))


def _asked(text: str) -> tuple[int | None, RopewalkError | None]:
    """Return the end of a day in microseconds since the epoch; None with an error for what is no day."""
    if not text:
        return None, None
    try:
        day = date.fromisoformat(text)
        return from_iso(f"{day.isoformat()}T00:00:00.000000Z") + DAY_US - 1, None
    except (ValueError, OverflowError):
        return None, Invalid(
            "date-invalid", "This is no day.", where="at", why=f"found {text[:40]!r}", fix="2026-03-03"
        )


def _then(rows: Reader, model: RegisteredModel, moves: list[Alias], asked_us: int, home: str) -> dict[str, Any]:
    day = at(asked_us)[:10]
    words = sorted({item.alias for item in moves})
    held = {word: aliases.at(rows, model.id, word, asked_us) for word in words}
    items = [
        {"alias": word, "version": item.version, "address": address_of(model.name, item.version, home=home)}
        for word, item in held.items()
        if item is not None
    ]
    told = f"At the end of {day} (UTC):" if items else f"At the end of {day} (UTC) there was no alias yet."
    return {"told": told, "items": items}


def _row(rows: Reader, found: ModelVersion, pointing: list[str], home: str) -> dict[str, Any]:
    tags = versions.tags(rows, found)
    return {
        **_source(rows, found),
        "version": found.version,
        "address": address_of(found.name, found.version, home=home),
        "stage": "" if found.stage == "None" else found.stage,
        "aliases": pointing,
        "state": found.status.lower().replace("_", " "),
        "tags": [(key, value[:LETTERS_SHOWN]) for key, value in _own(tags).items()],
        "text": tags.get(prompts.TEXT, "") if home != "/models" else "",
        "who": found.author,
        "made": at(found.created_us),
    }


def _own(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in prompts.without_marks(tags).items() if key != prompts.TEXT}


def _source(rows: Reader, found: ModelVersion) -> dict[str, str]:
    row = rows.row("console.names_of_runs", id=found.run_id) if found.run_id else None
    if row is None:
        return {"run": found.run_id, "run_address": ""}
    return {"run": str(row["name"]), "run_address": f"/runs/{found.run_id}"}


def version(house: House, rows: Reader, name: str, number: str) -> dict[str, Any]:
    """Return everything that a version's page shows, but its files.

    Raises:
        NotFound: there is no such version.
    """
    found = versions.resolve(rows, name, number)
    tags = versions.tags(rows, found)
    is_prompt = prompts.TEXT in tags
    home = "/prompts" if is_prompt else "/models"
    facts = (
        ("registered", f"{at(found.created_us)} by {found.author}"),
        ("changed", at(found.updated_us)),
        ("source", found.source),
        ("manifest", found.manifest),
        ("message", found.status_message),
    )
    return {
        "version": {
            **_source(rows, found),
            "ref": found.ref,
            "name": found.name,
            "version": found.version,
            "acts": address_of(found.name, found.version),
            "model_acts": address_of(found.name),
            "model_address": address_of(found.name, home=home),
            "stage": "" if found.stage == "None" else found.stage,
            "state": found.status.lower().replace("_", " "),
            "aliases": [one.alias for one in aliases.of_model(rows, found.model) if one.version == found.version],
            "description": found.description,
        },
        "facts": [(word, value) for word, value in facts if value],
        "tags": list(_own(tags).items()),
        "releases": rows.rows("console.releases_of", model=name, version=found.version, count=RELEASES_SHOWN),
        "unreleased": f"none carries it yet: ropewalk ship {found.ref}" if found.manifest else UNSHIPPABLE,
        "signature": signature(house, rows, found),
        "logged_model": found.logged_model,
        "logged_address": f"/logged/{quote(found.logged_model, safe='')}" if found.logged_model else "",
        "text": tags.get(prompts.TEXT, ""),
        "snippet": _snippet(found, is_prompt=is_prompt),
        **files.listed(house, rows, _shelf(house, found)),
    }


def _shelf(house: House, found: ModelVersion) -> Shelf:
    try:
        return shelves.of_version(house, found)
    except RopewalkError:
        return Shelf(home=address_of(found.name, found.version), word=found.ref, folder="")


def signature(house: House, rows: Reader, found: ModelVersion) -> list[tuple[str, list[dict[str, str]]]]:
    """Return inputs and outputs of a version by our manifest or MLflow's `MLmodel`; empty where neither tells them."""
    if not found.manifest:
        return files.signature(house, rows, _shelf(house, found))
    try:
        said = read_manifest(house.site.blobs, found.manifest).signature
    except RopewalkError:
        return []
    whole = msgspec.to_builtins(said)
    return [(word, whole[word]) for word in ("inputs", "outputs") if whole[word]]


def _snippet(found: ModelVersion, *, is_prompt: bool) -> str:
    if is_prompt:
        return f"mlflow.genai.load_prompt({f'prompts:/{found.name}/{found.version}'!r})"
    if found.manifest:
        return f"ropewalk ship {found.ref}"
    return f"model = mlflow.pyfunc.load_model({f'models:/{found.name}/{found.version}'!r})"
