"""Whether a project says the same graph whenever it is asked: what its modules and its pipeline's body do is plain."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ropewalk.pipelines.declare import PIPELINE_MARK, STEP_MARK
from ropewalk.pipelines.ownership import Ownership

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
        if not all(_plain_statement(item, vars(module)) for item in tree.body):
            return False
        if vars(module) is pipeline.__globals__ and not _plain_body(tree, pipeline):
            return False
    return True


def _plain_body(tree: ast.Module, pipeline: FunctionType) -> bool:
    found = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == pipeline.__name__]
    if len(found) != 1 or PIPELINE_MARK not in vars(pipeline):
        return False
    inner = [node for statement in found[0].body for node in ast.walk(statement)]
    refused = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.With, ast.Global)
    if any(isinstance(node, refused) for node in inner):
        return False
    calls = [node.func for node in inner if isinstance(node, ast.Call)]
    return all(_plain_call_in_body(called, pipeline.__globals__) for called in calls)


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
        if isinstance(node, ast.Call) and id(node) not in lambdas and not _plain_call(node.func, namespace):
            return False
    return True


def _plain_decorator(decorator: ast.expr, namespace: Mapping[str, Any]) -> bool:
    """Say whether a decorator is plain; one without brackets is a call too."""
    called = None if isinstance(decorator, ast.Call) else _resolved(decorator, namespace)
    return _plain_expression(decorator, namespace) and not _is_own_function(called)


def _plain_call(called: ast.expr, namespace: Mapping[str, Any]) -> bool:
    if isinstance(called, ast.Name):
        return called.id in _NAMED and not _is_own_function(namespace.get(called.id))
    return isinstance(called, ast.Attribute) and called.attr in _METHODS


def _is_own_function(value: object) -> bool:
    """Say whether a value is a plain function that is not known to be harmless: as a decorator it runs."""
    return isinstance(value, FunctionType) and not value.__module__.startswith(
        ("ropewalk.", "functools", "dataclasses")
    )


def elsewhere(owned: Ownership, modules: Iterable[ModuleType]) -> bool:
    """Say whether code of the project lies outside of its snapshot: nothing tells when that changes."""
    look: Callable[[str], bool] = owned.is_library_file
    for module in modules:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not look(file) and not owned.inside(file):
            return True
    return False
