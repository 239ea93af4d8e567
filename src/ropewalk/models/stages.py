"""Stages, MLflow's older word for what aliases do: one of four that each version is in."""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.errors import Invalid
from ropewalk.models import registered, versions
from ropewalk.models.versions import ModelVersion
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

NONE = "None"
ARCHIVED = "Archived"
ACTIVE = ("Staging", "Production")
STAGES = (NONE, *ACTIVE, ARCHIVED)
_BY_WORD = {stage.lower(): stage for stage in STAGES}


def canonical(stage: str) -> str:
    """Return a stage as it is written, whatever its letters' case.

    Raises:
        Invalid: it is none of the four.
    """
    found = _BY_WORD.get(stage.lower())
    if found is None:
        raise Invalid(
            "stage-unknown", "There is no such stage.", where=stage[:80], why=f"the stages are {', '.join(STAGES)}"
        )
    return found


def transition(
    tx: Transaction, site: Site, name: str, version: int, stage: str, *, archive_existing: bool = False
) -> ModelVersion:
    """Move a version to a stage; return it as it then stands.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        name: the model.
        version: its version.
        stage: where to.
        archive_existing: move whatever else is in that stage to `Archived`.

    Raises:
        Invalid: there is no such stage, or versions were to be archived for one that is not active.
        NotFound: there is no such version.
    """
    wanted = canonical(stage)
    if archive_existing and wanted not in ACTIVE:
        raise Invalid(
            "stage-not-active",
            "Versions can only be archived for an active stage.",
            where=wanted,
            why=f"the active stages are {' and '.join(ACTIVE)}",
        )
    found = versions.get(tx, name, version)
    if archive_existing:
        for other in tx.all(ModelVersion, "models.in_stage", model=found.model, stage=wanted):
            if other.version != version:
                _put(tx, site, other, ARCHIVED)
    _put(tx, site, found, wanted)
    registered.touch(tx, site, found.model)
    return versions.get(tx, name, version)


def _put(tx: Transaction, site: Site, found: ModelVersion, stage: str) -> None:
    now_us = site.clock.now_us()
    tx.run("models.set_stage", model=found.model, version=found.version, stage=stage, updated_us=now_us)
    body = {"model": found.model, "version": found.version, "stage": stage, "before": found.stage}
    site.record(tx, "model.stage", f"model:{found.ref}", body)


def latest(reader: Reader, name: str, wanted: Iterable[str] = ()) -> list[ModelVersion]:
    """Return the newest version of each stage that has one, by number.

    Args:
        reader: the view.
        name: the model.
        wanted: only of these stages; of all when empty.

    Raises:
        Invalid: there is no such stage.
        NotFound: there is no such model.
    """
    model = registered.get(reader, name)
    stages = {canonical(one) for one in wanted} or set(STAGES)
    found = reader.all(ModelVersion, "models.latest_by_stage", model=model.id)
    return [one for one in found if one.stage in stages]


def by_alias(reader: Reader, name: str, alias: str) -> ModelVersion:
    """Return the version that an alias means, `latest` included, with the errors that MLflow's clients expect.

    Raises:
        NotFound: there is no such model, or it has no versions.
        Invalid: the alias points nowhere.
    """
    registered.get(reader, name)
    if alias.lower() == versions.LATEST:
        return versions.resolve(reader, name)
    pointing = versions.aliases(reader, name)
    if alias not in pointing:
        raise Invalid(
            "alias-not-set",
            f"Registered model alias {alias[:80]} not found.",
            where=f"{name}@{alias[:80]}",
            fix=f"client.set_registered_model_alias({name!r}, {alias[:80]!r}, VERSION)",
        )
    return versions.get(reader, name, pointing[alias])
