"""A worker's view of one project: its code imported from the snapshot, its graph recorded."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, cast

from ropewalk.blobs.place import open_at
from ropewalk.clock import SystemClock
from ropewalk.errors import Invalid, NotFound
from ropewalk.pipelines import arguments
from ropewalk.pipelines.declare import PIPELINE_MARK
from ropewalk.pipelines.fingerprint import Fingerprinter
from ropewalk.pipelines.graph import Graph
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.parameters import parameters_of
from ropewalk.pipelines.record import Call, GraphRecorder
from ropewalk.pipelines.values import Shelf
from ropewalk.refs import canonical
from ropewalk.runs.log import Collector, collecting


class Session:
    """One project in one process; made once, before any step runs.

    Args:
        project: `code` and `root` (folders), `blobs` (the bucket's address), `target` (`FILE.py:FUNCTION`), `args`,
            `tree` (digest of the files), `files` (of those that are not Python), `globals` (what pickles may name).
    """

    def __init__(self, project: Mapping[str, Any]) -> None:
        self.root = str(project["root"])
        self.owned = Ownership(str(project["code"]))
        self.blobs = open_at(str(project["blobs"]))
        self.clock = SystemClock()
        self.target = str(project["target"])
        self._args: Mapping[str, Any] = project["args"]
        self._fingerprinter = Fingerprinter(self.owned, str(project["tree"]), str(project.get("files", "")))
        self.shelf = Shelf(
            blobs=self.blobs,
            owned=self.owned,
            code_of=self._fingerprinter.globals_of,
            extra=tuple(project["globals"]),
        )
        self.calls: Mapping[str, Call] = {}
        self._recorded: Callable[..., Any] | None = None

    def graph(self, *, with_codes: bool) -> Graph:
        """Import the project, record its pipeline and return the graph.

        Args:
            with_codes: whether the steps' code is read; without, every node's code is empty.

        Raises:
            NotFound: there is no such file or function in the project.
            Invalid: the function is no pipeline, an argument does not fit, or the body does what cannot be recorded.
        """
        pipeline, name = self._pipeline()
        values = arguments.bind(pipeline, self._args, name)
        recorder = GraphRecorder(self.shelf, self.owned, self._fingerprinter if with_codes else None)
        collector = Collector(self.blobs, self.clock)
        with collecting(collector):
            recorder.record(pipeline, values)
        self.calls = recorder.calls
        self._recorded = pipeline
        return Graph(
            pipeline=name,
            args=canonical({key: _json_able(value) for key, value in values.items()}).decode(),
            nodes=tuple(call.node for call in recorder.calls.values()),
            codes=recorder.codes,
            entries=tuple(entry.plain() for entry in collector.entries),
        )

    def plain(self) -> bool:
        """Say whether the same files, arguments, variables and libraries will always give this graph."""
        from ropewalk.pipelines.plainness import elsewhere, is_plain

        body = self._recorded
        return (
            isinstance(body, FunctionType)
            and not elsewhere(self.owned, list(sys.modules.values()))
            and is_plain(self.owned, body)
        )

    def parameters(self) -> list[dict[str, Any]]:
        """Import the project and return what its pipeline's parameters take; nothing of it runs.

        Raises:
            NotFound: there is no such file or function in the project.
        """
        return [item.plain() for item in parameters_of(self._pipeline()[0])]

    def bind(self, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Read many sets of arguments and record the graph of the first; return the arguments and its declared files.

        Raises:
            NotFound: there is no such file or function in the project.
            Invalid: an argument does not fit, or the body does what cannot be recorded.
        """
        pipeline, name = self._pipeline()
        args = [{key: _json_able(value) for key, value in arguments.bind(pipeline, one, name).items()} for one in many]
        self._args = many[0]
        graph = self.graph(with_codes=True)
        reads = sorted({pattern for code in graph.codes.values() for pattern in code.reads})
        return {"pipeline": name, "args": args, "reads": reads}

    def _pipeline(self) -> tuple[Callable[..., Any], str]:
        file, _, wanted = self.target.partition(":")
        module = self._import(file)
        marked: dict[str, Any] = {
            key: value
            for key, value in cast("dict[str, Any]", vars(module)).items()
            if PIPELINE_MARK in getattr(value, "__dict__", {}) and value.__module__ == module.__name__
        }
        if not wanted and len(marked) == 1:
            wanted = next(iter(marked))
        found: Any = marked.get(wanted) or getattr(module, wanted or " ", None)
        if found is None or PIPELINE_MARK not in getattr(found, "__dict__", {}):
            why = f"it has {', '.join(marked)}" if marked else "it has none: no function is marked with @pipeline"
            missing = f"{file} has no pipeline {wanted!r}." if wanted else f"{file} has not exactly one pipeline."
            fix = f"ropewalk run {file}:{next(iter(marked))}" if marked else f"mark a function in {file} with @pipeline"
            raise NotFound("pipeline-not-found", missing, where=file, why=why, fix=fix)
        return found, f"{file}:{wanted}"

    def _import(self, file: str) -> Any:  # noqa: ANN401 - a module
        path = Path(self.owned.folder, file)
        if not file.endswith(".py") or not path.is_file():
            raise NotFound(
                "pipeline-file-not-found",
                f"The project has no file {file!r}.",
                where=self.target,
                why="a pipeline is named FILE.py:FUNCTION, relative to the project, in a file that git does not ignore",
                fix="ropewalk run pipeline.py:train",
            )
        folder, names = path.parent, [path.stem]
        while (folder / "__init__.py").is_file() and str(folder) + os.sep != self.owned.folder:
            names.insert(0, folder.name)
            folder = folder.parent
        self._use_path(str(folder))
        module = importlib.import_module(".".join(names))
        if os.path.realpath(str(getattr(module, "__file__", ""))) != os.path.realpath(path):
            raise Invalid(
                "pipeline-name-taken",
                f"{file} cannot be imported under its name.",
                where=file,
                why=f"a library is called {'.'.join(names)!r} too",
                fix=f"rename {file}",
            )
        return module

    def _use_path(self, folder: str) -> None:
        """Let imports find the snapshot first, and never the live files that it was made of."""
        code, live = self.owned.folder.rstrip(os.sep), os.path.realpath(self.root)
        kept: list[str] = []
        for entry in sys.path:
            real = os.path.realpath(entry or ".")
            inside = real == live or real.startswith(live + os.sep)
            if inside and not real.startswith(code) and not self.owned.is_library_file(real + os.sep):
                entry = code + real.removeprefix(live)  # noqa: PLW2901 - the same folder, as it was kept
            kept.append(entry)
        source = os.path.join(code, "src")  # noqa: PTH118 - sys.path holds text
        first = [folder, code, *([source] if Path(source).is_dir() else [])]
        sys.path[:] = list(dict.fromkeys([*first, *kept]))


def _json_able(value: Any) -> Any:  # noqa: ANN401 - any argument
    """Return an argument as JSON says it best, for people and for finding the same command again."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or value - value == 0 else repr(value)
    if isinstance(value, list | tuple):
        return [_json_able(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, dict):
        return {str(key): _json_able(item) for key, item in cast("dict[Any, Any]", value).items()}
    return repr(value)
