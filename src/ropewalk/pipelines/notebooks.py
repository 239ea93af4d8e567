"""`notebook_step`: a notebook as a step, run by papermill, kept executed and with its outputs as files."""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import Invalid, Missing, NotFound
from ropewalk.pipelines.commands import blobs, staged
from ropewalk.pipelines.opened import unheard
from ropewalk.pipelines.outputs import Files, clear, keep, require_inside
from ropewalk.refs import canonical
from ropewalk.runs.log import log_artifact, log_bytes

KERNEL = "python3"
# The outputs of a cell that are kept as files; HTML and scripts are none of them, for a page would run them.
ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/svg+xml": "svg",
    "application/json": "json",
    "text/markdown": "md",
    "text/plain": "txt",
}
_BINARY = frozenset({"image/png", "image/jpeg"})
# Where the notebooks of this process lie: a path into a snapshot is no input of a step.
_places: dict[str, Path] = {}


def notebook_step(
    notebook: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    reads: str | Sequence[str] = (),
    writes: str | Sequence[str] = (),
    kernel: str = KERNEL,
    name: str = "",
    timeout: float | str | None = None,
    cache: bool = True,
) -> Callable[..., Files]:
    """Make a step of a notebook.

    `report = notebook_step("report.ipynb", parameters={"month": 1}, reads=["sales.csv"])`

    Called in a pipeline it runs in the project's folder. Its parameters stand in the cell that is tagged `parameters`,
    and are replaced by those given here and in the call, which may be results of steps. It runs again when the code of
    a cell, a parameter or what it reads has changed; outputs, metadata and text cells count for nothing. The run keeps
    the executed notebook and every output but HTML as artifacts below `notebooks/`.

    Args:
        notebook: path of the `.ipynb`, relative to the file that calls this.
        parameters: values that JSON can say.
        reads: files, folders or patterns, relative to the project, whose content counts as an input.
        writes: files and folders, relative to the project, that it writes; put back from the cache.
        kernel: name of the Jupyter kernel.
        name: how the run calls it; the file's name when left out.
        timeout: seconds, or text such as `15m`; it is killed then.
        cache: False lets it run in each new run.

    Raises:
        NotFound: there is no such notebook.
        Invalid: it is none, or a path leads out of the project.
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    place = Path(str(caller.f_globals.get("__file__", ""))).resolve().parent / notebook if caller else Path(notebook)
    _places[notebook] = place
    outputs = require_inside((writes,) if isinstance(writes, str) else writes)
    known = (notebook, read_cells(place, notebook), kernel)
    called = name or re.sub(r"[^\w.+()]+", "_", Path(notebook).stem).lstrip(".")
    options: dict[str, Any] = {"reads": (reads,) if isinstance(reads, str) else tuple(reads)}
    options |= {"retries": 0, "timeout": timeout, "cache": cache}

    def stage(*after: object, **more: object) -> Files:
        return staged(_runner(), called, outputs, (*known, {**(parameters or {}), **more}, outputs), **options)(*after)

    stage.__name__ = stage.__qualname__ = called
    return stage


def _runner() -> Callable[..., Files]:
    """Return a function of its own for a step, whose arguments are all inputs of its outcome."""

    def run(  # noqa: PLR0917 - in the order in which they are handed on
        notebook: str,
        codes: tuple[str, ...],  # noqa: ARG001 - other code, another result
        kernel: str,
        parameters: dict[str, Any],
        writes: tuple[str, ...],
        after: tuple[object, ...],  # noqa: ARG001 - what has to be there before
    ) -> Files:
        return run_notebook(notebook, kernel, parameters, writes)

    return run


def read_cells(path: Path, notebook: str) -> tuple[str, ...]:
    """Return the code of a notebook's cells; what stands beside it is for people.

    Raises:
        NotFound: there is no such file.
        Invalid: it is no notebook.
    """
    try:
        found = json.loads(path.read_bytes())
        cells = cast("list[dict[str, Any]]", found["cells"])
        sources = [one["source"] for one in cells if one["cell_type"] == "code"]
    except OSError as error:
        raise NotFound(
            "notebook-not-found",
            "There is no such notebook.",
            where=notebook,
            why=f"it is looked for beside the file that names it: {error.strerror}",
            fix="write its path relative to that file; git must not ignore it",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            "notebook-malformed",
            "This file is not a notebook.",
            where=notebook,
            why=f"wanted the JSON of nbformat 4, found {error}",
            fix="save it once more from Jupyter",
        ) from error
    return tuple(one if isinstance(one, str) else "".join(one) for one in sources)


def run_notebook(notebook: str, kernel: str, parameters: Mapping[str, Any], writes: Sequence[str]) -> Files:
    """Execute a notebook in the project's folder, keep it and its outputs with the run, and what it writes.

    Raises:
        Missing: papermill is not installed.
        Invalid: a cell has failed, or there is no such kernel or parameter.
    """
    root, source = Path.cwd(), _places[notebook]
    stem = f"notebooks/{Path(notebook).with_suffix('').as_posix()}"
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / "executed.ipynb"
        clear(root, writes)
        _execute(notebook, str(source), str(executed), {"kernel_name": kernel, "parameters": dict(parameters)})
        log_artifact(executed, f"{stem}.ipynb")
        _keep_outputs(json.loads(executed.read_bytes()), stem)
    with unheard():
        return keep(root, blobs(), writes, notebook)


def _execute(notebook: str, source: str, executed: str, how: dict[str, Any]) -> None:
    try:
        import papermill as installed
        from jupyter_client.kernelspec import NoSuchKernel
        from papermill.exceptions import PapermillExecutionError
    except ImportError:
        raise Missing(
            "extra-missing",
            "Notebooks need papermill.",
            where=notebook,
            why="it is not installed",
            fix='pip install "ropewalk[notebook]"',
        ) from None
    papermill: Any = installed
    _require_parameters(papermill.inspect_notebook(source), how["parameters"], notebook)
    try:
        papermill.execute_notebook(source, executed, cwd=str(Path.cwd()), progress_bar=False, **how)
    except PapermillExecutionError as problem:
        error: Any = problem
        raise Invalid(
            "notebook-failed",
            f"A cell of the notebook has failed: {error.ename}: {error.evalue}"[:400],
            where=f"{notebook}, cell {error.exec_count}",
            why=str(error.source).strip()[:400],
            fix="mend that cell; the cells before it are in the step's log",
        ) from problem
    except NoSuchKernel as error:
        raise Invalid(
            "notebook-failed", "There is no such kernel.", where=notebook, why=str(error), fix="jupyter kernelspec list"
        ) from error


def _require_parameters(known: Mapping[str, Any], given: Mapping[str, Any], notebook: str) -> None:
    unknown = sorted(set(given) - set(known))
    if known and unknown:
        raise Invalid(
            "notebook-failed",
            f"The notebook has no parameter {unknown[0]!r}.",
            where=notebook,
            why=f"its cell tagged 'parameters' sets {', '.join(sorted(known))}",
            fix="set it there, or give another name",
        )


def _keep_outputs(notebook: Mapping[str, Any], stem: str) -> None:
    """Log what the cells gave as files: `cell-3-1.png` is the first output of the third cell."""
    for number, cell in enumerate(notebook["cells"], 1):
        for place, output in enumerate(cell.get("outputs", ()), 1):
            name = f"{stem}/cell-{number}-{place}"
            if output["output_type"] == "stream":
                log_bytes("".join(output["text"]).encode(), f"{name}.txt")
            for kind, value in output.get("data", {}).items():
                if kind in ENDINGS:
                    log_bytes(_bytes(kind, value), f"{name}.{ENDINGS[kind]}")


def _bytes(kind: str, value: object) -> bytes:
    if kind == "application/json":
        return canonical(value)
    text = value if isinstance(value, str) else "".join(cast("list[str]", value))
    if kind not in _BINARY:
        return text.encode()
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return text.encode()
