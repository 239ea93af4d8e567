"""One thing of the project at a time: what it is by itself, and which other things it refers to."""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
import gc
import importlib
import io
import os
import pickle
import re
import struct
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, cast

from ropewalk.pipelines.bytecode import constant, scan
from ropewalk.pipelines.facts import Facts, Ref
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.packed import modules_in
from ropewalk.refs import canonical, digest_of, digest_of_file, short

SHOWN_MAX = 60
FOREIGN_DEPTH_MAX = 3
_HOLDERS: tuple[Any, ...] = (list, tuple, set, frozenset, dict, str, bytes, int, float)
_CHANGEABLE = (list, dict, set, bytearray)
_SCALARS = (type(None), bool, int, float, complex, str, bytes)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Made anew by the interpreter or derived from what is read anyway.
_CLASS_NOISE = frozenset(
    {"__doc__", "__module__", "__dict__", "__weakref__", "__qualname__", "__firstlineno__", "__static_attributes__"}
    | {"__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__annotations__"}
    | {"__annotate__", "__annotate_func__", "__annotations_cache__", "__orig_bases__"}
)
# What the import system tells of a module: all of it names the folder that the code lies in now.
_PLACES = frozenset({"__file__", "__path__", "__spec__", "__loader__", "__cached__"})
_FIELD_PARTS = ("name", "default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")


