"""A plain object as arrays and JSON, in safetensors or HDF5: nothing of the file runs when it is read.

What fits: objects of trusted classes whose attributes are numbers, texts, lists, tuples, dictionaries, arrays and such
objects. They come back by their classes and attributes; no constructor and no `__setstate__` is called.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, cast

from ropewalk.errors import Refused, missing_extra
from ropewalk.models.formats import refusal
from ropewalk.models.manifest import SAFETENSORS
from ropewalk.models.opcodes import Finding
from ropewalk.models.trust import Trust, trust_in

HDF5 = "model.h5"
_KEY = "ropewalk"
_HEADER_MAX = 100 << 20
_DEPTH_MAX = 32
_PLAIN = (bool, int, float, str)


def save_safetensors(model: object) -> bytes:
    """Return the object as a safetensors file.

    Raises:
        Refused: something in it is neither a number, a text, an array nor a plain object.
        Missing: safetensors is not installed.
    """
    try:
        numpy: Any = import_module("safetensors.numpy")
    except ImportError:
        raise missing_extra("safetensors", "formats") from None
    arrays: dict[str, Any] = {}
    tree = _told(model, arrays, 0)
    return numpy.save(arrays, metadata={_KEY: json.dumps(tree, separators=(",", ":"), ensure_ascii=False)})


def load_safetensors(data: bytes, allowed: Iterable[str] = ()) -> Any:  # noqa: ANN401 - an object of any class
    """Return the object of a file that `save_safetensors` wrote.

    Args:
        data: the file.
        allowed: classes beyond the defaults, as for `formats.load`.

    Raises:
        Refused: it names a class that is not allowed, or is no such file.
        Missing: safetensors is not installed.
    """
    trust = trust_in(allowed)
    tree = _tree_of(data)
    _check(tree, trust, SAFETENSORS)
    try:
        numpy: Any = import_module("safetensors.numpy")
    except ImportError:
        raise missing_extra("safetensors", "formats") from None
    try:
        arrays = numpy.load(data)
    except Exception as error:  # safetensors has one exception of its own, which is not public
        raise _no_state(SAFETENSORS, str(error)) from error
    return _made(tree, arrays, SAFETENSORS)


def safetensors_globals(data: bytes) -> tuple[str, ...]:
    """Return the classes that a safetensors file names, sorted."""
    return tuple(sorted(set(_classes(_tree_of(data)))))


def _tree_of(data: bytes) -> object:
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= min(len(data) - 8, _HEADER_MAX):
        raise _no_state(SAFETENSORS, "its header does not fit")
    try:
        header = json.loads(data[8 : 8 + length])
        return json.loads(header["__metadata__"][_KEY])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_state(SAFETENSORS, "it holds arrays and says of no class whose they are") from error


def save_hdf5(model: object) -> bytes:
    """Return the object as an HDF5 file; errors are those of `save_safetensors`."""
    h5py = _h5py()
    arrays: dict[str, Any] = {}
    tree = json.dumps(_told(model, arrays, 0), separators=(",", ":"), ensure_ascii=False).encode()
    out = io.BytesIO()
    with h5py.File(out, "w", track_order=False) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
        file.create_dataset(_KEY, data=memoryview(tree), track_times=False)
    return out.getvalue()


def load_hdf5(data: bytes, allowed: Iterable[str] = ()) -> Any:  # noqa: ANN401
    """Return the object of a file that `save_hdf5` wrote.

    Raises:
        Refused: it names a class that is not allowed, leads to another file, or is no such file.
        Missing: h5py is not installed.
    """
    h5py = _h5py()
    trust = trust_in(allowed)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            arrays = {name: _dataset(h5py, file, name) for name in file}
    except OSError as error:
        raise _no_state(HDF5, str(error)) from error
    if _KEY not in arrays:
        raise _no_state(HDF5, "it holds arrays and says of no class whose they are")
    try:
        tree = json.loads(arrays.pop(_KEY).tobytes())
    except (ValueError, RecursionError) as error:
        raise _no_state(HDF5, str(error)) from error
    _check(tree, trust, HDF5)
    return _made(tree, arrays, HDF5)


def _dataset(h5py: Any, file: Any, name: str) -> Any:  # noqa: ANN401
    """Return an array whose bytes lie in this file itself."""
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise _no_state(HDF5, f"{name} leads to another place")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.dtype.hasobject:
        raise _no_state(HDF5, f"{name} is no array of numbers in this file")
    if found.nbytes > 1 << 31:
        raise _no_state(HDF5, f"{name} grows beyond 2 GiB")
    return found[()]


def _h5py() -> Any:  # noqa: ANN401
    try:
        return import_module("h5py")
    except ImportError:
        raise missing_extra("h5py", "formats") from None


def _told(value: Any, arrays: dict[str, Any], depth: int) -> object:  # noqa: ANN401
    import numpy as np

    if depth > _DEPTH_MAX:
        raise _no_state("", "its objects lie in objects too deep")
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray | np.generic):
        numbers = cast("Any", value)
        if numbers.dtype.kind not in "biuf":
            raise _no_state("", f"an array of {numbers.dtype} is more than numbers")
        name = f"a{len(arrays)}"
        arrays[name] = np.ascontiguousarray(numbers)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if type(value) in (list, tuple):
        items = [_told(one, arrays, depth + 1) for one in cast("list[object]", value)]
        return {"list": items} if type(value) is list else {"tuple": items}
    if type(value) is dict:
        fields = cast("dict[object, object]", value)
        return {"dict": [[_told(key, arrays, depth + 1), _told(one, arrays, depth + 1)] for key, one in fields.items()]}
    kind = cast("type[object]", type(value))
    if not hasattr(value, "__dict__") or kind.__module__ in ("builtins", "__main__") or isinstance(value, type):
        raise _no_state("", f"a {kind.__module__}.{kind.__qualname__} is more than numbers")
    if kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__:
        raise _no_state("", f"a {kind.__name__} is rebuilt in a way of its own")
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "state": [
            [name, _told(one, arrays, depth + 1)] for name, one in cast("dict[str, object]", vars(value)).items()
        ],
    }


def _classes(tree: object) -> Iterable[str]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            fields = cast("dict[str, object]", node)
            if "class" in fields:
                yield str(fields["class"])
            waiting.extend(fields.values())
        elif isinstance(node, list):
            waiting.extend(cast("list[object]", node))


def _check(tree: object, trust: Trust, part: str) -> None:
    for whole in _classes(tree):
        module, _, name = whole.rpartition(".")
        if not trust.allows(module, name) or module.partition(".")[0] in ("builtins", "copyreg", "_codecs"):
            raise refusal(part, (Finding(name=whole, position=-1, why="is not on the allow-list"),))


def _made(node: Any, arrays: Mapping[str, Any], part: str) -> Any:  # noqa: ANN401
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    try:
        if "class" in fields:
            return _instance(fields, arrays, part)
        if "array" in fields:
            found = arrays[fields["array"]]
            return found.reshape(-1)[0] if fields["scalar"] else found
        if "dict" in fields:
            return {_made(key, arrays, part): _made(one, arrays, part) for key, one in fields["dict"]}
        items = [_made(one, arrays, part) for one in fields["list" if "list" in fields else "tuple"]]
    except (KeyError, TypeError, ValueError, AttributeError, ImportError, IndexError) as error:
        raise _no_state(part, f"{type(error).__name__}: {error}") from error
    return items if "list" in fields else tuple(items)


def _instance(fields: dict[str, Any], arrays: Mapping[str, Any], part: str) -> object:
    module, _, name = str(fields["class"]).rpartition(".")
    kind: Any = getattr(import_module(module), name)
    if not isinstance(kind, type) or kind.__module__ != module:
        raise _no_state(part, f"{module}.{name} is no class of its module")
    made: Any = object.__new__(cast("type[object]", kind))
    made.__dict__.update({str(name): _made(one, arrays, part) for name, one in fields["state"]})
    return made


def _no_state(part: str, why: str) -> Refused:
    return Refused(
        "model-not-trusted", "This is no model as arrays and a class.", where=part, why=why[:300],
        fix="keep it as a pickle or joblib file, or put its numbers into arrays",
    )  # fmt: skip
