"""The environment that a model brings along: its own libraries, installed once beside the blobs, in wheels only."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Refused, Unavailable
from ropewalk.models.manifest import REQUIREMENTS, Manifest
from ropewalk.refs import digest_of

FOLDER = "environments"
SECONDS_MAX = 900.0
# No options, addresses, paths or files of others: what pip would follow somewhere.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,\s-]+\])?\s*(?:(?:[<>=!~]=|===|[<>])\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*"
    r"(?:;[^@/\\]+)?"
)


def of_manifest(blobs: Bucket, manifest: Manifest) -> Path | None:
    """Return the folder of a model's own libraries; None where it has none.

    Args:
        blobs: a folder of blobs, beside which environments lie.
        manifest: the model's.

    Raises:
        Unavailable: they are not installed here yet; the error says how they are.
    """
    digest = manifest.parts.get(REQUIREMENTS)
    if digest is None:
        return None
    root = Path(blobs.address).resolve().parent / FOLDER
    found = libraries_in(place(root, digest))
    if found is None:
        raise Unavailable(
            "model-environment-missing",
            "The model's own environment is not installed here.",
            where=str(place(root, digest)),
            why="it was made on another machine, or removed",
            fix=f"{sys.executable} -m ropewalk.models.environments {blobs.fetch(digest)} {root}",
        )
    return found


def place(root: Path, digest: str) -> Path:
    """Return where the environment of these requirements lies or would lie."""
    return root / digest.removeprefix("sha256:")[:16]


def libraries_in(folder: Path) -> Path | None:
    """Return where an environment keeps its libraries, if it is there."""
    found = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    return found if found.is_dir() else None


def install(requirements: bytes, root: Path) -> Path:
    """Install what a model asks for, once; return the folder of its libraries.

    Only wheels are taken, so that nothing of the packages runs while they are installed.

    Args:
        requirements: as pip reads them, names and versions alone.
        root: where environments lie.

    Raises:
        Refused: a line is no name with a version, or it cannot be installed.
    """
    for line in requirements.decode("utf-8", "replace").splitlines():
        bare = line.partition("#")[0].strip()
        if bare and not _REQUIREMENT.fullmatch(bare):
            raise _refused(f"this is no name and version: {bare[:80]!r}")
    folder = place(root, digest_of(requirements))
    found = libraries_in(folder)
    if found is not None:
        return found
    root.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=root))
    try:
        wanted = part / REQUIREMENTS
        wanted.write_bytes(requirements)
        for command in _commands(part / "made", wanted):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
            if done.returncode:
                raise _refused(" ".join(done.stderr.split())[-300:])
        (part / "made").rename(folder)
    except subprocess.TimeoutExpired:
        raise _refused(f"it took longer than {SECONDS_MAX:g} s") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    made = libraries_in(folder)
    assert made is not None, "venv makes it"
    return made


def _commands(folder: Path, wanted: Path) -> tuple[list[str], ...]:
    """Return what makes the environment: uv where it is there, for it is ten times as quick, else venv and pip."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        return [sys.executable, "-m", "venv", str(folder)], [*pip, "-r", str(wanted)]
    python = ["--python", str(folder / "bin" / "python")]
    return (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--only-binary", ":all:", *python, "-r", str(wanted)],
    )


def _refused(why: str) -> Refused:
    return Refused(
        "model-environment-refused",
        "The model's own environment cannot be installed.",
        where=REQUIREMENTS,
        why=why,
        fix="log the model with pip_requirements that are names and versions of packages with wheels",
    )


def main(arguments: list[str]) -> int:
    """Install the requirements of a file below a folder: what the error of a missing environment says (internal)."""
    file, root = arguments
    try:
        found = install(Path(file).read_bytes(), Path(root))
    except Refused as error:
        sys.stderr.write(f"{error.what} {error.why}\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
