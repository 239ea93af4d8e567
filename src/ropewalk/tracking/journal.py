"""A folder with the calls that a process could not deliver: appended and flushed to the disk, sent later in order."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

from ropewalk.errors import Corrupt, Unavailable

CALLS = "calls.jsonl"
STATE = "state.json"
PROGRESS = "progress.jsonl"
HEAD = "head.json"
BODIES = "bodies"
LOCK = "lock"
CHUNK = 1 << 20
# What was sent is appended; from so many bytes on, and when it is as long as the state, it is written into the state.
PROGRESS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the client.

    Attributes:
        number: its place in the journal, from 0.
        at_us: when the client made it, microseconds since the epoch.
        method: of HTTP.
        target: path and query, below the server's address.
        headers: those that say what the body is; never who asks.
        body: the body as text, for JSON.
        file: name of the file below `bodies` that holds the body; empty when it is in `body`.
        made: the id that the client was given for what this call makes; empty when it makes nothing.
    """

    number: int
    at_us: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str = ""
    file: str = ""
    made: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a journal has been sent.

    Attributes:
        done: calls that the server has taken or refused.
        ids: the server's word for each id that the client was given while the server was away; grows in place.
        refused: number and words of the calls that the server refused and that lie nowhere else yet; changes in place.
    """

    done: int = 0
    ids: Mapping[str, str] = field(default_factory=dict[str, str])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a call carries: text, or a file that is taken over."""

    text: str = ""
    source: IO[bytes] | None = None


class Journal:
    """One process's journal, in a folder of its own.

    Args:
        folder: it; made by `create`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count: int | None = None
        self._kept = 0
        self._standing: Standing | None = None
        self._appended = 0

    @classmethod
    def create(cls, folder: Path, url: str, at_us: int, pid: int | None = None) -> Journal:
        """Make an empty journal of calls to a server, this process's own unless another is named."""
        (folder / BODIES).mkdir(parents=True, mode=0o700)
        _write(folder / HEAD, {"url": url, "pid": os.getpid() if pid is None else pid, "at_us": at_us})
        made = cls(folder)
        made._count, made._standing = 0, Standing()
        return made

    @property
    def url(self) -> str:
        """The server's address."""
        return str(_read(self.folder / HEAD).get("url", ""))

    @property
    def pid(self) -> int:
        """The process that keeps it; 0 when that is not known."""
        return int(str(_read(self.folder / HEAD).get("pid", 0)))

    def append(
        self, *, at_us: int, method: str, target: str, headers: Mapping[str, str], body: Body, made: str = ""
    ) -> Call:
        """Keep a call; when this returns, it is on the disk.

        Raises:
            OSError: the disk does not take it.
        """
        number = len(self)
        file = ""
        if body.source is not None:
            file = f"{number:09d}"
            with (self.folder / BODIES / file).open("wb") as out:
                shutil.copyfileobj(body.source, out, CHUNK)
                _settle(out)
        call = Call(
            number=number,
            at_us=at_us,
            method=method,
            target=target,
            headers=dict(headers),
            body=body.text,
            file=file,
            made=made,
        )
        line = _line(asdict(call))
        with (self.folder / CALLS).open("ab") as out:
            # What a full disk took of a call before it refused the rest was never acknowledged.
            if out.tell() != self._kept:
                out.truncate(self._kept)
            out.write(line)
            _settle(out)
        if number == 0:
            _settle_folder(self.folder)
        self._count, self._kept = number + 1, self._kept + len(line)
        return call

    def __len__(self) -> int:
        if self._count is None:
            count = kept = 0
            for _, size in self._sized():
                count, kept = count + 1, kept + size
            self._count, self._kept = count, kept
        return self._count

    def calls(self, start: int = 0) -> Iterator[Call]:
        """Return the calls from a number on, as many as there are now.

        Raises:
            Corrupt: a line before the last does not hold what was written.
        """
        stop = len(self)
        for call in self._lines():
            if call.number >= stop:
                return
            if call.number >= start:
                yield call
            if call.number == stop - 1:
                return

    def body(self, call: Call) -> bytes | Path:
        """Return what a call carries."""
        return self.folder / BODIES / call.file if call.file else call.body.encode()

    def standing(self) -> Standing:
        """Return how far it has been sent."""
        if self._standing is None:
            found = _read(self.folder / STATE)
            standing = Standing(
                done=int(str(found.get("done", 0))),
                ids=dict(cast("dict[str, str]", found.get("ids", {}))),
                refused=dict(cast("dict[str, str]", found.get("refused", {}))),
            )
            self._appended = 0
            for told, size in self._progress():
                standing = _advanced(standing, told)
                self._appended += size
            self._standing = standing
        return self._standing

    def stand(self, done: int, *, ids: Mapping[str, str], refused: Mapping[str, str], settle: bool) -> Standing:
        """Write down what has been sent since: a line, however much was sent before.

        Args:
            done: as `Standing` has it.
            ids: new ones.
            refused: new ones.
            settle: whether it is on the disk when this returns; what a power cut takes away otherwise is sent again,
                and counted once.
        """
        told: dict[str, object] = {"done": done}
        told |= {"ids": dict(ids)} if ids else {}
        told |= {"refused": dict(refused)} if refused else {}
        return self._tell(told, settle=settle)

    def buried(self, numbers: Iterable[str]) -> Standing:
        """Write down that refused calls lie elsewhere now."""
        return self._tell({"done": self.standing().done, "buried": list(numbers)}, settle=True)

    def _tell(self, told: dict[str, object], *, settle: bool) -> Standing:
        standing = self.standing()
        line = _line(told)
        with (self.folder / PROGRESS).open("ab") as out:
            # A line that a power cut has torn was never counted.
            if out.tell() != self._appended:
                out.truncate(self._appended)
            out.write(line)
            if settle:
                _settle(out)
        self._appended += len(line)
        self._standing = _advanced(standing, told)
        if self._appended > max(PROGRESS_BYTES, self._size_of_state()):
            self._compact()
        return self._standing

    def _compact(self) -> None:
        # What is told again after a kill between the two comes to the same.
        _write(self.folder / STATE, asdict(self.standing()))
        (self.folder / PROGRESS).unlink()
        self._appended = 0

    def _size_of_state(self) -> int:
        path = self.folder / STATE
        return path.stat().st_size if path.exists() else 0

    def _progress(self) -> Iterator[tuple[dict[str, object], int]]:
        """Return the whole lines of what was sent, each with its length."""
        path = self.folder / PROGRESS
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                told = _whole(line)
                if told is None:
                    return
                yield cast("dict[str, object]", told), len(line)

    def note(self, name: str, told: list[str]) -> None:
        """Keep a list of words beside the calls."""
        _write(self.folder / name, {"told": told})

    def noted(self, name: str) -> list[object]:
        """Return a list of words that is kept beside the calls."""
        return cast("list[object]", _read(self.folder / name).get("told", []))

    def forget_body(self, call: Call) -> None:
        """Delete the file of a call that the server has taken."""
        if call.file:
            (self.folder / BODIES / call.file).unlink(missing_ok=True)

    @property
    def waiting(self) -> int:
        """How many calls have not been sent."""
        return len(self) - self.standing().done

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep others from sending the same journal meanwhile, and look anew at how far somebody else has sent it.

        Raises:
            Unavailable: another process is sending it.
        """
        with (self.folder / LOCK).open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Unavailable(
                    "spool-busy",
                    "Another process is sending these calls.",
                    where=self.folder.name,
                    why="a training sends its own as soon as the server is back",
                    fix="ropewalk spool status",
                ) from error
            self._standing = None
            yield

    def _lines(self) -> Iterator[Call]:
        return (call for call, _ in self._sized())

    def _sized(self) -> Iterator[tuple[Call, int]]:
        """Return the whole lines, each with its length; one torn by a power cut at the end was never acknowledged."""
        path = self.folder / CALLS
        if not path.exists():
            return
        with path.open("rb") as file:
            for number, line in enumerate(file):
                call = _parsed(line)
                if call is None:
                    if file.read(1) == b"":
                        return
                    raise Corrupt(
                        "spool-damaged",
                        "A call in a journal does not hold what was written.",
                        where=f"{self.folder.name}/{CALLS}, line {number + 1}",
                        why="its checksum does not fit",
                        fix=f"mend the disk, or cut {CALLS} before that line: the calls above it are whole",
                    )
                yield call, len(line)


def journals(folder: Path) -> list[Journal]:
    """Return the journals below a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return [Journal(one) for one in sorted(folder.iterdir()) if (one / HEAD).is_file()]


