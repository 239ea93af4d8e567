"""The process in which the user's code runs: `python -m ropewalk.pipelines.worker FD PARENT`."""

from __future__ import annotations

import json
import os
import stat
import sys
import traceback
from collections.abc import Callable
from typing import Any

from ropewalk.compute.serve import serve
from ropewalk.pipelines.calls import told_calls
from ropewalk.pipelines.failures import told
from ropewalk.pipelines.opened import Opened, unheard
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.secrets import refuse_in_value
from ropewalk.pipelines.session import Session
from ropewalk.pipelines.trees import digest_of_tree
from ropewalk.runs.log import Collector, collecting


class Worker:
    """Answers jobs: `describe` records the graph with codes, `run` runs one node, two others tell of parameters."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._shape = ""
        self._opened: Opened | None = None
        self._here: dict[str, Any] = {}

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return `{"ok": ...}` or `{"error": ...}`; nothing that the user's code does ends the worker."""
        project = message["project"]
        try:
            if "snapshot" in project:
                project = message["project"] = self._settled(project, message.get("elsewhere", ""))
            if message["op"] == "describe":
                return {"ok": self._describe(project)}
            if message["op"] == "parameters":
                return {"ok": Session(project).parameters()}
            if message["op"] == "bind":
                return {"ok": Session(project).bind(message["many"])}
            return {"ok": self._run(message)}
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a step is a failure of the step, no more
            return {"error": self._told(error, project)}

    def _settled(self, project: dict[str, Any], place: str) -> dict[str, Any]:
        """Return the project as it is on this node of a cluster; looked at once a process."""
        from ropewalk.pipelines.settle import settled

        self._here = self._here or settled(project, place)
        return self._here

    def _open(self, project: dict[str, Any], *, with_codes: bool) -> dict[str, Any]:
        session = Session(project)
        graph = session.graph(with_codes=with_codes)
        self._session, self._shape = session, graph.shape()
        return {
            "pipeline": graph.pipeline,
            "args": graph.args,
            **told_calls(graph.nodes),
            "codes": [
                {"digest": c.digest, "parts": dict(c.parts), "reads": list(c.reads)} for c in graph.codes.values()
            ],
            "entries": list(graph.entries),
        }

    def _describe(self, project: dict[str, Any]) -> dict[str, Any]:
        assert self._session is None, "a graph is described before anything has run"
        told = self._open(project, with_codes=True)
        assert self._session is not None, "it was opened above"
        versioned = not any(
            name.startswith("library ") and shown.startswith(("sha256:", "none"))
            for code in told["codes"]
            for name, shown in code["parts"].items()
        )
        return told | {"plain": versioned and self._session.plain()}

    def _run(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._open(message["project"], with_codes=False)
            if self._here:
                from ropewalk.pipelines.settle import require

                require(self._here, loose=True)
        session = self._session
        assert session is not None, "it was opened above"
        if self._shape != message["shape"]:
            raise RuntimeError(
                "the pipeline's body called other steps in this process than in the one that planned it; "
                "it must not depend on time, randomness or the environment"
            )
        os.environ["ROPEWALK_RUN_ID"] = message["run"]
        shelf = session.shelf
        shelf.frames.clear()
        inputs = {name: shelf.decode(tree) for name, tree in message["inputs"].items()}
        collector = Collector(session.blobs, session.clock)
        opened = self._opened = self._opened or Opened(session.root, session.owned)
        call, trees, failed = session.calls[message["node"]], list[Any](), None
        opened.begin()
        try:
            with collecting(collector):
                if message["over"]:
                    trees, failed = self._items(message, lambda item: call.run(inputs | {message["over"]: item}))
                else:
                    trees.append(shelf.encode(call.run(inputs)))
        finally:
            read = opened.end()
        plain = {
            "entries": [entry.plain() for entry in collector.entries],
            "frames": list(shelf.frames),
            "read": read,
            "loaded": list(opened.loaded),
        }
        if message["secrets"]:
            values = {name: os.environ.get(name, "") for name in message["secrets"]}
            refuse_in_value(json.dumps([trees, plain], ensure_ascii=False), values)
        if message["over"]:
            return {"trees": trees, "failed": failed, **plain}
        return {"tree": trees[0], "digest": digest_of_tree(trees[0]), **plain}

    def _items(self, message: dict[str, Any], run: Callable[[Any], Any]) -> tuple[list[Any], dict[str, Any] | None]:
        """Run items one after the other up to the first that fails; return the results and what went wrong."""
        assert self._session is not None, "it was opened"
        shelf, trees = self._session.shelf, list[Any]()
        for item in message["items"]:
            try:
                with unheard():
                    value = shelf.decode(item)
                trees.append(shelf.encode(run(value)))
            except BaseException as error:  # noqa: BLE001 - sys.exit() in a step is a failure of the step, no more
                return trees, self._told(error, message["project"])
        return trees, None

    def _told(self, error: BaseException, project: dict[str, Any]) -> dict[str, Any]:
        sys.stdout.flush()
        facts = told(error, Ownership(str(project["code"])), str(project["root"]))
        facts["printed"] = os.fstat(1).st_size if not stat.S_ISFIFO(os.fstat(1).st_mode) else 1 << 40
        traceback.print_exception(error)
        return facts


if __name__ == "__main__":
    serve(Worker().handle)
