"""A folder with the calls that a process could not deliver: appended and flushed to the disk, sent later in order."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, cast

from ropewalk.errors import Corrupt, Unavailable

CALLS = "calls.jsonl"
STATE = "state.json"
HEAD = "head.json"
BODIES = "bodies"
LOCK = "lock"
CHUNK = 1 << 20


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
        done: calls that the server has taken or refused for good.
        ids: the server's word for each id that the client was given while the server was away.
        refused: number and words of the calls that the server refused.
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
        self._standing: Standing | None = None

    @classmethod
    def create(cls, folder: Path, url: str, at_us: int) -> Journal:
        """Make an empty journal of calls to a server."""
        (folder / BODIES).mkdir(parents=True, mode=0o700)
        _write(folder / HEAD, {"url": url, "pid": os.getpid(), "at_us": at_us})
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
        line = json.dumps(asdict(call), ensure_ascii=True).encode()
        with (self.folder / CALLS).open("ab") as out:
            out.write(b"%08x " % zlib.crc32(line) + line + b"\n")
            _settle(out)
        if number == 0:
            _settle_folder(self.folder)
        self._count = number + 1
        return call

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(1 for _ in self._lines())
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
            self._standing = Standing(
                done=int(str(found.get("done", 0))),
                ids=cast("dict[str, str]", found.get("ids", {})),
                refused=cast("dict[str, str]", found.get("refused", {})),
            )
        return self._standing

    def stand(self, standing: Standing) -> None:
        """Write down how far it has been sent; the bodies of what is done are not needed any more."""
        _write(self.folder / STATE, asdict(standing))
        self._standing = standing

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
        """Return the whole lines; one torn by a power cut at the end was never acknowledged."""
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
                yield call


def journals(folder: Path) -> list[Journal]:
    """Return the journals below a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return [Journal(one) for one in sorted(folder.iterdir()) if (one / HEAD).is_file()]


def _parsed(line: bytes) -> Call | None:
    checksum, _, rest = line.partition(b" ")
    if not rest.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(rest[:-1]):
        return None
    return Call(**json.loads(rest))


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
