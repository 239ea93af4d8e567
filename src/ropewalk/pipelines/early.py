"""A worker that starts while the command that needs it still reads its own code: on two cores nobody waits for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewalk.compute.local import LocalPool
from ropewalk.refs import canonical, digest_of

WORKER = "ropewalk.pipelines.worker"
HIDDEN = ".ropewalk"
GRAPHS = "graphs"


def early(root: Path, target: str, args: Mapping[str, Any]) -> LocalPool:
    """Return the workers for a run; the first starts now, unless the run's graph was told before and may need none.

    Who makes them closes them.

    Args:
        root: the project's folder, which is known to have the pipeline's file.
        target: `FILE.py:FUNCTION`; the project's own pipeline when empty.
        args: the pipeline's arguments as they were typed.
    """
    hidden = root / HIDDEN
    hidden.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = workers(root)
    # Which pipeline is the project's own is not known yet.
    known = graph_file(hidden, target, args).is_file() if target else (hidden / GRAPHS).is_dir()
    if not known:
        found.warm(1)
    return found


def workers(root: Path, workers_max: int | None = None) -> LocalPool:
    """Return workers of a project, none of them started.

    Args:
        root: the project's folder.
        workers_max: how many processes there may be; None for one a core.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    log = root / HIDDEN / "logs" / "workers.log"
    return LocalPool(WORKER, cwd=root, log=log, workers_max=workers_max or cores, environ=environ())


def graph_file(hidden: Path, target: str, args: Mapping[str, Any]) -> Path:
    """Return the file in which the graph of a command is kept, if it is."""
    return hidden / GRAPHS / f"{digest_of(canonical(words_of(target, args)))[7:23]}.json"


def words_of(target: str, args: Mapping[str, Any]) -> list[Any]:
    """Return what was asked for, JSON-able."""
    return [target, {name: repr(value) for name, value in sorted(args.items())}]


def environ() -> dict[str, str]:
    """Return what workers get on top of the user's own variables."""
    return {
        # The same order of sets in every process: values and fingerprints must not depend on chance.
        "PYTHONHASHSEED": "0",
        # Steps beside each other share the cores: OpenMP threads that spin while they wait made two fits of
        # scikit-learn's boosted trees on two cores twenty times slower (measured: 30 s against 1.5 s).
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }
