"""Whether a project says the same graph whenever it is asked: what its modules and its pipeline's body do is plain."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from types import FunctionType, ModuleType
from typing import Any

from ropewalk.pipelines.declare import PIPELINE_MARK, STEP_MARK
from ropewalk.pipelines.ownership import Ownership
from ropewalk.source.environment import library_version

# Calls whose result their arguments decide alone, at the top of a module.
_NAMED = frozenset(
    {"Path", "PurePath", "dataclass", "field", "frozenset", "tuple", "list", "dict", "set", "range", "sorted", "len"}
    | {"min", "max", "sum", "int", "float", "str", "bool", "TypeVar", "ParamSpec", "NewType", "namedtuple", "partial"}
    | {"step", "pipeline", "wraps", "cache", "lru_cache", "getLogger", "Decimal", "timedelta", "date", "zip"}
)
_METHODS = frozenset(
    {"compile", "getLogger", "partial", "wraps", "lru_cache", "namedtuple", "field", "dataclass", "get", "getenv"}
    | {"joinpath", "resolve", "absolute", "with_suffix", "with_name", "step", "pipeline", "split", "items", "keys"}
    | {"values", "join", "lower", "upper", "strip", "format"}
)
_IN_BODY = frozenset(
    {"range", "len", "list", "tuple", "dict", "set", "zip", "enumerate", "sorted", "min", "max", "sum", "str", "int"}
    | {"float", "bool", "abs", "round", "isinstance", "reversed"}
)
_BODY_METHODS = frozenset(
    {"append", "extend", "items", "keys", "values", "format", "join", "split", "lower", "upper", "strip", "get"}
    | {"startswith", "endswith", "removeprefix", "removesuffix", "update", "add"}
)
# Where such names come from: what the project calls so itself is another thing.
_ORIGINS = frozenset(
    {"builtins", "collections", "dataclasses", "datetime", "decimal", "functools", "logging", "os", "pathlib", "re"}
    | {"ropewalk", "typing"}
)
_OF_TEXT = frozenset({"split", "join", "lower", "upper", "strip", "format"})
_VALUES = (str, bytes, int, float, list, tuple, dict, set, frozenset, PurePath, type(os.environ), type(None))
_RUNS_CODE = frozenset({"__init_subclass__", "__set_name__", "__class_getitem__", "__getattr__"})


def is_plain(owned: Ownership, pipeline: FunctionType) -> bool:
    """Say whether the graph of a pipeline depends on its files, arguments, environment and libraries alone.

    What is not known to be plain is not: reading files, asking for the time or chance, calling functions of the project
    while it is imported, decorators and metaclasses of the project.
    """
    for module in owned.modules():
        path = Path(str(module.__file__))
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return False
        if not _versioned(tree, owned) or not all(_plain_statement(item, vars(module)) for item in tree.body):
            return False
        if vars(module) is pipeline.__globals__ and not _plain_body(tree, pipeline):
            return False
    return True


def _versioned(tree: ast.Module, owned: Ownership) -> bool:
    """Say whether each library that a file imports has a version that tells when it is another one."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(item.name.partition(".")[0] for item in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    libraries = (name for name in names - sys.stdlib_module_names - {"ropewalk"} if not owned.owns(name))
    return not any(library_version(name).startswith(("sha256:", "none")) for name in libraries)


def _plain_body(tree: ast.Module, pipeline: FunctionType) -> bool:
    found = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == pipeline.__name__]
    if len(found) != 1 or PIPELINE_MARK not in vars(pipeline):
        return False
    inner = [node for statement in found[0].body for node in ast.walk(statement)]
    refused = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.With, ast.Global)
    if any(isinstance(node, refused) for node in inner):
        return False
    calls = [node for node in inner if isinstance(node, ast.Call)]
    return not any(_calls_back(call) for call in calls) and all(
        _plain_call_in_body(call.func, pipeline.__globals__) for call in calls
    )


def _plain_call_in_body(called: ast.expr, namespace: Mapping[str, Any]) -> bool:
    if isinstance(called, ast.Name):
        value = namespace.get(called.id)
        return _is_step(value) if called.id in namespace else called.id in _IN_BODY
    if not isinstance(called, ast.Attribute):
        return False
    if called.attr == "map" and _is_step(_resolved(called.value, namespace)):
        return True
    found = _resolved(called, namespace)
    return _is_step(found) if found is not None else called.attr in _BODY_METHODS


