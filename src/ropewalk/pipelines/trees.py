"""What is asked of a value's tree without the value: its digest, its frames, its libraries, a few letters of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ropewalk.pipelines.graph import Tree, is_list, is_map
from ropewalk.pipelines.pieces import digest_of_list
from ropewalk.refs import canonical, digest_of


def leaves(tree: Tree) -> Iterator[dict[str, Any]]:
    """Yield the tagged parts of a tree that are not containers."""
    if is_list(tree):
        for item in tree:
            yield from leaves(item)
    elif is_map(tree):
        held = next((tree[tag] for tag in ("$tuple", "$set", "$frozenset", "$dict") if tag in tree), None)
        if held is None:
            yield tree
        else:
            yield from leaves(held)


def digest_of_tree(tree: Tree) -> str:
    """Return the digest of a value: of its tree, and so of every blob in it."""
    return digest_of_list(tree) if is_list(tree) else digest_of(canonical(tree))


def frames_of(tree: Tree) -> list[str]:
    """Return the digests of the frames in a value, each once, in order."""
    found = (leaf.get("$frame") or leaf.get("$series") for leaf in leaves(tree))
    return list(dict.fromkeys(digest for digest in found if digest))


def libraries_of_tree(tree: Tree) -> set[str]:
    """Return the libraries whose objects a value holds: what they do belongs to the step that takes them."""
    found: set[str] = set()
    for leaf in leaves(tree):
        if "$frame" in leaf:
            found.add("pandas" if leaf["of"] == "pandas" else "polars")
        elif "$series" in leaf:
            found.add("polars")
        elif "$npy" in leaf or "$npy_blob" in leaf:
            found.add("numpy")
        elif "$pickle" in leaf or "$skops" in leaf:
            found.update(leaf["libraries"])
    return found


def shown(tree: Tree, letters_max: int = 60) -> str:
    """Return a value in few letters, for people."""
    # Of a long list the beginning is enough: each item takes letters.
    text = json.dumps(tree[: letters_max + 1] if is_list(tree) else tree, ensure_ascii=False)
    return text if len(text) <= letters_max else f"{text[: letters_max - 1]}…"
