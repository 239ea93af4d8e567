"""The recorded graph: which step takes what from which, as plain data that needs no user code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from ropewalk.pipelines.pieces import digest_of_list
from ropewalk.records import frozen
from ropewalk.refs import canonical

REF = "$ref"
MAP_WIDTH = 1024  # a map may be as wide as any machine
Tree = Any
"""JSON: what a value is written as. `{"$ref": [node, key, ...]}` stands for (a part of) what a node gives."""


def is_map(tree: Tree) -> TypeGuard[dict[str, Any]]:
    """Say whether a tree is a JSON object."""
    return isinstance(tree, dict)


def is_list(tree: Tree) -> TypeGuard[list[Any]]:
    """Say whether a tree is a JSON array."""
    return isinstance(tree, list)


@frozen
class Code:
    """What a step's code is, by the parts that it really uses.

    Attributes:
        digest: over all parts.
        parts: name of each function, class, constant and library to what it is: short values as they are, versions,
            digests for the rest.
        reads: declared files of the step and of the steps it calls itself.
    """

    digest: str
    parts: Mapping[str, str]
    reads: tuple[str, ...]


@frozen
class Node:
    """One call of a step.

    Attributes:
        id: the step's name, `fit-2` for its second call.
        step: `module:qualified.name` of the function.
        where: `file:line` of the function, relative to the project.
        inputs: each parameter's tree.
        code: digest of its code, a key of `Graph.codes`.
        retries: how often it is tried again.
        timeout_seconds: longest attempt, None for any.
        backoff_seconds: wait before the first retry.
        cache: whether an earlier run's outcome may be used.
        over: the parameter that takes each item of a list in turn; empty for an ordinary call.
        cpu: processors that it takes.
        memory_bytes: memory that is set aside for it.
        gpu: graphics cards that it takes.
        priority: the highest is first.
        secrets: names of environment variables that are its alone.
    """

    id: str
    step: str
    where: str
    inputs: Mapping[str, Tree]
    code: str
    retries: int
    timeout_seconds: float | None
    backoff_seconds: float
    cache: bool
    over: str = ""
    cpu: float = 1.0
    memory_bytes: int = 0
    gpu: int = 0
    priority: int = 0
    secrets: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...]:
        """Return the ids of the nodes that it waits for, each once, in order."""
        return tuple(dict.fromkeys(path[0] for path in refs(list(self.inputs.values()))))


@frozen
class Graph:
    """A pipeline's calls in the order they were recorded, which is an order they can run in.

    Attributes:
        pipeline: `FILE.py:FUNCTION`.
        args: canonical JSON of the pipeline's arguments after defaults.
        nodes: the calls.
        codes: each code that the nodes name.
        entries: what the pipeline's own body logged, as `LogEntry.plain` gives it.
    """

    pipeline: str
    args: str
    nodes: tuple[Node, ...]
    codes: Mapping[str, Code]
    entries: tuple[list[Any], ...]

    def shape(self) -> str:
        """Return the digest of what is called with what, the code left out: every worker must record the same."""
        return digest_of_list([node.id, node.step, dict(node.inputs), node.over] for node in self.nodes)

    def whole(self) -> str:
        """Return the digest of all that makes this command the same command: pipeline, arguments, calls, code."""
        facts = canonical([self.pipeline, self.args, self.shape()])
        return digest_of_list((node.code for node in self.nodes), facts[:-1] + b",", b"]")

    def structure(self) -> str:
        """Return a digest of which calls wait for which, whatever they are given: what an exported file depends on."""
        return digest_of_list([node.id, node.needs(), bool(node.over)] for node in self.nodes)

    def node(self, name: str) -> Node | None:
        """Return a node by its id, or None."""
        return next((node for node in self.nodes if node.id == name), None)

    def width(self) -> int:
        """Return how many nodes there are at most on one level of the graph: more workers are never of use."""
        levels: dict[str, int] = {}
        counts: dict[int, int] = {}
        for node in self.nodes:
            level = 1 + max((levels[name] for name in node.needs()), default=0)
            levels[node.id] = level
            counts[level] = counts.get(level, 0) + (1 if not node.over else MAP_WIDTH)
        return max(counts.values(), default=0)


def refs(tree: Tree) -> Iterator[list[Any]]:
    """Yield the path of each reference in a tree, `[node, key, ...]`."""
    if is_map(tree):
        if REF in tree:
            yield tree[REF]
            return
        for part in tree.values():
            yield from refs(part)
    elif is_list(tree):
        for part in tree:
            yield from refs(part)


def resolve(tree: Tree, values: Mapping[str, Tree]) -> Tree:
    """Return a tree with every reference replaced by what the node gave.

    Raises:
        LookupError: what the node gave has no such part.
    """
    if is_map(tree):
        if REF in tree:
            node, *path = tree[REF]
            return select(values[node], path)
        return {key: resolve(part, values) for key, part in tree.items()}
    if is_list(tree):
        return [resolve(part, values) for part in tree]
    return tree


def select(tree: Tree, path: list[Any]) -> Tree:
    """Return the part of a value's tree that indexing the value itself with the path would give.

    Args:
        tree: a value's tree.
        path: trees of the keys: positions of lists and tuples, keys of dicts.

    Raises:
        LookupError: there is no such part, or the value has no parts.
    """
    for key in path:
        items = tree.get("$tuple") if is_map(tree) else tree
        pairs = tree.get("$dict") if is_map(tree) else None
        if is_list(items) and isinstance(key, int):
            tree = items[key]
        elif pairs is not None:
            found = [value for name, value in pairs if name == key and type(name) is type(key)]
            if not found:
                raise KeyError(key)
            tree = found[0]
        else:
            raise LookupError(f"a value without parts has no [{key!r}]")
    return tree