def _resolved(expression: ast.expr, namespace: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any object
    if isinstance(expression, ast.Name):
        return namespace.get(expression.id)
    if isinstance(expression, ast.Attribute):
        holder = _resolved(expression.value, namespace)
        return vars(holder).get(expression.attr) if isinstance(holder, ModuleType) else None
    return None


def _is_step(value: object) -> bool:
    return STEP_MARK in getattr(value, "__dict__", {})


def _plain_statement(item: ast.stmt, namespace: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - one way out for each
    def plain(*expressions: ast.expr | None) -> bool:
        return all(_plain_expression(one, namespace) for one in expressions if one is not None)

    decorated = all(_plain_decorator(one, namespace) for one in getattr(item, "decorator_list", ()))
    match item:
        case ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            given = item.args
            return item.name not in _RUNS_CODE and decorated and plain(*given.defaults, *given.kw_defaults)
        case ast.ClassDef():
            inner = all(_plain_statement(one, namespace) for one in item.body)
            return inner and not item.keywords and decorated and plain(*item.bases)
        case ast.Assign():
            return plain(item.value, *item.targets)
        case ast.AnnAssign():
            return plain(item.value, item.target)
        case ast.Expr():
            return isinstance(item.value, ast.Constant)
        case ast.If():
            return ast.unparse(item.test) in ("__name__ == '__main__'", "TYPE_CHECKING", "typing.TYPE_CHECKING")
        case _:
            return False


def _plain_expression(expression: ast.expr, namespace: Mapping[str, Any]) -> bool:
    lambdas = {
        id(node) for part in ast.walk(expression) if isinstance(part, ast.Lambda) for node in ast.walk(part.body)
    }
    for node in ast.walk(expression):
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if not isinstance(node, ast.Call) or id(node) in lambdas:
            continue
        if _calls_back(node) or not _plain_call(node.func, namespace):
            return False
    return True


def _calls_back(call: ast.Call) -> bool:
    """Say whether a call calls a function that it is given: `sorted(names, key=rank)`."""
    return any(given.arg in ("key", None) for given in call.keywords)


def _plain_decorator(decorator: ast.expr, namespace: Mapping[str, Any]) -> bool:
    """Say whether a decorator is plain; one without brackets is a call too."""
    called = None if isinstance(decorator, ast.Call) else _resolved(decorator, namespace)
    return _plain_expression(decorator, namespace) and _is_known(called)


def _plain_call(called: ast.expr, namespace: Mapping[str, Any]) -> bool:
    if isinstance(called, ast.Name):
        return called.id in _NAMED and _is_known(namespace.get(called.id))
    if not isinstance(called, ast.Attribute) or called.attr not in _METHODS:
        return False
    if called.attr == "resolve" and "__file__" not in ast.unparse(called):
        return False  # where links lead to is not among the files
    function = _resolved(called, namespace)
    return _is_known(function) if function is not None else _plain_holder(called.value, called.attr, namespace)


def _plain_holder(holder: ast.expr, method: str, namespace: Mapping[str, Any]) -> bool:
    """Say whether a method is one of the interpreter's own values, and not of an object that may do anything."""
    match holder:
        case ast.Name():
            # A name that the module does not have is a comprehension's.
            known = holder.id in namespace
            return isinstance(namespace[holder.id], _VALUES) if known else method in _OF_TEXT
        case ast.Attribute() if (value := _resolved(holder, namespace)) is not None:
            return isinstance(value, _VALUES)
        case ast.Attribute() | ast.Subscript():
            return _plain_holder(holder.value, method, namespace)
        case ast.BinOp():
            return all(_plain_holder(side, method, namespace) for side in (holder.left, holder.right))
        case _:
            return not isinstance(holder, ast.NamedExpr | ast.IfExp | ast.BoolOp | ast.Lambda)


def _is_known(value: object) -> bool:
    """Say whether a function or class is of the few whose names are listed here, and no other of that name."""
    origin = str(getattr(value, "__module__", None) or "builtins").partition(".")[0]
    return not isinstance(value, FunctionType | type) or origin in _ORIGINS


def elsewhere(owned: Ownership, modules: Iterable[ModuleType]) -> bool:
    """Say whether code of the project lies outside of its snapshot: nothing tells when that changes."""
    look: Callable[[str], bool] = owned.is_library_file
    for module in modules:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not look(file) and not owned.inside(file):
            return True
    return False
