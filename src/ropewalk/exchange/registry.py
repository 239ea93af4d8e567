"""Takes a source's registered models into this project: versions keep their numbers, aliases what they point at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ropewalk.errors import Conflict, Invalid, RopewalkError
from ropewalk.exchange.records import Model, Version
from ropewalk.exchange.tally import Tally
from ropewalk.models import prompts, registered, source, stages, versions
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

GAP_MAX = 10_000
_LOGGED = re.compile(r"models:/(?P<model>m-[^/@]+)")
_RUN_FILE = re.compile(r"/(?P<run>[0-9a-f]{32})/artifacts/(?P<path>.+)$")
_MODEL_FILE = re.compile(r"/models/(?P<model>m-[0-9a-f]{32})/artifacts/?$")


def take_models(
    site: Site, models: Iterable[Model], tally: Tally, *, dry: bool, on_step: Callable[[str], None]
) -> None:
    """Take registered models, each in one transaction; one that is there gets the versions that it lacks.

    Args:
        site: the project.
        models: those of the source.
        tally: grows.
        dry: only count.
        on_step: told of each model.
    """
    for one in models:
        on_step(f"model {one.name}")
        with site.db.read() as reader:
            known = registered.find(reader, one.name)
            newest = versions.latest(reader, one.name) if known else None
        wanted = [version for version in one.versions if newest is None or version.version > newest.version]
        tally.known["models"] += known is not None
        tally.known["versions"] += len(one.versions) - len(wanted)
        if dry:
            _count(tally, one, wanted, new=known is None)
            continue
        try:
            site.db.write(lambda tx, one=one, wanted=wanted: _take(tx, site, one, wanted, tally))
        except RopewalkError as error:
            tally.refuse(f"model {one.name}", error)
            continue
        _count(tally, one, wanted, new=known is None)


def _count(tally: Tally, one: Model, wanted: list[Version], *, new: bool) -> None:
    tally.moved["models"] += new
    tally.moved["versions"] += len(wanted)
    tally.moved["aliases"] += sum(version in {each.version for each in wanted} for version in one.aliases.values())


def _take(tx: Transaction, site: Site, one: Model, wanted: list[Version], tally: Tally) -> None:
    model = registered.find(tx, one.name)
    if model is None:
        model = registered.create(tx, site, one.name, tags=dict(one.tags), description=one.description)
    for version in wanted:
        _take_version(tx, site, one.name, version)
    for alias, version in one.aliases.items():
        if version in {each.version for each in wanted}:
            versions.set_alias(tx, site, one.name, alias, version)
        elif alias not in versions.aliases(tx, one.name):
            tally.refused[f"alias {one.name}@{alias}"] = f"it points at version {version}, which was there or is not"
    for version in wanted:
        _stamp(tx, model.id, version)
    if wanted or model.description == one.description:
        times = {"created_us": one.created_ms * 1000, "updated_us": one.updated_ms * 1000}
        if one.created_ms:
            tx.run("exchange.stamp_model", id=model.id, **times)


def _take_version(tx: Transaction, site: Site, name: str, one: Version) -> None:
    """Give a version its number: those between that are not there any more are made and deleted again."""
    newest = versions.latest(tx, name)
    number = newest.version if newest else 0
    found = _settled(tx, one)
    if one.version - number > GAP_MAX:
        raise Invalid(
            "exchange-version-gap",
            "A version's number is too far from the one before it.",
            where=f"{name}/{one.version}",
            why=f"the one before is {number}; at most {GAP_MAX:,} may be missing between",
            fix="register it anew with the client",
        )
    while True:
        made = versions.add(
            tx,
            site,
            name=name,
            source=found.uri,
            storage=found.storage,
            run_id=found.run_id,
            logged_model=found.logged_model,
            run_link=one.run_link,
            description=one.description,
            tags=dict(one.tags),
        )
        if made.version > one.version:
            raise Conflict(
                "exchange-version-taken",
                "This number was given to another version here.",
                where=f"{name}/{one.version}",
                why=f"the next one is {made.version}",
                fix="rename the model that is here, then import again",
            )
        if made.version == one.version:
            break
        versions.delete(tx, site, name, made.version, holder=_nobody)
    if one.stage not in ("", stages.NONE):
        stages.transition(tx, site, name, one.version, one.stage)


def _nobody(reader: Reader, name: str, version: int) -> str:
    del reader, name, version
    return ""


def _settled(reader: Reader, one: Version) -> source.Source:
    """Return where a version's files are here: its source as it stands, or what a folder's path says of it."""
    if prompts.is_prompt(one.tags):
        prompts.check_source(one.source)
        return source.Source(uri=one.source, storage=one.source, run_id="", logged_model="")
    here = _in_our_words(one.source) or one.source
    model = _LOGGED.fullmatch(here)
    return source.settle(reader, here, run_id=one.run_id or None, logged_model=model["model"] if model else None)


def _in_our_words(uri: str) -> str:
    """Return `runs:/RUN/PATH` or `models:/m-ID` for the address of such a folder elsewhere; empty for any other."""
    model = _MODEL_FILE.search(uri)
    if model:
        return f"models:/{model['model']}"
    run = _RUN_FILE.search(uri)
    return f"runs:/{run['run']}/{run['path']}" if run else ""


def _stamp(tx: Transaction, model: int, one: Version) -> None:
    if one.created_ms:
        times = {"created_us": one.created_ms * 1000, "updated_us": one.updated_ms * 1000}
        tx.run("exchange.stamp_version", model=model, version=one.version, **times)
