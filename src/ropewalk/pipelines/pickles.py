"""Pickles of step results: written with a list of everything they name, read by an allow-list in step workers alone."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterable
from typing import Any

from ropewalk.errors import Corrupt, Invalid
from ropewalk.pipelines.ownership import Ownership

# Libraries of data whose classes hold state and act only when they are called.
_LIBRARIES = frozenset(
    {"numpy", "pandas", "polars", "scipy", "sklearn", "pyarrow", "lightgbm", "xgboost", "catboost", "statsmodels"}
    | {"collections", "datetime", "decimal", "fractions", "uuid", "pathlib", "zoneinfo", "enum", "array", "numbers"}
)
# What those libraries and the interpreter rebuild their objects with.
_MAKERS = (
    "_new_",
    "_restore",
    "_reconstruct",
    "_unpickle",
    "__pyx_unpickle",
    "_frombuffer",
    "__newobj",
    "_rebuild",
    "_array_reconstructor",
)
_SINGLES = frozenset(
    {"builtins." + name for name in ("object", "set", "frozenset", "slice", "range", "complex", "bytearray", "bytes")}
    | {"builtins." + name for name in ("list", "tuple", "dict", "int", "float", "bool", "str", "type", "Ellipsis")}
    | {"copyreg._reconstructor", "copyreg.__newobj__", "functools.partial", "types.SimpleNamespace", "re._compile"}
    | {"operator.itemgetter", "operator.attrgetter", "numpy.random._pickle.__randomstate_ctor"}
    | {"numpy.random._pickle.__generator_ctor", "numpy.random._pickle.__bit_generator_ctor"}
    | {"numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"}
    | {"pytz._p", "pytz._UTC"}  # the zones of pandas 2
    | {"pyarrow.lib.type_for_alias", "pyarrow.lib.py_buffer"}
)


class _Writer(pickle.Pickler):
    """Notes every class and function that the pickle names."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.named: dict[str, Any] = {}

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - pickle's signature
        """Note code; leave the writing to pickle."""
        # Compiled functions have types of their own; what they share is a name of their own.
        name = getattr(obj, "__qualname__", None) or (obj.__name__ if type(obj).__name__ == "ufunc" else None)
        if name and callable(obj):
            self.named[f"{getattr(obj, '__module__', None) or 'builtins'}.{name}"] = obj
        return NotImplemented


def allowed(module: str, name: str, found: object, owned: Ownership, extra: Iterable[str]) -> bool:
    """Say whether a pickle may name this.

    Args:
        module: full name of the module.
        name: qualified name in it.
        found: the thing itself.
        owned: the project's own code may always be named.
        extra: further names that the project trusts, `module.name` or `module.*`.
    """
    full = f"{module}.{name}"
    if full in _SINGLES or owned.owns(module):
        return True
    if any(full == item or (item.endswith(".*") and full.startswith(item[:-1])) for item in extra):
        return True
    if module.partition(".")[0] not in _LIBRARIES:
        return False
    return isinstance(found, type) or name.startswith(_MAKERS) or type(found).__name__ == "ufunc"


def dump(value: object, owned: Ownership, extra: Iterable[str]) -> tuple[bytes, dict[str, Any]]:
    """Return a pickle and everything that it names.

    Raises:
        Invalid: it cannot be pickled, or names something that could not be read back.
    """
    file = io.BytesIO()
    writer = _Writer(file)
    try:
        writer.dump(value)
    except Exception as error:
        raise _unsupported(value, str(error)) from error
    for full, found in writer.named.items():
        module = getattr(found, "__module__", None) or _home(found)
        if not allowed(module, full.removeprefix(f"{module}."), found, owned, extra):
            raise _unsupported(value, f"it holds {full}, which may not be loaded again")
    return file.getvalue(), writer.named


def _unsupported(value: object, why: str) -> Invalid:
    return Invalid(
        "value-unsupported",
        f"A step's value of type {type(value).__module__}.{type(value).__qualname__} cannot be kept.",
        why=why,
        fix="return frames, arrays, estimators, numbers, text, lists, tuples or dicts; "
        "or trust the name under [scan] globals in ropewalk.toml",
    )


class _Reader(pickle.Unpickler):
    """Gives a pickle only what it may name."""

    def __init__(self, data: bytes, owned: Ownership, extra: Iterable[str]) -> None:
        super().__init__(io.BytesIO(data))
        self._owned = owned
        self._extra = tuple(extra)

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - pickle's signature
        """Return what a pickle names, if it may."""
        top = module.partition(".")[0]
        known = top in _LIBRARIES or f"{module}.{name}" in _SINGLES or self._owned.owns(module)
        if not known and not any(item.startswith(f"{module}.") for item in self._extra):
            raise _refused(module, name)
        found = super().find_class(module, name)
        # A dotted or borrowed name is judged by where the thing really comes from.
        home = getattr(found, "__module__", None) or module
        real = getattr(found, "__qualname__", name)
        if not allowed(home, real, found, self._owned, self._extra):
            raise _refused(home, real)
        return found


def _refused(module: str, name: str) -> Corrupt:
    return Corrupt(
        "value-untrusted",
        "A kept value names something that may not be loaded.",
        where=f"{module}.{name}",
        why="neither the project nor a known library of data holds it",
        fix="ropewalk verify",
    )


def load(data: bytes, owned: Ownership, extra: Iterable[str]) -> Any:  # noqa: ANN401 - whatever was kept
    """Return what was pickled; the bytes' digest must have been verified before.

    Raises:
        Corrupt: the pickle names what it may not, or cannot be read.
    """
    try:
        return _Reader(data, owned, extra).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise Corrupt("value-unreadable", "A kept value cannot be read back.", why=str(error)) from error


def libraries_of(named: Iterable[str]) -> list[str]:
    """Return the top-level libraries of full names, the interpreter's own left out."""
    tops = {name.partition(".")[0] for name in named}
    return sorted(top for top in tops if top not in sys.stdlib_module_names)


def _home(found: object) -> str:
    """Return the module of what does not say its own: numpy's functions before 2.2, else Python's."""
    return "numpy" if type(found).__module__ == "numpy" else "builtins"
