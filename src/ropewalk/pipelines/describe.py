"""Opening a pipeline: its code is kept, a worker imports it and tells its graph; nothing of it is imported here."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ropewalk.compute.local import LocalPool
from ropewalk.compute.pool import Ending, Job, Lost, Pool, ended_how
from ropewalk.errors import Conflict, Corrupt, Invalid, NotFound, RopewalkError, Unavailable
from ropewalk.pipelines import failures
from ropewalk.pipelines.calls import nodes_of
from ropewalk.pipelines.early import environ, workers
from ropewalk.pipelines.graph import Code, Graph
from ropewalk.pipelines.remembered import Remembered
from ropewalk.records import frozen
from ropewalk.refs import canonical, digest_of
from ropewalk.settings import FILE
from ropewalk.site import Site
from ropewalk.source.snapshot import CodeSnapshot, code_folder, snapshot_code

# How many workers are started before anything is known to run.
AT_ONCE = 2
_KINDS: dict[str, type[RopewalkError]] = {
    kind.kind: kind for kind in (Invalid, NotFound, Conflict, Corrupt, Unavailable)
}


@frozen
class Described:
    """A pipeline whose graph is known.

    Attributes:
        graph: what it calls.
        code: the snapshot that runs.
        project: what every worker is told of the project.
        pool: the workers; the first has the project imported.
    """

    graph: Graph
    code: CodeSnapshot
    project: Mapping[str, Any]
    pool: Pool


@contextmanager
def described(
    site: Site,
    target: str,
    args: Mapping[str, Any],
    *,
    workers_max: int | None = None,
    early: LocalPool | None = None,
) -> Generator[Described, None, None]:
    """Keep the code as it is now, start a worker on it and have the graph told; the workers end with the block.

    Args:
        site: the project.
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; text is read as its parameters say.
        workers_max: how many processes there may be; None for one a core.
        early: workers that were started before; None for new ones.

    Raises:
        NotFound: there is no such file or pipeline.
        Invalid: an argument does not fit, or the user's code fails when it is imported or recorded.
    """
    remembered = Remembered(site.hidden, target, args)
    warm = not remembered.likely
    with started(site, target, args, workers_max=workers_max, warm=warm, early=early) as (pool, code, project):
        graph, known = _graph_of(site, pool, project, remembered)
        if not known and workers_max != 1:
            pool.warm(min(graph.width(), AT_ONCE))  # the second starts while the run is begun
        yield Described(graph=graph, code=code, project=project, pool=pool)


@contextmanager
def started(
    site: Site,
    target: str,
    args: Mapping[str, Any],
    *,
    workers_max: int | None = None,
    warm: bool = True,
    early: LocalPool | None = None,
) -> Generator[tuple[Pool, CodeSnapshot, dict[str, Any]], None, None]:
    """Keep the code as it is now; yield the workers, one of which starts meanwhile, the code and what they are told."""
    pool = early or workers(site.root, workers_max)
    with pool:
        pool.tell(environ_of(site))
        if warm:
            pool.warm(1)  # it starts while git looks at the files
        code = snapshot_code(site)
        project: dict[str, Any] = {
            "code": str(code_folder(site, code).resolve()),
            "root": str(site.root.resolve()),
            "blobs": site.blobs.address,
            "target": target,
            "args": dict(args),
            "tree": code.tree,
            "files": _beside(code),
            "globals": list(_trusted(site)),
        }
        yield pool, code, project


def ask(site: Site, pool: Pool, message: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return what a worker answers to a message about the project, before anything runs.

    Raises:
        NotFound: there is no such file or pipeline.
        Invalid: an argument does not fit, or the user's code fails when it is imported or recorded.
        Unavailable: the worker ended before it answered.
    """
    target = str(message["project"]["target"])
    log = site.hidden / "logs" / f"describe-{os.getpid()}-{threading.get_ident()}.log"
    pool.submit(Job(id="describe", message=message, log=log))
    ending: Ending | None = None
    while ending is None:
        ending = next(iter(pool.wait(None)), None)
    if isinstance(ending, Lost):
        raise _lost(ending, target, log.relative_to(site.root))
    log.replace(log.with_name("describe.log"))  # the newest stays; sweeps ask for many at once
    if "error" in ending.message:
        raise _failure(ending.message["error"], target)
    return ending.message["ok"]


def _lost(ending: Lost, target: str, log: Path) -> Unavailable:
    return Unavailable(
        "worker-lost",
        "The process that reads the pipeline ended before it answered.",
        where=target,
        why=f"it {ended_how(ending.status)}",
        fix=f"look at {log}, then run the same command again",
    )


def _beside(code: CodeSnapshot) -> str:
    """Return the digest of the project's files that are not Python."""
    return digest_of(canonical([file for file in code.files if not file[0].endswith(".py")]))


def environ_of(site: Site) -> dict[str, str]:
    """Return what workers get on top of the user's own variables."""
    return {**environ(), "ROPEWALK_ACTOR": site.actor}


def _trusted(site: Site) -> tuple[str, ...]:
    """Return the names that the project trusts in pickles besides the usual ones."""
    if not (site.root / FILE).exists():
        return ()
    from ropewalk.settings import read_settings

    return read_settings(site.root).scan.globals


def _graph_of(site: Site, pool: Pool, project: dict[str, Any], remembered: Remembered) -> tuple[Graph, bool]:
    """Return the graph, and whether nobody had to be asked; what it was told in is forgotten."""
    told = remembered.get(project)
    if told is not None:
        return _graph(told), True
    told = ask(site, pool, {"op": "describe", "project": project})
    remembered.keep(project, told)
    return _graph(told), False


def _graph(told: Mapping[str, Any]) -> Graph:
    codes = [Code(digest=item["digest"], parts=item["parts"], reads=tuple(item["reads"])) for item in told["codes"]]
    return Graph(
        pipeline=told["pipeline"],
        args=told["args"],
        nodes=nodes_of(told),
        codes={code.digest: code for code in codes},
        entries=tuple(told["entries"]),
    )


def _failure(facts: dict[str, Any], target: str) -> RopewalkError:
    """Return the error of a pipeline that could not be imported or recorded."""
    if "record" in facts:
        return rebuilt(facts["record"], facts)
    return Invalid(
        "pipeline-failed-to-load",
        f"The pipeline cannot be read: {failures.headline(facts)}",
        where=failures.place(facts) or target,
        why=failures.source(facts) or "its file fails when it is imported",
        fix="mend that line, then run the same command again",
    )


def rebuilt(record: dict[str, str], facts: Mapping[str, Any]) -> RopewalkError:
    """Return an error of ours that was raised in a worker, with the user's line where it names none."""
    kind = _KINDS.get(record.get("kind", ""), Invalid)
    where = record["where"] or failures.place(dict(facts))
    return kind(record["code"], record["what"], where=where, why=record["why"], fix=record["fix"])
