"""The project's files as they are now, kept by digest, and written out again for what runs."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import cast

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt, Invalid
from ropewalk.records import frozen
from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.site import HIDDEN, Site
from ropewalk.source.commit import Commit, output_of, read_commit, start_git

FILE_BYTES_MAX = 8 << 20
TOTAL_BYTES_MAX = 512 << 20
MODELS = (
    ".joblib", ".pkl", ".pickle", ".skops", ".onnx", ".pt", ".pth", ".ckpt", ".safetensors", ".ubj", ".keras", ".h5"
)  # fmt: skip
_NOT_CODE = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist", "site-packages"})


@frozen
class CodeSnapshot:
    """The code that runs, by content.

    Attributes:
        digest: of the manifest blob: files, commit and diff.
        tree: of the files alone; the same files give the same tree in every commit.
        files: path relative to the project, digest and mode (`0o644` or `0o755`) of each, by path.
        left_out: files that are too large to be code, with their bytes.
        commit: what git says.
    """

    digest: str
    tree: str
    files: tuple[tuple[str, str, int], ...]
    left_out: tuple[tuple[str, int], ...]
    commit: Commit


def snapshot_code(site: Site, *, for_script: bool = False) -> CodeSnapshot:
    """Keep every file that git tracks or does not ignore; without git, all but hidden and built folders.

    A link counts as the file of the project that it points to. Files above 8 MiB are not code; they are named as
    left out.

    Args:
        site: the project.
        for_script: a script runs in the folder as it is, and leaves its models there: those are not code. Where the
            code is too much, Python files are kept and others left out.

    Raises:
        Invalid: the code is more than 512 MiB.
    """
    listing = start_git(site.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    commit = read_commit(site.root)
    listed = output_of(listing)
    names = _walk(site.root) if listed is None else [os.fsdecode(name) for name in listed.split(b"\0") if name]
    files: list[tuple[str, str, int]] = []
    left_out: list[tuple[str, int]] = []
    total = 0
    for name in sorted(set(names)):
        path = site.root / name
        if not _is_code(site.root, name):
            continue
        facts = path.stat()
        fits = total + facts.st_size <= TOTAL_BYTES_MAX or name.endswith(".py")
        if facts.st_size > FILE_BYTES_MAX or (for_script and (name.endswith(MODELS) or not fits)):
            left_out.append((name, facts.st_size))
            continue
        total += facts.st_size
        if total > TOTAL_BYTES_MAX and not for_script:
            raise _too_large(site.root)
        files.append((name, _keep(site.blobs, path.read_bytes()), 0o755 if facts.st_mode & 0o100 else 0o644))
    tree = digest_of(canonical(files))
    manifest = {
        "commit": _facts(site.blobs, commit),
        "files": files,
        "left_out": left_out,
        "schema": 1,
        "tree": tree,
    }
    return CodeSnapshot(
        digest=_keep(site.blobs, canonical(manifest)),
        tree=tree,
        files=tuple(files),
        left_out=tuple(left_out),
        commit=commit,
    )


def _facts(blobs: Bucket, commit: Commit) -> dict[str, object]:
    return {
        "author": commit.author,
        "branch": commit.branch,
        "diff": _keep(blobs, commit.diff) if commit.diff else "",
        "dirty": commit.dirty,
        "message": commit.message,
        "sha": commit.sha,
    }


def _keep(blobs: Bucket, data: bytes) -> str:
    """Keep bytes that are mostly there already; what lies there is verified when it is read."""
    digest = digest_of(data)
    return digest if blobs.keep(digest) and blobs.size(digest) == len(data) else blobs.put(data)


def _is_code(root: Path, name: str) -> bool:
    """Say whether a path is a file of the project, not ours, and has a name that JSON can say (UTF-8)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    path = root / name
    if name.partition("/")[0] == HIDDEN or not path.is_file():
        return False
    return not path.is_symlink() or path.resolve().is_relative_to(root.resolve())


def _too_large(root: Path) -> Invalid:
    return Invalid(
        "code-too-large",
        "The project's code is too large to be kept with every run.",
        where=root.name,
        why=f"more than {TOTAL_BYTES_MAX >> 20} MiB in files that git does not ignore",
        fix="name data folders in .gitignore",
    )


def _walk(root: Path) -> list[str]:
    """Return the files of a folder without git: no hidden ones, no environments, nothing that was built."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and name not in _NOT_CODE and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        found += [
            (Path(folder) / name).relative_to(root).as_posix()
            for name in names
            if not name.startswith(".") and not name.endswith(".pyc")
        ]
    return found


def read_manifest(blobs: Bucket, digest: str) -> tuple[tuple[str, str, int], ...]:
    """Return path, digest and mode of a snapshot's files.

    Raises:
        NotFound: there is no such blob.
        Corrupt: the blob was changed, is no manifest, or names a file outside of the project.
    """
    try:
        found = json.loads(blobs.get(digest))
        files = tuple((str(path), str(file), int(mode)) for path, file, mode in cast("list[list[str]]", found["files"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("code-malformed", "This blob is not a code snapshot.", where=digest, why=str(error)) from error
    for path, _, _ in files:
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise Corrupt("code-malformed", "A code snapshot names a file outside of the project.", where=path)
    return files


def materialize(blobs: Bucket, digest: str, into: Path) -> Path:
    """Write a snapshot's files, each verified, into a folder; return the folder.

    Args:
        blobs: where the files are.
        digest: the snapshot's.
        into: the folder, complete or not there; one that is there is taken as it is.
    """
    if into.is_dir():
        return into
    import shutil
    import tempfile

    into.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=into.parent, prefix=".part-"))
    try:
        for path, file, mode in read_manifest(blobs, digest):
            target = part / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(blobs.get(file))
            target.chmod(mode)
        try:
            part.rename(into)
        except OSError:
            # Another process wrote the same bytes at the same moment.
            if not into.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return into


def code_folder(site: Site, snapshot: CodeSnapshot) -> Path:
    """Return the folder under `.ropewalk/code` with a snapshot's files as they were kept.

    Its bytes are compared with the snapshot first: a folder that somebody has edited is written anew.
    """
    into = site.hidden / "code" / snapshot.tree.removeprefix(PREFIX)[:16]
    if into.is_dir() and not _is_whole(into, snapshot):
        import shutil

        shutil.rmtree(into)
    return materialize(site.blobs, snapshot.digest, into)


def _is_whole(folder: Path, snapshot: CodeSnapshot) -> bool:
    for name, digest, _ in snapshot.files:
        try:
            data = (folder / name).read_bytes()
        except OSError:
            return False
        if digest_of(data) != digest:
            return False
    return True
