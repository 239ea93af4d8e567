"""The interpreter and the libraries that code runs with, read from names of folders and never imported."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.records import frozen
from ropewalk.refs import canonical, digest_of_file

if TYPE_CHECKING:  # workers read versions too and have no use for a site: 10 ms
    from ropewalk.site import Site

_DASHES = re.compile(r"[-_.]+")


@frozen
class Environment:
    """What the code ran with.

    Attributes:
        python: version of the interpreter, such as `3.11.7`.
        implementation: `CPython` or another.
        platform: system and machine, such as `Linux-x86_64`.
        packages: installed distributions by normalised name (PEP 503) with their versions, in order.
    """

    python: str
    implementation: str
    platform: str
    packages: tuple[tuple[str, str], ...]


def normal_name(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return _DASHES.sub("-", name).lower()


def _info_folders() -> list[Path]:
    """Return the `.dist-info` folders on the path, the first of each distribution first."""
    found: list[Path] = []
    for entry in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(entry or "."))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            continue
        found += [Path(entry or ".") / name for name in names if name.endswith((".dist-info", ".egg-info"))]
    return found


def _named(folder: Path) -> tuple[str, str]:
    """Return name and version from `name-version.dist-info`."""
    name, _, version = folder.name.rpartition(".")[0].partition("-")
    return normal_name(name), version


@cache
def installed() -> dict[str, tuple[str, Path]]:
    """Return version and info folder of every installed distribution by normalised name."""
    found: dict[str, tuple[str, Path]] = {}
    for folder in _info_folders():
        name, version = _named(folder)
        found.setdefault(name, (version, folder))
    return found


@cache
def _owners() -> dict[str, list[str]]:
    """Return which distributions bring a module of the top level: `sklearn` comes with `scikit-learn`."""
    owners: dict[str, list[str]] = {}
    for name, (_, folder) in installed().items():
        for top in _tops(folder):
            owners.setdefault(top, []).append(name)
    return owners


def _tops(folder: Path) -> set[str]:
    listed = folder / "top_level.txt"
    if listed.is_file():
        return set(listed.read_text(encoding="utf-8", errors="replace").split())
    try:
        lines = (folder / "RECORD").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    tops: set[str] = set()
    for line in lines:
        first, slash, _ = line.partition(",")[0].partition("/")
        if slash and not first.endswith((".dist-info", ".data")) and first not in ("..", "__pycache__"):
            tops.add(first)
        elif not slash and first.endswith((".py", ".so")):
            tops.add(first.partition(".")[0])
    return tops


def is_library(name: str) -> bool:
    """Say whether an installed distribution has this name."""
    return normal_name(name) in installed()


@cache
def library_version(top: str) -> str:
    """Return what a library's version is told by, given its module of the top level.

    A distribution of that name gives its version; else every distribution that brings the module; else the digest of
    the module's own file; `none` when nothing is known of it.
    """
    exact = installed().get(normal_name(top))
    if exact is not None:
        return exact[0]
    owners = _owners().get(top, [])
    if owners:
        return " ".join(f"{name}=={installed()[name][0]}" for name in sorted(owners))
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    return digest_of_file(Path(file)) if isinstance(file, str) and Path(file).is_file() else "none"


def _implementation() -> str:
    if sys.implementation.name == "cpython":
        return "CPython"
    import platform  # reads what the interpreter says of itself by regular expressions, 2 ms

    return platform.python_implementation()


def _machine() -> str:
    if hasattr(os, "uname"):
        return f"{os.uname().sysname}-{os.uname().machine}"
    import platform

    return f"{platform.system()}-{platform.machine()}"


@cache
def read_environment() -> Environment:
    """Return this process's interpreter and installed distributions."""
    return Environment(
        python=sys.version.split()[0],
        implementation=_implementation(),
        platform=_machine(),
        packages=tuple(sorted((name, version) for name, (version, _) in installed().items())),
    )


def environment_blob(site: Site) -> str:
    """Keep the environment as a canonical JSON blob; return its digest."""
    found = read_environment()
    return site.blobs.put(
        canonical(
            {
                "implementation": found.implementation,
                "packages": [list(pair) for pair in found.packages],
                "platform": found.platform,
                "python": found.python,
                "schema": 1,
            }
        )
    )
