"""What a step takes and is given in Kubernetes: requests and limits, and variables from a Secret, by name alone."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.pipelines.graph import Node
from ropewalk.workspaces.stores import STORES

GPU = "nvidia.com/gpu"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a container asks for, and what it may take at most."""

    requests: dict[str, str]
    limits: dict[str, str]


def resources(node: Node) -> Resources:
    """Return a step's processors and memory as requests, memory and cards as limits too.

    Processors are no limit: a step that finds more free than it asked for may use them.
    """
    requests, limits = {"cpu": cpu(node)}, dict[str, str]()
    if node.memory_bytes:
        requests["memory"] = limits["memory"] = memory(node)
    if node.gpu:
        limits[GPU] = str(node.gpu)
    return Resources(requests=requests, limits=limits)


def cpu(node: Node) -> str:
    """Return a step's processors as Kubernetes writes them: whole, or in thousandths."""
    return processors(node.cpu)


def processors(count: float) -> str:
    """Return a number of processors as Kubernetes writes it: whole, or in thousandths."""
    return f"{count:g}" if count == int(count) else f"{max(1, round(count * 1000))}m"


def memory(node: Node) -> str:
    """Return a step's memory as Kubernetes writes it, rounded up to MiB."""
    return f"{-(-node.memory_bytes // _MIB)}Mi"


def environment(node: Node | None) -> list[tuple[str, bool]]:
    """Return the variables that a step takes from the Secret, and whether it runs without: the stores', its secrets."""
    return [*((name, True) for name in STORES), *((name, False) for name in (node.secrets if node is not None else ()))]
