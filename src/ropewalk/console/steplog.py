"""What a step printed, as the console shows it: a window of it, however long it is, what is new, and a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from ropewalk.api.routes import whole_number
from ropewalk.console import steps, walks
from ropewalk.console.ansi import Run as Stretch
from ropewalk.console.ansi import runs_of
from ropewalk.console.files import RAW_HEADERS
from ropewalk.console.steps import AGAIN, GOING, QUEUED, WAITING, Step, Walked
from ropewalk.console.words import size
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.house import House
from ropewalk.pipelines.logs import StepLog
from ropewalk.refs import is_digest
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

WINDOW_BYTES = 64 << 10
PIECE_BYTES_MAX = 256 << 10
SEARCH_BYTES_MAX = 256 << 20
LINE_BYTES_MAX = 1 << 20
FOUND_MAX = 200
WORD_LETTERS_MAX = 200
PLACES_MAX = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A step's log.

    Attributes:
        file: where its bytes are, None for a text that its row holds.
        data: that text.
        size: bytes that can be read.
        whole: bytes that were printed; of more than a mebibyte a finished step keeps both ends.
        growing: whether more may come.
    """

    file: Path | None
    data: bytes
    size: int
    whole: int
    growing: bool

    def read(self, begin: int, count: int) -> bytes:
        """Return bytes from a place on."""
        if self.file is None:
            return self.data[begin : begin + count]
        try:
            with self.file.open("rb") as stream:
                stream.seek(begin)
                return stream.read(count)
        except OSError:
            return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        at: where it begins, in bytes.
        text: pairs of classes and text.
        found: whether it holds what is searched.
        partial: whether its end is not written yet.
    """

    at: int
    text: tuple[Stretch, ...]
    found: bool = False
    partial: bool = False


def printed(house: House, rows: Reader, run: Run, step: Step) -> Printed:
    """Return a step's log: of one that runs the file on this machine, else what was kept with the run."""
    growing = step.state in (GOING, AGAIN, QUEUED, WAITING)
    kept = None if growing else rows.get(StepLog, "pipelines.log_of_step", run_id=run.id, node=step.node)
    if kept is not None and not is_digest(kept.content):
        data = kept.content.encode()
        return Printed(file=None, data=data, size=len(data), whole=kept.bytes, growing=False)
    file = None
    if kept is not None:
        try:
            file = house.site.blobs.fetch(kept.content)
        except NotFound:
            return Printed(file=None, data=b"", size=0, whole=kept.bytes, growing=False)
    folder = house.site.hidden / "logs" / run.id
    file = file or folder / f"{step.node}.log"
    # A step may be called as its author likes; its log lies in the run's folder or nowhere.
    if kept is None and not file.resolve().is_relative_to(folder.resolve()):
        return Printed(file=None, data=b"", size=0, whole=0, growing=growing)
    try:
        count = file.stat().st_size
    except OSError:
        count = 0
    return Printed(file=file, data=b"", size=count, whole=kept.bytes if kept else count, growing=growing)


def lines_of(log: Printed, begin: int, count: int, wanted: str = "") -> tuple[list[Line], int]:
    """Return the lines that begin in a window, and the place from which to go on: of an unfinished line its begin."""
    data = log.read(begin, count)
    end = begin + len(data)
    if begin and log.read(begin - 1, 1) not in (b"\n", b"\r"):
        skipped = data.find(b"\n") + 1
        begin, data = begin + skipped, data[skipped:]
    last = data.rfind(b"\n") + 1
    if end < log.size and last:
        data, end = data[:last], begin + last
    found: list[Line] = []
    at = begin
    for piece in data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]:
        text = piece.decode(errors="replace")
        is_found = bool(wanted) and wanted.lower() in text.lower()
        found.append(Line(at=at, text=tuple(runs_of(text)), found=is_found))
        at += len(piece) + 1
    if found and not data.endswith(b"\n"):
        # What is written over and over is asked for again from its newest writing, not from its first.
        start = max(found[-1].at, begin + data.rfind(b"\r", 0, len(data) - 1) + 1)
        found[-1] = Line(at=found[-1].at, text=found[-1].text, found=found[-1].found, partial=True)
        return found, start if log.growing else end
    return found, end


def search(log: Printed, wanted: str) -> tuple[list[Line], str]:
    """Return the lines that hold a text, in any case of letters, and what was left out."""
    found: list[Line] = []
    for at, piece in _pieces(log):
        text = piece.decode(errors="replace")
        if wanted.lower() not in text.lower():
            continue
        if len(found) == FOUND_MAX:
            return found, f"The first {FOUND_MAX} lines are shown."
        found.append(Line(at=at, text=tuple(runs_of(text)), found=True))
    told = f"The first {size(SEARCH_BYTES_MAX)} were searched." if log.size > SEARCH_BYTES_MAX else ""
    return found, told


