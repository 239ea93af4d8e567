"""Records: frozen, slotted, keyword-only classes as `dataclasses` makes them, but cheap to declare."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")
_SKIPPED = frozenset({"__dict__", "__weakref__"})


class _Made:
    """A default that is made anew for each record."""

    __slots__ = ("factory", "shown")

    def __init__(self, factory: Callable[[], Any], *, shown: bool) -> None:
        self.factory = factory
        self.shown = shown


class _Fields:
    """What `dataclasses` asks of a class; told by `dataclasses` itself when somebody asks."""

    def __get__(self, one: object, kind: type[Any]) -> dict[str, Any]:
        import dataclasses

        defaults = {
            name: dataclasses.field(default_factory=value.factory, repr=value.shown)
            if isinstance(value, _Made)
            else value
            for name, value in kind.__record_defaults__.items()
        }
        names = {"__module__": kind.__module__, "__annotations__": dict(kind.__annotations__), **defaults}
        told = dataclasses.dataclass(frozen=True, kw_only=True)(type(kind.__name__, (), names))
        kind.__dataclass_fields__ = cast("Any", told).__dataclass_fields__
        return kind.__dataclass_fields__


def made(*, default_factory: Callable[[], T], repr: bool = True) -> T:  # noqa: A002 - as dataclasses.field calls it
    """Return the default of a field that is made anew for each record.

    Args:
        default_factory: makes it.
        repr: whether people see the field when a record is printed.
    """
    return cast("T", _Made(default_factory, shown=repr))


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(made,))
def frozen(cls: type[T]) -> type[T]:
    """Return a class as `@dataclass(frozen=True, slots=True, kw_only=True)` would, without its price at import.

    `dataclasses` compiles six functions for each class when its module is imported, 0.6 ms; here one is compiled, when
    the first record is made. `dataclasses.replace`, `fields` and `asdict` take such records as they take their own.

    Args:
        cls: has annotations, perhaps defaults and methods, and no base; `__post_init__` is called where there is one.

    Raises:
        TypeError: it has a base, or a default that one record could change for all others.
    """
    if cls.__bases__ != (object,):
        message = f"{cls.__name__} has a base; a record has none"
        raise TypeError(message)
    names = {name: value for name, value in vars(cls).items() if name not in _SKIPPED}
    fields = tuple(cast("dict[str, Any]", names.get("__annotations__", {})))
    defaults = {name: names.pop(name) for name in fields if name in names}
    for name, value in defaults.items():
        if type(value).__hash__ is None:
            message = f"{cls.__name__}.{name}: its default can be changed; use made(default_factory=...)"
            raise TypeError(message)
    names |= {
        "__slots__": fields,
        "__match_args__": (),
        "__record_defaults__": defaults,
        "__dataclass_fields__": _Fields(),
        "__init__": _first,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__getstate__": _state,
        "__setstate__": _restore,
    }
    for name, value in (("__repr__", _shown), ("__eq__", _equal), ("__hash__", _hashed)):
        names.setdefault(name, value)
    return cast("type[T]", type(cls.__name__, (), names))


def replace(record: T, /, **changes: Any) -> T:  # noqa: ANN401 - values of any fields
    """Return a record like another one but for what is given."""
    kind = _kind(record)
    for name in kind.__slots__:
        if name not in changes:
            changes[name] = getattr(record, name)
    return kind(**changes)


def values_of(record: object) -> dict[str, Any]:
    """Return a record's values by the names of its fields, in order; values that are records stay so."""
    return {name: getattr(record, name) for name in _kind(record).__slots__}


def fields_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a record's fields, in order."""
    return cast("Any", kind).__slots__


def usual_of(kind: type[Any]) -> dict[str, Any]:
    """Return the defaults of a record's fields by name; those that are made anew are left out."""
    return {
        name: value for name, value in cast("Any", kind).__record_defaults__.items() if not isinstance(value, _Made)
    }


def _kind(record: object) -> Any:  # noqa: ANN401 - the class of any record
    return type(record)


def _first(self: Any, /, **given: Any) -> None:  # noqa: ANN401 - any record
    """Compile what fills a record, then fill this one: the first of its class."""
    kind = _kind(self)
    defaults = kind.__record_defaults__
    # A class may have fields of any name but these.
    known: dict[str, Any] = {"_made": _Made}
    heads, lines = list[str](), list[str]()
    for name in kind.__slots__:
        known[f"_set_{name}"] = getattr(kind, name).__set__
        value = name
        if name in defaults:
            known[f"_of_{name}"] = defaults[name]
            if isinstance(defaults[name], _Made):
                value = f"{name}.factory() if type({name}) is _made else {name}"
        heads.append(f"{name}=_of_{name}" if name in defaults else name)
        lines.append(f" _set_{name}(_self, {value})")
    if hasattr(kind, "__post_init__"):
        lines.append(" _self.__post_init__()")
    star = ", *, " if heads else ""
    text = f"def __init__(_self{star}{', '.join(heads)}):\n" + "\n".join(lines or [" pass"])
    exec(text, known)  # noqa: S102 - the text has nothing but names of fields
    init = known["__init__"]
    init.__qualname__ = f"{kind.__qualname__}.__init__"
    kind.__init__ = init
    init(self, **given)


def _values(record: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any record
    names = _kind(record).__slots__
    if len(names) == 1:
        return (getattr(record, names[0]),)
    return attrgetter(*names)(record) if names else ()


def _equal(self: Any, other: object) -> bool:  # noqa: ANN401 - any record
    return _values(self) == _values(other) if _kind(other) is _kind(self) else NotImplemented


def _hashed(self: Any) -> int:  # noqa: ANN401 - any record
    return hash(_values(self))


def _shown(self: Any) -> str:  # noqa: ANN401 - any record
    kind = _kind(self)
    hidden = {name for name, value in kind.__record_defaults__.items() if isinstance(value, _Made) and not value.shown}
    told = ", ".join(f"{name}={getattr(self, name)!r}" for name in kind.__slots__ if name not in hidden)
    return f"{kind.__qualname__}({told})"


def _refuse(self: Any, name: str, *_: object) -> NoReturn:  # noqa: ANN401 - any record
    from dataclasses import FrozenInstanceError

    message = f"{_kind(self).__name__}.{name} is not to be changed: make another record with replace"
    raise FrozenInstanceError(message)


def _state(self: Any) -> list[Any]:  # noqa: ANN401 - any record
    return list(_values(self))


def _restore(self: Any, values: list[Any]) -> None:  # noqa: ANN401 - any record
    kind = _kind(self)
    for name, value in zip(kind.__slots__, values, strict=True):
        getattr(kind, name).__set__(self, value)
