"""The cache key of a node: everything that may change what it gives, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ropewalk.pipelines.graph import Node, Tree, resolve
from ropewalk.pipelines.trees import digest_of_tree, libraries_of_tree, shown
from ropewalk.records import frozen, made
from ropewalk.refs import canonical, digest_of, short
from ropewalk.source.environment import library_version

FORMAT = 2


@frozen
class Keyed:
    """A node whose inputs are all there.

    Attributes:
        key: of its outcome.
        inputs: tree of each parameter, references resolved.
        facts: what the key was made of, by kind (`inputs`, `reads`, `libraries`) and name, for people.
        reads: digests of what its code declares.
        salt: the run's id for a step that no other run may answer for.
    """

    key: str
    inputs: Mapping[str, Tree]
    facts: Mapping[str, Mapping[str, str]]
    reads: Mapping[str, str] = made(default_factory=dict[str, str])
    salt: str = ""


def keyed(node: Node, values: Mapping[str, Tree], reads: Mapping[str, str], *, salt: str = "") -> Keyed:
    """Return a node's key.

    Args:
        node: the node; everything that it needs has a value.
        values: trees of what the nodes gave.
        reads: digests of the files that its code declares.
        salt: the run's id for a step that no other run may answer for.

    Raises:
        LookupError: a part of a value is asked for that it does not have.
    """
    inputs = {name: resolve(tree, values) for name, tree in node.inputs.items()}
    digests = {name: digest_of_tree(tree) for name, tree in inputs.items()}
    tops = sorted(libraries_of_tree(list(inputs.values())))
    libraries = {top: library_version(top) for top in tops}
    key = digest_of(canonical([FORMAT, node.step, node.code, digests, dict(reads), libraries, salt, node.over]))
    facts: dict[str, Mapping[str, str]] = {
        "inputs": {name: _brief(inputs[name], digest) for name, digest in digests.items()},
        "reads": {path: short(digest) for path, digest in reads.items()},
        "libraries": libraries,
    }
    return Keyed(key=key, inputs=inputs, facts=facts, reads=reads, salt=salt)


def base_of(node: Node, made: Keyed) -> str:
    """Return the digest of all that a map's key is made of but its items: two of one base may share results."""
    inputs = {name: digest_of_tree(tree) for name, tree in made.inputs.items() if name != node.over}
    tops = sorted(libraries_of_tree(list(made.inputs.values())))
    libraries = {top: library_version(top) for top in tops}
    return digest_of(
        canonical([FORMAT, node.step, node.code, inputs, dict(made.reads), libraries, node.over, made.salt])
    )


def _brief(tree: Any, digest: str) -> str:  # noqa: ANN401 - a tree
    """Return a small value as it is and a large one's digest."""
    text = shown(tree)
    return short(digest) if text.endswith("…") or '"$' in text else text
