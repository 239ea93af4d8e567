"""Removes for good what clients have deleted long enough ago: runs, models, experiments with all that is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ropewalk.artifacts import artifact, paths
from ropewalk.errors import Invalid
from ropewalk.site import Site
from ropewalk.store.database import Reader, Row, Transaction

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
# Where the traces of an experiment lay that is gone itself.
_GONE_HOME = re.compile(r"[0-9]+/traces", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """Something that was deleted.

    Attributes:
        what: `run`, `logged` for a logged model, `trace` for a trace's files, or `experiment`.
        number: by which its rows name it; 0 for a trace, which is gone.
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
    """Return every run, logged model and experiment that was deleted before a time, and the files of deleted traces.

    Runs of the project's own pipeline stay, for they are evidence; so does what a model version stands on, and an
    experiment in which something stays.
    """
    found: list[Doomed] = []
    staying: set[int] = set()
    for row in rows.rows("gc.deleted_runs", before_us=before_us):
        found.append(_doomed("run", row, number=int(str(row["number"])), kept=str(row["kept"])))
        if row["kept"]:
            staying.add(int(str(row["experiment"])))
    found += (
        _doomed("logged", row, number=int(str(row["number"])), kept=str(row["kept"]))
        for row in rows.rows("gc.deleted_models", before_us=before_us)
    )
    found += _lost_traces(rows, before_us)
    for row in rows.rows("gc.deleted_experiments", before_us=before_us):
        number = int(str(row["id"]))
        kept = "one of its runs stays" if number in staying else str(row["kept"])
        one = _doomed("experiment", row, number=number, kept=kept)
        found.append(replace(one, folder="") if _is_shared(rows, one) else one)
    return tuple(found)


def _doomed(what: str, row: Row, *, number: int, kept: str) -> Doomed:
    folder = _folder(str(row["location"]))
    return Doomed(what=what, number=number, id=str(row["id"]), name=str(row["name"]), folder=folder, kept=kept)


def _is_shared(rows: Reader, one: Doomed) -> bool:
    """Say whether others keep files below an experiment's folder too, or it lies in theirs: clients say where it is."""
    top = one.folder.partition("/")[0]
    if not one.folder:
        return False
    if top != str(one.number) and top.isascii() and top.isdigit():
        return True  # the place of the experiment of that number, which may still come
    others = (_folder(str(row["location"])) for row in rows.rows("gc.chosen_places", id=one.number))
    own = f"{one.folder}/"
    return any(other and (own.startswith(f"{other}/") or f"{other}/".startswith(own)) for other in others)


def _lost_traces(rows: Reader, before_us: int) -> Iterator[Doomed]:
    """Yield the files of traces that are not there any more; a client may send a trace's files before the trace."""
    homes: set[str] | None = None
    for row in rows.rows("gc.trace_folders"):
        folder = f"{row['folder']}/artifacts"
        home, _, trace = str(row["folder"]).rpartition("/")
        if homes is None:
            homes = {f"{_folder(str(one['location']))}/traces" for one in rows.rows("gc.places")}
        if home not in homes and not _GONE_HOME.fullmatch(home):  # somebody's file that happens to lie in such a folder
            continue
        newest = rows.value("gc.newest_in", folder=folder)
        if newest is not None and int(str(newest)) < before_us and rows.value("gc.trace", id=trace) is None:
            yield Doomed(what="trace", number=0, id=trace, name=trace, folder=folder, kept="")


def _folder(location: str) -> str:
    try:
        return paths.of_uri(location)
    except Invalid:  # it lies where the client said, and the server never opens that
        return ""


def purge(tx: Transaction, site: Site, one: Doomed, before_us: int) -> bool:
    """Remove something that was deleted, and write that into the ledger; say whether it went.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        one: what `doomed` named; it is looked at again.
        before_us: as for `doomed`.
    """
    assert not one.kept, "it stays"
    if not _still(tx, one, before_us):
        return False
    if one.what == "run":
        for table in _OF_RUN:
            tx.run(f"gc.run_{table}", number=one.number)
        for table in ("values", "parts", "links"):
            tx.run(f"gc.run_{table}", id=one.id)
        tx.run("gc.run", number=one.number)
    elif one.what == "logged":
        for table in ("params", "tags", "metrics"):
            tx.run(f"gc.one_{table}", number=one.number)
        tx.run("gc.one", number=one.number)
    folders = [one.folder]
    if one.what == "experiment":
        if not one.folder or _is_shared(tx, one):
            folders = [_folder(str(row["location"])) for row in tx.rows("gc.models_of", id=one.number)]
        for table in _OF_EXPERIMENT:
            tx.run(f"gc.{table}", id=one.number)
        tx.run("gc.experiment", id=one.number)
    files = sum(artifact.remove(tx, folder) for folder in folders if folder)
    site.record(tx, f"{one.what}.purged", f"{one.what}:{one.id}", {"name": one.name, "files": files})
    return True


def _still(tx: Transaction, one: Doomed, before_us: int) -> bool:
    """Say whether what was to go may go now: somebody may have restored it, or built upon it, meanwhile."""
    if one.what == "run":
        return tx.value("gc.run_still", number=one.number, before_us=before_us) is not None
    if one.what == "logged":
        return tx.value("gc.model_still", number=one.number, before_us=before_us) is not None
    if one.what == "trace":
        return tx.value("gc.trace", id=one.id) is None
    return tx.value("gc.experiment_still", id=one.number, before_us=before_us) is not None