def _pieces(log: Printed) -> Iterator[tuple[int, bytes]]:
    if log.file is None:
        at = 0
        for piece in log.data.split(b"\n"):
            yield at, piece
            at += len(piece) + 1
        return
    try:
        with log.file.open("rb") as stream:
            at = 0
            while at < SEARCH_BYTES_MAX and (piece := stream.readline(LINE_BYTES_MAX)):
                yield at, piece.rstrip(b"\n")
                at += len(piece)
    except OSError:
        return


def _asked(house: House, rows: Reader, request: Request) -> tuple[Run, Step, Printed]:
    run = runs.find(rows, request.path_params["run"])
    node = request.path_params["node"]
    # Asked for again and again while it grows: of a run with ten thousand steps one is read.
    step = steps.begun(rows, run, node) or step_of(house, rows, run, node)
    return run, step, printed(house, rows, run, step)


def step_of(house: House, rows: Reader, run: Run, node: str) -> Step:
    """Return a step of a run.

    Raises:
        NotFound: the run has no such step, or none at all.
    """
    return require(walks.require(house, rows, run), node)


def require(walked: Walked, node: str) -> Step:
    """Return a step of those of a run.

    Raises:
        NotFound: it is none of them.
    """
    step, run = walked.step(node), walked.run
    if step is None:
        raise NotFound(
            "step-not-found",
            f"The run {run.name} has no step {node[:80]!r}.",
            where=run.subject,
            why=f"it has {', '.join(one.node for one in walked.steps[:10])}",
            fix=f"ropewalk runs {run.name}",
        )
    return step


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of a step's log shows.

    Raises:
        NotFound: there is no such run or step.
        Invalid: the place in the address is no number.
    """
    run, step, log = _asked(house, rows, request)
    query = dict(request.query_params)
    wanted = query.get("find", "")[:WORD_LETTERS_MAX]
    tail = not query.get("at", "")
    begin = max(0, log.size - WINDOW_BYTES) if tail else min(whole_number(query, "at", 0, PLACES_MAX), log.size)
    lines, following = lines_of(log, begin, WINDOW_BYTES, wanted)
    begin = lines[0].at if lines else begin
    found, told = search(log, wanted) if wanted else ([], "")
    return {
        "run": {"id": run.id, "name": run.name},
        "step": {"node": step.node, "state": step.state, "sign": step.sign, "css": step.css},
        "address": step.address(run.id, "logs"),
        "home": step.address(run.id),
        "lines": lines,
        "next": following,
        "follows": tail and log.growing,
        "begin": begin,
        "earlier": max(0, begin - WINDOW_BYTES) if begin else -1,
        "later": following if following < log.size else -1,
        "size": size(log.size),
        "left_out": f"{size(log.whole - log.size)} of its middle were not kept" if log.whole > log.size else "",
        "find": wanted,
        "found": found,
        "told": told,
    }


def follow(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a step has printed since a place in its log."""
    _, _, log = _asked(house, rows, request)
    begin = whole_number(dict(request.query_params), "from", 0, PLACES_MAX)
    # A finished step's long log is cut to its ends, and a new attempt may begin anew: then it is shown from there.
    anew = begin > log.size or log.size - begin > PIECE_BYTES_MAX
    if anew:
        begin = max(0, log.size - WINDOW_BYTES)
    lines, following = lines_of(log, begin, PIECE_BYTES_MAX)
    return {"lines": lines, "next": following, "anew": anew, "over": not log.growing}


def raw(house: House, rows: Reader, request: Request) -> Response:
    """Return a step's log as a file to keep."""
    run, step, log = _asked(house, rows, request)
    name = f"{run.name}-{step.node}.log".replace("/", "-")
    if log.file is not None and log.file.is_file() and not log.growing:
        return FileResponse(log.file, media_type="text/plain; charset=utf-8", filename=name, headers=RAW_HEADERS)
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    headers = {**RAW_HEADERS, "Content-Disposition": f'attachment; filename="{safe}"'}
    return StreamingResponse(sent(log), media_type="text/plain; charset=utf-8", headers=headers)


def sent(log: Printed) -> Iterator[bytes]:
    """Yield what a log held when it was asked for: a file that grows while it is sent is longer than was said."""
    at = 0
    while at < log.size and (piece := log.read(at, min(PIECE_BYTES_MAX, log.size - at))):
        yield piece
        at += len(piece)


def last_lines(house: House, rows: Reader, run: Run, step: Step, count: int) -> list[Line]:
    """Return the last lines of a step's log; none where it cannot be read."""
    try:
        log = printed(house, rows, run, step)
    except RopewalkError:
        return []
    lines, _ = lines_of(log, max(0, log.size - (WINDOW_BYTES >> 2)), WINDOW_BYTES >> 2)
    return lines[-count:]
