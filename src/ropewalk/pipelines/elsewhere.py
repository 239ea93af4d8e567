"""Steps on the nodes of a cluster: where the project says so, and what is sent along with them."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ropewalk.compute.local import LocalPool
from ropewalk.errors import Invalid
from ropewalk.pipelines.describe import Described, described, environ_of
from ropewalk.pipelines.early import WORKER
from ropewalk.pipelines.graph import Graph
from ropewalk.pipelines.variables import VARIABLE
from ropewalk.records import replace
from ropewalk.settings import FILE, LOCAL, Compute
from ropewalk.site import Site

if TYPE_CHECKING:
    from ropewalk.compute.cluster import RayPool

_LIBRARY = "library "
_ADDRESS = re.compile(r"auto|local|(ray://)?(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}")


@contextmanager
def described_for(
    site: Site,
    target: str,
    args: Mapping[str, Any],
    compute: Compute | None,
    *,
    workers_max: int | None = None,
    early: LocalPool | None = None,
) -> Generator[Described, None, None]:
    """Have a pipeline's graph told by a worker of this machine; yield it with the workers that the project wants.

    Args:
        site: the project.
        target: `FILE.py:FUNCTION`.
        args: the pipeline's arguments; text is read as its parameters say.
        compute: where steps run; None for this machine.
        workers_max: how many steps may run at once; None for one a processor.
        early: workers of this machine that were started before; None for new ones.

    Raises:
        NotFound: there is no such file or pipeline.
        Invalid: an argument does not fit, the user's code fails when it is imported, or the address is none.
        Missing, Unavailable: Ray is wanted and not installed, or no cluster answers at the address.
    """
    if compute is None or compute.pool == LOCAL:
        with described(site, target, args, workers_max=workers_max, early=early) as opened:
            yield opened
        return
    if not _ADDRESS.fullmatch(compute.address):
        raise Invalid(
            "ray-address-invalid",
            "This is no address of a Ray cluster.",
            where=f"{FILE} [compute] address",
            why=f"wanted auto, local, HOST:PORT or ray://HOST:PORT, found {compute.address[:80]!r}",
            fix=f"edit {FILE}, or type --address HOST:PORT",
        )
    with described(site, target, args, workers_max=1, early=early) as opened:
        told = {**opened.project, "snapshot": opened.code.digest, "libraries": libraries_of(opened.graph)}
    with _cluster(site, opened.graph, compute, workers_max) as pool:
        pool.connect()
        yield replace(opened, project=told, pool=pool)


def _cluster(site: Site, graph: Graph, compute: Compute, workers_max: int | None) -> RayPool:
    from ropewalk.compute.cluster import RayPool

    return RayPool(
        WORKER,
        address=compute.address,
        cwd=site.root,
        log=site.hidden / "logs" / "workers.log",
        workers_max=workers_max,
        environ=sent(graph, compute.environ, os.environ) | environ_of(site),
        anywhere="://" in site.blobs.address.partition(" ")[0],
    )


def libraries_of(graph: Graph) -> dict[str, str]:
    """Return the libraries that a graph's code counts on, with what tells their version."""
    return {
        name.removeprefix(_LIBRARY): version
        for code in graph.codes.values()
        for name, version in code.parts.items()
        if name.startswith(_LIBRARY)
    }


def sent(graph: Graph, patterns: Iterable[str], environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables that workers get from here, None for one that is not to be set.

    Those that a step's code is seen to read are in its key as they are here, so they have to be the same there.

    Args:
        graph: the pipeline's.
        patterns: names of others, which may have `*` in them.
        environ: this process's.
    """
    found: dict[str, str | None] = {
        name: value for name, value in environ.items() if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    for code in graph.codes.values():
        names = [name.removeprefix(VARIABLE) for name in code.reads if name.startswith(VARIABLE)]
        found |= {name: environ.get(name) for name in names}
    return found
