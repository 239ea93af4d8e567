"""Which libraries a release needs to answer, pinned as its bundle pins them, and how they are brought into a folder."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Missing, Unavailable
from ropewalk.exports.packing import Piece
from ropewalk.exports.released import Released
from ropewalk.models.manifest import ONNX_PART

# What the gateway and a worker import. The rest of the twelve is for training, console, keys and tables of Arrow.
SERVING = ("httptools", "jinja2", "msgspec", "packaging", "prometheus-client", "starlette", "uvicorn", "uvloop")
ONNX = ("numpy", "onnxruntime")
NATIVE = ("numpy", "scikit-learn", "skops")
# The names that a library's distributions may have.
_DISTRIBUTIONS = {"sklearn": (), "xgboost": ("xgboost", "xgboost-cpu"), "lightgbm": ("lightgbm",), "torch": ("torch",)}
_NOT_SERVED = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"})
INSTALL_SECONDS_MAX = 1800.0


def pins(blobs: Bucket, found: Released) -> dict[str, str]:
    """Return the versions of the bundle's lock by name."""
    said: dict[str, str] = {}
    for line in blobs.get(found.bundle.lock).decode().splitlines():
        name, sign, version = line.strip().partition("==")
        if sign and normal(name) != "ropewalk":
            said[normal(name)] = version
    return dict(sorted(said.items()))


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(found: Released, pinned: dict[str, str]) -> tuple[str, ...]:
    """Return what has to be installed: what answers HTTP, the model's engine, what `[deploy] libraries` adds."""
    names = [*SERVING, *found.deploy.libraries]
    if ONNX_PART in found.manifest.parts:
        names += ONNX
    else:
        frame = found.manifest.frame
        names += [*NATIVE, *([frame] if frame != "numpy" else [])]
        known = _DISTRIBUTIONS.get(found.manifest.flavor, (found.manifest.flavor,))
        names += [one for one in known if one in pinned] or known[:1]
    return tuple(f"{one}=={pinned[one]}" if one in pinned else one for one in sorted({normal(name) for name in names}))


def files(found: Released, pinned: dict[str, str]) -> dict[str, str]:
    """Return `requirements.txt` and `constraints.txt`: what is wanted, and which versions whatever else comes has."""
    head = "".join(f"# {line}\n" for line in found.header())
    return {
        "requirements.txt": head + "".join(f"{line}\n" for line in requirements(found, pinned)),
        "constraints.txt": head + "".join(f"{name}=={version}\n" for name, version in pinned.items()),
    }


def install(found: Released, pinned: dict[str, str], into: Path) -> None:
    """Install the libraries into a folder by pip, as it is set up on this machine: wheels alone, nothing is built.

    Args:
        found: the release.
        pinned: of its lock.
        into: a folder of its own; the two files are written beside it.

    Raises:
        Missing: this Python has no pip.
        Unavailable: pip could not; its last words are said.
    """
    if find_spec("pip") is None:
        raise Missing(
            "pip-missing", "This Python has no pip.", why="it brings the libraries of an image",
            fix=f"{sys.executable} -m ensurepip",
        )  # fmt: skip
    for name, text in files(found, pinned).items():
        (into.parent / name).write_text(text, encoding="utf-8")
    words = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--only-binary", ":all:", "--ignore-installed", "--target", str(into)),
        *("-r", str(into.parent / "requirements.txt"), "-c", str(into.parent / "constraints.txt")),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip said nothing"]
        raise Unavailable(
            "image-libraries",
            "The libraries of the image could not be installed.",
            where=found.release.id,
            why=said[-1][:300],
            fix="name an index or a folder of wheels to pip: PIP_INDEX_URL, PIP_FIND_LINKS",
        )


def brought(folder: Path) -> Iterator[Piece]:
    """Yield the installed files but scripts, and notes of who installed them, which differ between machines."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        noted = name.parts[0].endswith(".dist-info") and name.name in _NOT_SERVED
        useless = noted or name.parts[0] == "bin" or "__pycache__" in name.parts
        if path.is_file() and not path.is_symlink() and not useless:
            yield Piece(path=name.as_posix(), source=path)
