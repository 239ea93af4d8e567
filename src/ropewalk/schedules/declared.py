"""What is declared in a project now: `[[schedules]]`, `@pipeline(schedule=...)`, and monitors that ask to retrain."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ropewalk.clock import iso
from ropewalk.errors import NotFound
from ropewalk.pipelines.declare import Trigger
from ropewalk.pipelines.marked import marked, sources
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.schedule import Schedule
from ropewalk.schedules.spec import ALARM, QUEUE, Spec, invalid, spec_of
from ropewalk.settings import Schedule as Table
from ropewalk.settings import Settings, read_settings
from ropewalk.site import Site

RETRAIN = "retrain"
_EVERY = "every "
_WORDS = frozenset(Trigger.__annotations__)


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
    for path in (root / "ropewalk.toml", *sources(root)):
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
    for found in marked(root, _WORDS | {"schedule"}):
        if found.unread:
            word, where = found.unread
            raise invalid(
                found.name,
                f"{where}: {word} is read from the source and never run: write a text, a number, a list, or the name "
                "of such at the top of the file",
            )
        yield found.target, _table(found.name, dict(found.words))


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
