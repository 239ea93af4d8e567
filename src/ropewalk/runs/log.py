"""What the user's code says while it runs: metrics, parameters, tags and files, by MLflow's names and rules."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, cast

from ropewalk.blobs.bucket import Bucket
from ropewalk.clock import Clock
from ropewalk.errors import Conflict, Invalid
from ropewalk.records import frozen
from ropewalk.runs.keys import KEY_LETTERS_MAX, PARAM_LETTERS_MAX, TAG_LETTERS_MAX, check_key, check_text, stays

Kind = Literal["metric", "param", "tag", "artifact", "model", "data"]
ENTRIES_MAX = 1_000_000
_ONCE = frozenset({"param", "artifact", "model"})
_UNSPEAKABLE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@frozen
class LogEntry:
    """One thing that was said.

    Attributes:
        kind: `metric`, `param`, `tag`, `artifact`, `model` or `data`.
        key: the name: of the metric, parameter or tag, the artifact's path, the model's or the frame's name.
        value: a float for metrics (NaN and infinities too), a text for parameters and tags, a JSON-able object else.
        step: a metric's step; 0 for all others.
        at_us: microseconds since the epoch.
    """

    kind: Kind
    key: str
    value: object
    step: int = 0
    at_us: int = 0

    def plain(self) -> list[object]:
        """Return the entry as JSON-able values, for keeping it beside a step's outcome."""
        value = self.value
        if isinstance(value, float) and not math.isfinite(value):
            value = {"float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        return [self.kind, self.key, value, self.step, self.at_us]

    @classmethod
    def from_plain(cls, values: Sequence[object]) -> LogEntry:
        """Return the entry that `plain` made these values of."""
        kind, key, value, step, at_us = values
        if kind == "metric" and isinstance(value, dict):
            value = _UNSPEAKABLE[str(cast("dict[str, object]", value)["float"])]
        return cls(kind=cast("Kind", kind), key=str(key), value=value, step=cast("int", step), at_us=cast("int", at_us))


class Collector:
    """Gathers what one step or script says, from any of its threads.

    Args:
        blobs: where files go at once.
        clock: tells when it was said.
    """

    def __init__(self, blobs: Bucket, clock: Clock) -> None:
        self.blobs = blobs
        self.clock = clock
        self._entries: list[LogEntry] = []
        self._said: dict[tuple[str, str], object] = {}
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[LogEntry, ...]:
        """Everything said so far, in order."""
        with self._lock:
            return tuple(self._entries)

    def drain(self) -> tuple[LogEntry, ...]:
        """Return what was said since the last call and forget it; what may be said once only stays known."""
        with self._lock:
            taken, self._entries = tuple(self._entries), []
        return taken

    def add(self, entry: LogEntry) -> None:
        """Take an entry.

        Raises:
            Conflict: a parameter, artifact or model of this name has another value already.
            Invalid: more was said than a run may say.
        """
        with self._lock:
            if entry.kind in _ONCE:
                said = self._said.setdefault((entry.kind, entry.key), entry.value)
                if said is not entry.value:
                    if said != entry.value:
                        raise changed(entry, said)
                    return
            if len(self._entries) >= ENTRIES_MAX:
                raise Invalid("log-full", "One step logged too much.", why=f"the limit is {ENTRIES_MAX:,} entries")
            self._entries.append(entry)


def changed(entry: LogEntry, said: object) -> Conflict:
    """Return the error for a second, different value of something that may be said once."""
    return Conflict(
        "log-value-changed",
        f"A {entry.kind} keeps its first value.",
        where=entry.key,
        why=f"it is {str(said)[:80]!r}, the new value is {str(entry.value)[:80]!r}",
        fix="log it under another name",
    )


_collector: ContextVar[Collector | None] = ContextVar("ropewalk_collector", default=None)


@contextmanager
def collecting(collector: Collector) -> Generator[Collector]:
    """Send everything that is said inside the `with` block to a collector."""
    token = _collector.set(collector)
    try:
        yield collector
    finally:
        _collector.reset(token)


def current() -> Collector | None:
    """Return the collector of the step or script that runs here, or None outside of a run."""
    return _collector.get()


def emit(entry: LogEntry) -> None:
    """Say something on behalf of another room; outside of a run nobody listens."""
    collector = _collector.get()
    if collector is not None:
        collector.add(entry)


def _say(kind: Kind, key: str, value: object, step: int = 0) -> None:
    collector = _collector.get()
    if collector is not None:
        collector.add(LogEntry(kind=kind, key=key, value=value, step=step, at_us=collector.clock.now_us()))


def log_metric(key: str, value: float, step: int = 0) -> None:
    """Log a number; NaN and infinities are kept as they are.

    Args:
        key: the metric's name.
        value: anything that `float` takes: numbers, numpy scalars, one-element arrays.
        step: where in the training it was.

    Raises:
        Invalid: the name or the value is none.
    """
    check_key(key)
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise Invalid(
            "metric-not-a-number", "A metric is a number.", where=key, why=f"found {str(value)[:80]!r}"
        ) from error
    _say("metric", key, number, _step(key, step))


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log several numbers of one step.

    Args:
        metrics: name -> number.
        step: where in the training it was.

    Raises:
        Invalid: a name or a value is none.
    """
    for key, value in metrics.items():
        log_metric(key, value, step)


def log_param(key: str, value: object) -> None:
    """Log a parameter, kept as text; it cannot be given another value afterwards.

    Raises:
        Invalid: the name is none, or the text is longer than 6,000 characters.
        Conflict: it has another value already.
    """
    check_key(key)
    text = check_text("param", key, str(value), PARAM_LETTERS_MAX)
    _say("param", key, text)


def log_params(params: Mapping[str, object]) -> None:
    """Log several parameters; see `log_param`."""
    for key, value in params.items():
        log_param(key, value)


def set_tag(key: str, value: object) -> None:
    """Set a tag, kept as text; a later value takes the place of an earlier one.

    Raises:
        Invalid: the name is none, or the text is longer than 8,000 characters.
    """
    check_key(key)
    text = check_text("tag", key, str(value), TAG_LETTERS_MAX)
    _say("tag", key, text)


def log_artifact(path: str | Path, name: str | None = None) -> None:
    """Keep a file, or all files of a folder, with the run; the bytes are taken now.

    Args:
        path: the file or folder.
        name: path by which the run keeps it, such as `plots/roc.svg`; its own file name if not given.

    Raises:
        Invalid: there is no such file, or the name leads out of the run.
        Conflict: the run has other bytes under this name already.
    """
    source = Path(path)
    name = source.name if name is None else name
    if not source.exists():
        raise Invalid("artifact-not-there", "There is no such file to log.", where=str(path))
    files = sorted(item for item in source.rglob("*") if item.is_file()) if source.is_dir() else [source]
    for file in files:
        key = check_path(f"{name}/{file.relative_to(source).as_posix()}" if source.is_dir() else name)
        collector = _collector.get()
        if collector is not None:
            digest = collector.blobs.put_file(file)
            _say("artifact", key, {"digest": digest, "bytes": collector.blobs.size(digest)})


def log_bytes(data: bytes, name: str) -> None:
    """Keep bytes with the run as if they were a file of that name; see `log_artifact`."""
    check_path(name)
    collector = _collector.get()
    if collector is not None:
        _say("artifact", name, {"digest": collector.blobs.put(data), "bytes": len(data)})


def check_path(path: str) -> str:
    """Return an artifact's path if it stays inside the run.

    Raises:
        Invalid: it is empty, absolute, too long, leads upwards, or has backslashes or control characters.
    """
    clean = path.isprintable() and "\\" not in path and 0 < len(path) <= KEY_LETTERS_MAX
    if not clean or not stays(path):
        raise Invalid(
            "artifact-path-invalid",
            "This cannot be an artifact's path.",
            where=path[:80],
            why=f"a path is relative, printable, {KEY_LETTERS_MAX} characters at most, without '..' and backslashes",
        )
    return path


def _step(key: str, step: object) -> int:
    try:
        number = int(cast("int", step))
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(
            "metric-step-invalid", "A metric's step is a whole number.", where=key, why=f"found {str(step)[:80]!r}"
        ) from error
    if not -(1 << 63) <= number < 1 << 63:
        raise Invalid("metric-step-invalid", "A metric's step has 64 bits.", where=key)
    return number
