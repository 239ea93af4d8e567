"""What is declared in a project now: `[[schedules]]`, `@pipeline(schedule=...)`, and monitors that ask to retrain."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ropewalk.clock import iso
from ropewalk.errors import NotFound
from ropewalk.pipelines.declare import Trigger
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.schedule import Schedule
from ropewalk.schedules.spec import ALARM, QUEUE, Spec, invalid, spec_of
from ropewalk.settings import Schedule as Table
from ropewalk.settings import Settings, read_settings
from ropewalk.site import Site

RETRAIN = "retrain"
FILE_BYTES_MAX = 1 << 20
_EVERY = "every "
_WORDS = frozenset(Trigger.__annotations__)
_NOT_CODE = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist", "site-packages"})


def declared(root: Path, settings: Settings) -> list[Spec]:
    """Return everything that is declared, checked; user code is read and never run.

    Raises:
        Invalid: a schedule makes no sense, or two have one name.
        Missing: cron fields, and the library that reads them is not installed.
    """
    found = [spec_of(table, origin="settings", pipeline=settings.pipeline) for table in settings.schedules]
    for target, table in in_code(root):
        found.append(spec_of(table, origin="code", pipeline=target))
    if any(monitor.retrain for monitor in settings.monitors):
        # One start for each alarm, one after the other, none left out.
        found.append(
            Spec(
                name=RETRAIN,
                pipeline=settings.pipeline,
                kind=ALARM,
                overlap=QUEUE,
                args=settings.retrain,
                origin="monitors",
            )
        )
    names: set[str] = set()
    for spec in found:
        if spec.name in names:
            raise invalid(spec.name, f"two schedules have this name; one of them is {spec.when} in {spec.origin}")
        names.add(spec.name)
    return found


class Declared:
    """Reads what is declared anew when a file that may declare something has changed.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._last: dict[str, tuple[int, int]] | None = None

    def __call__(self) -> list[Spec] | None:
        """Return what is declared now; None when that is what it was the last time.

        Raises:
            RopewalkError: as `declared` and `read_settings` do; it is read again the next time.
        """
        now = stamps(self._root)
        if now == self._last:
            return None
        found = declared(self._root, read_settings(self._root))
        self._last = now
        return found


def renewed(site: Site, settings: Settings) -> list[Schedule]:
    """Bring the rows to what code and settings declare now; return all schedules, removed ones too.

    Raises:
        RopewalkError: as `declared` does; the rows stay as they are.
    """
    specs = declared(site.root, settings)
    with site.db.read() as rows:
        if schedules.are_declared(rows, specs):
            return schedules.every(rows)
    return site.db.write(lambda tx: schedules.declare(tx, site, specs))


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Return time and size of everything that may declare a schedule, so that who looks often reads seldom."""
    found: dict[str, tuple[int, int]] = {}
    for path in (root / "ropewalk.toml", *_sources(root)):
        try:
            facts = path.stat()
        except OSError:
            continue
        found[str(path)] = (facts.st_mtime_ns, facts.st_size)
    return found


def in_code(root: Path) -> Iterator[tuple[str, Table]]:
    """Give target and words of every pipeline in the project's code that says what starts it.

    Raises:
        Invalid: the words are not literals, or make no sense.
    """
    for path in _sources(root):
        try:
            data = path.read_bytes()
            tree = ast.parse(data) if b"pipeline" in data and len(data) <= FILE_BYTES_MAX else None
        except (OSError, SyntaxError, ValueError):
            continue  # who runs the file is told what is wrong with it
        if tree is None:
            continue
        file = path.relative_to(root).as_posix()
        names, modules = _imported(tree)
        constants = _constants(tree)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and _is_pipeline(mark.func, names, modules):
                    words = _words(mark, node, file, constants)
                    if words:
                        yield f"{file}:{node.name}", _table(node.name, words)


def parameters(root: Path, target: str) -> frozenset[str] | None:
    """Return the names of a pipeline's parameters as its source has them; None where it takes any.

    Raises:
        NotFound: there is no such file or function, or it cannot be read.
    """
    file, _, name = target.partition(":")
    try:
        tree = ast.parse((root / file).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise _absent(target, str(error)) from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            said = node.args
            if said.kwarg is not None:
                return None
            return frozenset(one.arg for one in (*said.posonlyargs, *said.args, *said.kwonlyargs))
    raise _absent(target, f"{file} has no function {name!r}")


def arguments(root: Path, spec: Spec, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a start's arguments: what the schedule says, and of what caused it what the pipeline asks for by name.

    Raises:
        NotFound: there is no such pipeline.
    """
    wanted = parameters(root, spec.pipeline)
    given = {name: value for name, value in told.items() if wanted is None or name in wanted}
    return {**given, **spec.args}


def interval(from_us: int, until_us: int) -> dict[str, str]:
    """Return what a pipeline is told of an interval: begin and end in UTC, such as `2013-01-01T00:00:00Z`."""
    return {"interval_start": second(from_us), "interval_end": second(until_us)}


def second(at_us: int) -> str:
    """Return a time to the second, in UTC, ISO 8601."""
    return iso(at_us)[:19] + "Z"


def _absent(target: str, why: str) -> NotFound:
    return NotFound(
        "schedule-pipeline-missing",
        "The pipeline of a schedule cannot be found.",
        where=target,
        why=why,
        fix="mend the file or the schedule, then: ropewalk schedule list",
    )


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and name not in _NOT_CODE and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        yield from (Path(folder) / name for name in sorted(names) if name.endswith(".py"))


def _imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names under which a file knows `ropewalk.pipeline`, and those of the module itself."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("ropewalk", "ropewalk.pipelines.declare"):
            names |= {one.asname or one.name for one in node.names if one.name == "pipeline"}
        elif isinstance(node, ast.Import):
            modules |= {one.asname or one.name for one in node.names if one.name == "ropewalk"}
    return names, modules


def _is_pipeline(called: ast.expr, names: set[str], modules: set[str]) -> bool:
    if isinstance(called, ast.Attribute):
        return called.attr == "pipeline" and isinstance(called.value, ast.Name) and called.value.id in modules
    return isinstance(called, ast.Name) and called.id in names


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what the names at the top of a file are bound to by plain assignments."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


class _Resolved(ast.NodeTransformer):
    def __init__(self, constants: Mapping[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node)


def _words(mark: ast.Call, node: ast.FunctionDef, file: str, constants: Mapping[str, ast.expr]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in mark.keywords:
        if word.arg not in _WORDS | {"schedule"}:
            continue
        try:
            found[str(word.arg)] = ast.literal_eval(_Resolved(constants).visit(word.value))
        except (ValueError, TypeError, SyntaxError, RecursionError):
            raise invalid(
                node.name,
                f"{file}:{mark.lineno}: {word.arg} is read from the source and never run: write a text, a number, a "
                "list, or the name of such at the top of the file",
            ) from None
    return found


def _table(name: str, words: dict[str, Any]) -> Table:
    said = dict(words)
    timing = said.pop("schedule", "")
    if not isinstance(timing, str):
        raise invalid(name, f"schedule is a text such as '0 6 * * *' or 'every 15m', found {timing!r}")
    if isinstance(said.get("files"), str):
        said["files"] = [said["files"]]
    if timing.startswith(_EVERY):
        said["every"] = timing.removeprefix(_EVERY).strip()
    elif timing:
        said["cron"] = timing
    try:
        return msgspec.convert({"name": name, **said}, Table)
    except msgspec.ValidationError as error:
        raise invalid(name, str(error)) from error
