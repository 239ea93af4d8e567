"""The code wheel: a project's own files as a zip after PEP 427, the same bytes each time it is built."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from ropewalk.refs import short

# What a project has beside its code: never part of what is installed.
LEFT_OUT = frozenset({"tests", "test", "migrations", "docs", "advisories", ".github", ".vscode"})
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A built wheel.

    Attributes:
        name: file name, `flights-3+c0123456789ab-py3-none-any.whl`.
        data: the zip's bytes.
        modules: paths of the files that are installed.
    """

    name: str
    data: bytes
    modules: tuple[str, ...]


def build_wheel(name: str, version: int, code: str, files: Mapping[str, bytes]) -> Wheel:
    """Return the wheel of a code snapshot.

    Args:
        name: the project; written as pip wants names.
        version: the model's version; the code's digest is added as local version, so that two codes never share a name.
        code: digest of the code snapshot.
        files: contents by path; only Python files and what lies in packages beside them is installed.
    """
    project = canonicalize_name(name).replace("-", "_")
    full = f"{version}+c{short(code)}"
    info = f"{project}-{full}.dist-info"
    chosen = _chosen(files)
    meta = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {full}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: ropewalk\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [_record_line(path, data) for path, data in (*sorted(chosen.items()), *sorted(meta.items()))]
    meta[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in (*sorted(chosen.items()), *sorted(meta.items())):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return Wheel(name=f"{project}-{full}-py3-none-any.whl", data=packed.getvalue(), modules=tuple(sorted(chosen)))


def _chosen(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Pick modules at the root (or below `src/`) and whole packages: folders with an `__init__.py`."""
    bare = {path.removeprefix("src/"): data for path, data in files.items()}
    packages = {path.partition("/")[0] for path in bare if path.count("/") == 1 and path.endswith("/__init__.py")}
    chosen: dict[str, bytes] = {}
    for path, data in bare.items():
        top, _, rest = path.partition("/")
        if top in LEFT_OUT or top.startswith("."):
            continue
        if (not rest and path.endswith(".py") and path != "setup.py") or (rest and top in packages):
            chosen[path] = data
    return chosen


def _record_line(path: str, data: bytes) -> str:
    """Return a line of RECORD: path, url-safe unpadded sha256, length."""
    hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    quoted = f'"{path}"' if "," in path else path
    return f"{quoted},sha256={hashed},{len(data)}\n"
