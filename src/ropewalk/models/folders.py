"""Folders as one file: packed to the same bytes every time, and unpacked without a path, a link or a bomb."""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from ropewalk.errors import Refused

FILES_MAX = 10_000
BYTES_MAX = 2 << 30
_FILE, _LINK = 0o100644 << 16, 0o120000
_GUARDS: list[subprocess.Popen[bytes]] = []  # each holds the pipe at whose end its shell waits
_GUARD = 'cat >/dev/null; exec rm -rf -- "$0"'


def pack(folder: Path) -> bytes:
    """Return a zip of every file below a folder, in order, without times.

    Raises:
        Refused: it holds a link, or more than a model has.
    """
    out = io.BytesIO()
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if len(files) > FILES_MAX:
        raise _refused(f"{len(files)} files lie in it, {FILES_MAX} are allowed")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise _refused("it is a link or no file", name)
            item = zipfile.ZipInfo(name)
            item.external_attr = _FILE
            archive.writestr(item, path.read_bytes(), zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Write the files of a zip below a folder that is there.

    Raises:
        Refused: a name leads elsewhere, an entry is a link, or it grows too much.
    """
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            items = archive.infolist()
            for item in items:
                total += item.file_size
                why = _odd(item) or ("it grows beyond 2 GiB" if total > BYTES_MAX or len(items) > FILES_MAX else "")
                if why:
                    raise _refused(why, item.filename[:200])
            for item in items:
                if item.is_dir():
                    continue
                target = folder / item.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(item) as source, target.open("xb") as written:
                    left = item.file_size  # what the directory says; an entry that lies is cut there
                    while left > 0 and (piece := source.read(min(left, 1 << 20))):
                        written.write(piece)
                        left -= len(piece)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise _refused(f"it cannot be unpacked: {error}") from error


def _odd(item: zipfile.ZipInfo) -> str:
    path = PurePosixPath(item.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in item.filename or "\0" in item.orig_filename:
        return "its name leads out of the folder"
    if (item.external_attr >> 16) & 0o170000 == _LINK:
        return "it is a link"
    return "it is encrypted" if item.flag_bits & 1 else ""


def laid_out(data: bytes) -> Path:
    """Unpack into a new folder that goes when this process does, even if it is killed, and return it.

    A confined process can remove nothing, so that a small shell waits for its end.
    """
    folder = Path(tempfile.mkdtemp(prefix="ropewalk-model-"))
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    guard.returncode = 0  # it outlives this process, on purpose: nobody waits for it
    _GUARDS.append(guard)
    unpack(data, folder)
    return folder


def _refused(why: str, where: str = "") -> Refused:
    return Refused(
        "model-not-trusted",
        "The model's folder holds something that is not unpacked.",
        where=where,
        why=why,
        fix="save the model again, without links and with paths below its folder",
    )