def _parsed(line: bytes) -> Call | None:
    told = _whole(line)
    return None if told is None else Call(**cast("dict[str, Any]", told))


def _line(told: object) -> bytes:
    """Return a line that says by itself whether it is whole."""
    text = json.dumps(told, ensure_ascii=True).encode()
    return b"%08x " % zlib.crc32(text) + text + b"\n"


def _whole(line: bytes) -> object | None:
    checksum, _, rest = line.partition(b" ")
    if not rest.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(rest[:-1]):
        return None
    return json.loads(rest)


def _advanced(standing: Standing, told: Mapping[str, object]) -> Standing:
    """Return what a line makes of a standing; names and refusals are kept where they were, for there may be many."""
    ids, refused = cast("dict[str, str]", standing.ids), cast("dict[str, str]", standing.refused)
    ids |= cast("dict[str, str]", told.get("ids", {}))
    refused |= cast("dict[str, str]", told.get("refused", {}))
    for number in cast("list[str]", told.get("buried", [])):
        refused.pop(number, None)
    return replace(standing, done=max(standing.done, int(str(told["done"]))))


def _read(path: Path) -> dict[str, object]:
    with suppress(FileNotFoundError):
        return json.loads(path.read_bytes())
    return {}


def _write(path: Path, value: object) -> None:
    beside = path.with_suffix(".new")
    with beside.open("wb") as out:
        out.write(json.dumps(value).encode())
        _settle(out)
    beside.replace(path)
    _settle_folder(path.parent)


def _settle(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


def _settle_folder(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