class Walk:
    """Turns things into JSON-able tokens; what they refer to is appended to a list and stands there as `["ref"]`.

    Args:
        owned: says which modules are the project's.
    """

    def __init__(self, owned: Ownership) -> None:
        self.owned = owned
        self._stack: set[int] = set()
        self._foreign = 0
        self._made: set[int] = set()  # containers that are ours, made of the project's
        self.holds: list[int] = []

    def value_facts(self, name: str, value: object) -> Facts:
        """Return the facts of what a name holds."""
        refs: list[Ref] = []
        token = digest_of(canonical(self.value(name, value, refs)))
        small = type(value) in _SCALARS or (type(value) in (tuple, list, dict) and len(cast("Any", value)) <= SHOWN_MAX)
        shown = repr(value) if small else ""
        readable = shown and len(shown) <= SHOWN_MAX and not _ADDRESS.search(shown) and self.owned.folder not in shown
        return self._facts(name, token, shown if readable else short(token), refs)

    def _facts(self, name: str, token: str, shown: str, refs: list[Ref]) -> Facts:
        return Facts(name=name, token=token, shown=shown, refs=tuple(refs), reads=(), holds=tuple(self.holds))

    def class_facts(self, value: type) -> Facts:
        """Return the facts of a class: bases, annotations, and each attribute."""
        name = f"{value.__module__}.{value.__qualname__}"
        refs: list[Ref] = []
        bases = [f"{base.__module__}.{base.__qualname__}" for base in value.__bases__]
        token: list[Any] = [bases, *(self.value(name, base, refs) for base in (type(value), *value.__bases__))]
        token.append(self._annotations(name, value, refs))
        for key, attribute in sorted(vars(value).items()):
            if key not in _CLASS_NOISE:
                token.append([key, self.value(f"{name}.{key}", attribute, refs)])
        whole = digest_of(canonical(token))
        return self._facts(name, whole, short(whole), refs)

    def _annotations(self, name: str, value: type, refs: list[Ref]) -> list[Any]:
        """Return what a class says of its fields, where something makes code of that: a plain class only notes it."""
        own: dict[str, Any] = vars(value).get("__annotations__", {})
        fields = vars(value).get("__dataclass_fields__")
        if isinstance(fields, dict):
            told = [[getattr(item, part) for part in _FIELD_PARTS] for item in dataclasses.fields(cast("Any", value))]
            kinds = [_plain((getattr(f, "_field_type", ""), f.type)) for f in cast("dict[str, Any]", fields).values()]
            return [list(cast("dict[str, Any]", fields)), kinds, self.value(name, self._own(told), refs)]
        plain = type(value) is type and all(
            base is object or self.owned.owns(base.__module__) for base in value.__mro__
        )
        if plain and not any(mark in vars(value) for mark in ("__attrs_attrs__", "__init_subclass__")):
            return []
        return [[key, _plain(note)] for key, note in own.items()]

    def module_facts(self, module: ModuleType) -> Facts:
        """Return the facts of a whole module, for code that takes it in its hand."""
        refs: list[Ref] = []
        token: list[Any] = []
        for key, value in sorted(vars(module).items()):
            if not (key.startswith("__") and key.endswith("__")):
                token.append([key, self._named(f"{module.__name__}.{key}", value, refs)])
        whole = digest_of(canonical(token))
        return self._facts(f"module {module.__name__}", whole, short(whole), refs)

    def chain(self, chain: tuple[str, ...], namespace: Mapping[str, Any], module: str, refs: list[Ref]) -> list[Any]:
        """Return what a global name with its attributes is bound to."""
        name = chain[0]
        if name not in namespace:
            return [name, "builtin" if hasattr(builtins, name) else "unbound"]
        if name in _PLACES:
            return [name, self._files(refs)]
        value, full, rest = namespace[name], f"{module}.{name}", list(chain[1:])
        while isinstance(value, ModuleType) and rest and self.owned.owns(value.__name__):
            attribute = rest.pop(0)
            full = f"{value.__name__}.{attribute}"
            if attribute in _PLACES:
                return [list(chain), self._files(refs)]
            try:
                value = getattr(value, attribute)
            except AttributeError:
                return [list(chain), "unbound"]
        return [list(chain), self._named(full, value, refs)]

    def imported(self, module: str, names: tuple[str, ...], refs: list[Ref]) -> list[Any]:
        """Return what an import inside a function brings; a module of the project is imported for it."""
        if not self.owned.owns(module):
            self._library(module, refs)
            return [module, list(names)]
        try:
            found = importlib.import_module(module)
        except ImportError:
            return [module, "not there"]
        if not names:
            return [module, self.value(module, found, refs)]
        bound: list[Any] = []
        for name in names:
            value = getattr(found, name, None)
            if value is None and name not in vars(found):
                bound.append(self.imported(f"{module}.{name}", (), refs))
            else:
                bound.append([name, self._named(f"{module}.{name}", value, refs)])
        return [module, bound]

    def cell(self, name: str, cell: CellType, refs: list[Ref]) -> list[Any]:
        """Return what a variable of an enclosing function holds."""
        try:
            value = cell.cell_contents
        except ValueError:
            return ["empty"]
        return self._named(name, value, refs)

    def state(self, name: str, attributes: Mapping[str, Any], refs: list[Ref]) -> list[Any]:
        """Return attributes by name, in order of their names."""
        return [
            [str(key), self.value(f"{name}.{key}", value, refs)]
            for key, value in sorted(attributes.items(), key=lambda pair: str(pair[0]))
        ]

    def _named(self, name: str, value: object, refs: list[Ref]) -> list[Any]:
        """Return what a name is bound to; a value becomes a thing of its own, so that people can see it change."""
        if isinstance(value, FunctionType | type | ModuleType | BuiltinFunctionType):
            return self.value(name, value, refs)
        refs.append(Ref(name=name, value=value, kind="value"))
        return ["ref"]

    def _files(self, refs: list[Ref]) -> str:
        """Note that code knows where it lies: it may read any file beside it."""
        refs.append(Ref(name="", value="", kind="files"))
        return "here"

    def _place(self, text: str, refs: list[Ref]) -> list[Any] | None:
        """Return a path within the project as one that holds in every folder that the project is put in."""
        folder = self.owned.folder
        if not (text.startswith(folder) or text + os.sep == folder):
            return None
        return [self._files(refs), text[len(folder) :]]

    def _library(self, module: str, refs: list[Ref]) -> None:
        top = module.partition(".")[0]
        if top and top not in sys.stdlib_module_names:
            refs.append(Ref(name=top, value=top, kind="library"))

    def _code(self, module: str | None, name: str, value: object, refs: list[Ref]) -> list[Any]:
        """Return a function, class or module: followed when it is the project's, told by its version otherwise."""
        if self.owned.owns(module):
            refs.append(Ref(name=name, value=value, kind="follow"))
            return ["ref", *self._compiled(module)]
        self._library(module or "", refs)
        return ["library", module, name]

    def _compiled(self, module: str | None) -> list[str]:
        """Return the digest of a module of the project that is no Python text: all of it counts as one thing."""
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        compiled = isinstance(file, str) and not file.endswith((".py", ".pyc")) and Path(file).is_file()
        return [digest_of_file(Path(file))] if compiled and isinstance(file, str) else []

    def value(self, name: str, value: object, refs: list[Ref]) -> list[Any]:
        """Return the token of anything."""
        if type(value) in _SCALARS:
            place = self._place(value, refs) if isinstance(value, str) else None
            if isinstance(value, bytes):
                self.packed(value, refs)
            return place or constant(value)
        if id(value) in self._stack:
            return ["around"]
        self._stack.add(id(value))
        try:
            return self._compound(name, value, refs)
        finally:
            self._stack.discard(id(value))

    def _own(self, made: Any) -> Any:  # noqa: ANN401 - a container
        """Note that a container is ours: nothing of the project holds it."""
        self._made.add(id(made))
        return made

    def packed(self, data: bytes, refs: list[Ref]) -> None:
        """Follow the project's code that bytes name when they are loaded as a pickle."""
        for module, names in modules_in(data).items():
            if self.owned.owns(module):
                self.imported(module, tuple(names), refs)

    def _compound(self, name: str, value: Any, refs: list[Ref]) -> list[Any]:  # noqa: ANN401, PLR0911 - any object
        kind = cast("type[Any]", type(value))
        if kind in _CHANGEABLE and id(value) not in self._made:
            self.holds.append(id(value))
        if value is os.environ or value is os.environb:
            return ["environment"]  # which of it is asked for is found out elsewhere
        held = self._container(name, kind, value, refs)
        if held is not None:
            return held
        if isinstance(value, ModuleType):
            return self._code(value.__name__, value.__name__, value, refs)
        if isinstance(value, type):
            return self._code(value.__module__, value.__qualname__, value, refs)
        if isinstance(value, FunctionType):
            if self.owned.is_library_file(value.__code__.co_filename) and not self.owned.owns(value.__module__):
                held = [self.value(name, inner, refs) for inner in self._own_in(value)]
                return [*self._code(value.__module__, value.__qualname__, value, refs), held]
            refs.append(Ref(name=name, value=value, kind="follow"))
            return ["ref"]
        inner = self._wrapping(name, value, refs)
        if inner is None:
            return self._object(name, value, refs)
        own = [self._object(name, value, refs)] if self.owned.owns(kind.__module__) else []
        return [kind.__name__, inner, *own]

    def _container(self, name: str, kind: type[Any], value: Any, refs: list[Ref]) -> list[Any] | None:  # noqa: ANN401
        """Return what the interpreter's own containers hold, or None when it is none of them."""
        if kind in (list, tuple):
            return [kind.__name__, [self.value(name, item, refs) for item in value]]
        if kind is MappingProxyType:
            return self.value(name, self._own(dict(value)), refs)
        if kind is dict:
            return ["dict", [[self.value(name, one, refs) for one in pair] for pair in value.items()]]
        if kind in (set, frozenset):
            items = sorted(value, key=_plain)
            return [kind.__name__, [self.value(name, item, refs) for item in items]]
        return None

    def _own_in(self, function: FunctionType) -> list[Any]:
        """Return the project's functions and classes that a library's closure was given."""
        found: list[Any] = []
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            if isinstance(value, FunctionType | type) and self.owned.owns(value.__module__):
                found.append(value)
        return found

    def _wrapping(  # noqa: C901, PLR0911, PLR0912 - one way out for each wrapper of the interpreter
        self,
        name: str,
        value: Any,  # noqa: ANN401 - any object
        refs: list[Ref],
    ) -> list[Any] | None:
        """Return what the interpreter's own wrappers hold, or None when it is none of them."""
        if isinstance(value, CodeType):
            return scan(value).token
        if isinstance(value, BuiltinFunctionType):
            owner = getattr(value, "__self__", None)
            if owner is None or isinstance(owner, ModuleType):
                return self._code(value.__module__ or "builtins", value.__qualname__, value, refs)
            return [value.__name__, self.value(name, owner, refs)]
        if isinstance(value, MethodType):
            return [self.value(name, value.__func__, refs), self.value(name, value.__self__, refs)]
        if isinstance(value, staticmethod | classmethod):
            return self.value(name, cast("Any", value).__func__, refs)
        if isinstance(value, property):
            return [self.value(name, part, refs) for part in (value.fget, value.fset, value.fdel)]
        if isinstance(value, functools.cached_property):
            return self.value(name, value.func, refs)
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return [self.value(name, part, refs) for part in parts]
        if isinstance(value, functools.partialmethod):
            return [self.value(name, part, refs) for part in (value.func, value.args, value.keywords)]
        if type(value).__name__ == "_lru_cache_wrapper":
            return self.value(name, value.__wrapped__, refs)
        if isinstance(value, weakref.ref):
            return self.value(name, cast("Any", value)(), refs)
        if isinstance(value, PurePath):
            return self.value(name, str(value), refs)
        if isinstance(value, struct.Struct | memoryview):
            return [value.format, value.hex() if isinstance(value, memoryview) else ""]
        return None

    def _object(self, name: str, value: Any, refs: list[Ref]) -> list[Any]:  # noqa: ANN401 - any object
        kind = cast("type[Any]", type(value))
        if isinstance(value, enum.Enum):
            return ["enum", self.value(name, kind, refs), value.name, self.value(name, value.value, refs)]
        if self.owned.owns(kind.__module__):
            self.holds.append(id(value))
            return ["object", self.value(name, kind, refs), self._content(name, value, refs)]
        self._library(kind.__module__, refs)
        pickled = self._pickled(name, value, refs)
        if pickled is not None:
            return ["object", kind.__module__, kind.__qualname__, pickled]
        self._foreign += 1
        deep = self._foreign > FOREIGN_DEPTH_MAX
        inside = [] if deep else [self._content(name, value, refs), self._held_code(name, value, refs)]
        self._foreign -= 1
        return ["object", kind.__module__, kind.__qualname__, _plain(value), inside]

    def _held_code(self, name: str, value: object, refs: list[Ref]) -> list[Any]:
        """Return the project's code that an object of native code holds where no attribute tells of it."""
        held = [item for item in gc.get_referents(value) if isinstance(item, FunctionType | type)]
        return [self.value(name, item, refs) for item in held if self.owned.owns(item.__module__)]

    def _content(self, name: str, value: Any, refs: list[Ref]) -> list[Any]:  # noqa: ANN401 - any object
        """Return the state of an object: attributes, slots, and what it holds as a list, dict, ... that it is."""
        held: list[Any] = []
        for kind in _HOLDERS:
            if issubclass(type(value), kind):
                held = [self.value(name, self._own(kind(value)), refs)]
                break
        attributes: dict[str, Any] = dict(getattr(value, "__dict__", {}))
        for cls in type(value).__mro__:
            slots = vars(cls).get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                    attributes[slot] = getattr(value, slot)
        return [held, self.state(name, attributes, refs)]

    def _pickled(self, name: str, value: object, refs: list[Ref]) -> str | None:
        """Return the digest of an object's pickle, in which code of the project is followed and not named."""
        file = io.BytesIO()
        found: list[Ref] = []
        pickler = _Follower(file, self, name, found)
        try:
            pickler.dump(value)
        except Exception:  # noqa: BLE001 - a foreign object may refuse in any way; then its parts are looked at
            return None
        refs += found
        refs += [Ref(name="", value="", kind="project")] * self.owned.packed(file.getvalue())
        return digest_of(file.getvalue())

    def persistent(self, name: str, value: object, refs: list[Ref]) -> str | None:
        """Return how a pickle names a piece of code, or None for anything else."""
        if isinstance(value, str | PurePath):
            place = self._place(str(value), refs)
            return None if place is None else canonical([type(value).__name__, place]).decode()
        if not isinstance(value, FunctionType | type | ModuleType):
            return None
        return canonical(self.value(name, value, refs)).decode()


class _Follower(pickle.Pickler):
    """Pickles, for the digest alone: code in it is handed to the walk."""

    def __init__(self, file: io.BytesIO, walk: Walk, name: str, refs: list[Ref]) -> None:
        super().__init__(file, protocol=5)
        self._walk = walk
        self._name = name
        self._refs = refs

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - pickle's signature
        """Refuse what the project made and a pickle would only name (`NewType`): its parts are looked at instead."""
        home = getattr(obj, "__module__", None)
        if isinstance(home, str) and self._walk.owned.owns(home) and isinstance(obj.__reduce_ex__(5), str):
            raise pickle.PicklingError(home)
        return NotImplemented

    def persistent_id(self, obj: Any) -> str | None:  # noqa: ANN401 - pickle's signature
        return self._walk.persistent(self._name, obj, self._refs)


def _plain(value: object) -> str:
    """Return an object's words without addresses."""
    return _ADDRESS.sub("", repr(value))
