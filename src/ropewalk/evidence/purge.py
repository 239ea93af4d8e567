"""Removes for good what clients have deleted long enough ago: runs, and experiments with all that is in them."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.artifacts import artifact, paths
from ropewalk.errors import Invalid
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

_OF_RUN = ("points", "series", "latest", "params", "tags", "input_tags", "inputs", "models")
_OF_EXPERIMENT = (
    "model_params",
    "model_tags",
    "model_metrics",
    "models",
    "traces",
    "datasets",
    "evaluations",
    "experiment_tags",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A run or an experiment that was deleted.

    Attributes:
        what: `run` or `experiment`.
        number: by which its rows name it.
        id: by which clients name it.
        name: what people call it.
        folder: path below which its files lie; empty when they lie elsewhere.
        kept: why it stays after all; empty when it goes.
    """

    what: str
    number: int
    id: str
    name: str
    folder: str
    kept: str


def doomed(rows: Reader, before_us: int) -> tuple[Doomed, ...]:
    """Return every run and experiment that was deleted before a time, runs first.

    Runs of the project's own pipeline stay, for they are evidence; so does what a model version stands on, and an
    experiment in which something stays.
    """
    found: list[Doomed] = []
    staying: set[int] = set()
    for row in rows.rows("gc.deleted_runs", before_us=before_us):
        one = Doomed(
            what="run",
            number=int(str(row["number"])),
            id=str(row["id"]),
            name=str(row["name"]),
            folder=_folder(str(row["location"])),
            kept=str(row["kept"]),
        )
        found.append(one)
        if one.kept:
            staying.add(int(str(row["experiment"])))
    for row in rows.rows("gc.deleted_experiments", before_us=before_us):
        number = int(str(row["id"]))
        why = "one of its runs stays" if number in staying else str(row["kept"])
        folder = _folder(str(row["location"]))
        found.append(
            Doomed(what="experiment", number=number, id=str(number), name=str(row["name"]), folder=folder, kept=why)
        )
    return tuple(found)


def _folder(location: str) -> str:
    try:
        return paths.of_uri(location)
    except Invalid:  # it lies where the client said, and the server never opens that
        return ""


def purge(tx: Transaction, site: Site, one: Doomed, before_us: int) -> bool:
    """Remove a run or an experiment and write that into the ledger; say whether it went: its state may have changed.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        one: what `doomed` named; it is looked at again.
        before_us: as for `doomed`.
    """
    assert not one.kept, "it stays"
    if one.what == "run":
        if tx.value("gc.run_still", number=one.number, before_us=before_us) is None:
            return False
        for table in _OF_RUN:
            tx.run(f"gc.run_{table}", number=one.number)
        for table in ("values", "parts", "links"):
            tx.run(f"gc.run_{table}", id=one.id)
        tx.run("gc.run", number=one.number)
    else:
        if tx.value("gc.experiment_still", id=one.number, before_us=before_us) is None:
            return False
        for table in _OF_EXPERIMENT:
            tx.run(f"gc.{table}", id=one.number)
        tx.run("gc.experiment", id=one.number)
    files = artifact.remove(tx, one.folder) if one.folder else 0
    site.record(tx, f"{one.what}.purged", f"{one.what}:{one.id}", {"name": one.name, "files": files})
    return True
