"""Saves and loads the native form of a model: skops where it comes back equal, else a pickle with an allow-list."""

from __future__ import annotations

import importlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

from ropewalk.errors import Refused, missing_extra
from ropewalk.models.opcodes import Finding, globals_of
from ropewalk.models.parts import scan_part, skops_globals
from ropewalk.models.trust import EXACT, Trust, modern, trust_in

SKOPS = "model.skops"
PICKLE = "model.pkl"
PROTOCOL = 5


def save_skops(model: object) -> bytes:
    """Return the model as a skops file.

    Raises:
        Missing: skops is not installed.
        Exception: whatever skops raises for a model that it cannot write.
    """
    from skops.io import dumps

    return _same_bytes(dumps(model))


def _same_bytes(data: bytes) -> bytes:
    """Write the archive again with fixed times, numbers by order where skops puts memory addresses, and no padding."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        files = {item.filename: old.read(item) for item in old.infolist()}
    schema = json.loads(files.pop("schema.json"))
    numbers: dict[int, int] = {}
    renamed: dict[str, str] = {}
    _renumber(schema, numbers, renamed)
    kept = {renamed.get(name, name): content for name, content in files.items()}
    kept["schema.json"] = json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(kept):
            content = _without_padding(kept[name]) if name.endswith(".npy") else kept[name]
            new.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()


def _without_padding(array: bytes) -> bytes:
    """Return an array's file with zeros between the fields of its records: there lies whatever the memory held."""
    if b"'descr': [" not in array[:64]:
        return array
    import numpy as np

    records = np.load(io.BytesIO(array), allow_pickle=False)
    clean = np.zeros(records.shape, records.dtype)
    for field in records.dtype.names or ():
        clean[field] = records[field]
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, np.lib.format.header_data_from_array_1_0(clean))
    out.write(clean.view(np.uint8).data)  # `np.save` would copy the fields alone
    return out.getvalue()


def _renumber(node: object, numbers: dict[int, int], renamed: dict[str, str]) -> None:
    if isinstance(node, list):
        for item in cast("list[object]", node):
            _renumber(item, numbers, renamed)
    if not isinstance(node, dict):
        return
    fields = cast("dict[str, object]", node)
    if fields.get("__loader__") == "JsonNode":
        fields.pop("__id__", None)  # texts and numbers are shared or not as the interpreter likes
    address = fields.get("__id__")
    if isinstance(address, int):
        fields["__id__"] = numbers.setdefault(address, len(numbers) + 1)
    file = fields.get("file")
    if isinstance(file, str):
        fields["file"] = renamed.setdefault(file, f"{len(renamed) + 1}.{file.rpartition('.')[2]}")
    for value in fields.values():
        _renumber(value, numbers, renamed)


def save_pickle(model: object) -> bytes:
    """Return the model as a pickle of protocol 5."""
    return pickle.dumps(model, protocol=PROTOCOL)


def named_globals(part: str, data: bytes) -> tuple[str, ...]:
    """Return what a native part imports, sorted, as `module.name`."""
    if part == SKOPS:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return tuple(sorted(skops_globals(archive.read("schema.json"))))
    return globals_of(data)


def load(part: str, data: bytes, allowed: Iterable[str] = ()) -> Any:  # noqa: ANN401 - a model of any library
    """Return the model; its opcodes are walked first, then each import is checked again as it is resolved.

    Call it in a confined worker only: an allow-list bounds what is imported, not what a library's class does.

    Args:
        part: `model.skops` or `model.pkl`.
        data: the part's bytes, verified against their digest by the bucket.
        allowed: globals beyond the defaults: `package.module.name`, or `module.*` for the project's own modules.

    Raises:
        Refused: the file names something that is not allowed.
        Missing: skops is not installed.
    """
    texts = frozenset(allowed)
    findings = scan_part(part, data, texts)
    if findings:
        raise refusal(part, findings)
    if part == SKOPS:
        return _load_skops(data)
    return careful(io.BytesIO(data), texts).load()


def _load_skops(data: bytes) -> Any:  # noqa: ANN401 - a model of any library
    try:
        from skops import io as skops_io
    except ImportError:
        raise missing_extra("skops", "sklearn") from None
    # Everything that the schema names has passed our own list; skops is told to trust just those names.
    return skops_io.loads(data, trusted=skops_io.get_untrusted_types(data=data))


def refusal(part: str, findings: tuple[Finding, ...]) -> Refused:
    """Return the error for a part that may not be loaded."""
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    subject = f"{first.name} " if first.name else "it "
    return Refused(
        "model-not-trusted",
        "The model file names something that may not be loaded.",
        where=part if first.position < 0 else f"{part}, byte {first.position}",
        why=subject + first.why + more,
        fix="add the global to [scan] globals in ropewalk.toml if you wrote it, or log the model without it",
    )


def careful(stream: BinaryIO, allowed: Iterable[str]) -> pickle.Unpickler:
    """Return a reader of pickles that imports nothing but what is allowed; the first wall is `scan_part`."""
    return _Careful(stream, trust_in(allowed))


class _Careful(pickle.Unpickler):
    """Resolves only what the allow-list knows, and only things that live where they say."""

    def __init__(self, stream: BinaryIO, trust: Trust) -> None:
        super().__init__(stream)
        self._trust = trust

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401 - a class or a function
        if not self._trust.allows(module_name, global_name):
            raise _not_trusted(module_name, global_name, "is not on the allow-list")
        module_name = modern(module_name)
        found = getattr(importlib.import_module(module_name), global_name)
        whole = f"{module_name}.{global_name}"
        if whole in EXACT or whole in self._trust.names:
            return found
        home = str(getattr(found, "__module__", ""))
        if home != module_name and home.partition(".")[0] != module_name.partition(".")[0]:
            raise _not_trusted(module_name, global_name, f"comes from {home or 'nowhere'}")
        if not isinstance(found, type) and not self._trust.is_own(module_name) and "__pyx_unpickle_" not in global_name:
            raise _not_trusted(module_name, global_name, "is not a class")
        return found

    def persistent_load(self, pid: object, /) -> Any:  # noqa: ANN401 - never returns
        raise _not_trusted("", "", f"asks its reader for the object {str(pid)[:40]!r}")


def _not_trusted(module: str, name: str, why: str) -> Refused:
    return refusal(PICKLE, (Finding(name=f"{module}.{name}" if name else "", position=-1, why=why),))
