"""What is said of a schedule, checked whole: from a decorator or from `ropewalk.toml` to the same record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ropewalk.errors import Invalid, Missing, RopewalkError
from ropewalk.refs import canonical, is_name
from ropewalk.settings import Schedule as Table

CRON, EVERY, FILES, QUERY, EVENT, WEBHOOK, ALARM = KINDS = (
    "cron", "every", "files", "query", "event", "webhook", "alarm"
)  # fmt: skip
TIMED = frozenset({CRON, EVERY})
SKIP, QUEUE, CANCEL = "skip", "queue", "cancel-running"
LAST, ALL, NONE = "last", "all", "none"
FIELDS = 5
SECOND_US = 1_000_000
# What a start may tell its pipeline, where that has a parameter of the name.
TOLD = frozenset({"interval_start", "interval_end", "files", "watermark", "event", "payload"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is said of one schedule.

    Attributes:
        name: how people call it.
        pipeline: `FILE.py:FUNCTION`.
        kind: one of `KINDS`; `alarm` is that of monitors with `retrain`.
        cron: five fields, for that kind.
        every_us: microseconds between two starts, for that kind.
        files: patterns, for that kind.
        query: SQL, for that kind.
        database: SQLite file of the query.
        event: kind of event, for that kind.
        match: values that its body has to hold.
        timezone: IANA zone of cron fields.
        overlap: `skip`, `queue` or `cancel-running`.
        catch_up: `last`, `all` or `none`.
        jitter_us: longest wait of a start, microseconds.
        start_us: no start before, microseconds since the epoch; None for ever.
        end_us: no start from then on.
        args: arguments of the pipeline.
        origin: where it is said: `code`, `settings` or `monitors`.
    """

    name: str
    pipeline: str
    kind: str
    cron: str = ""
    every_us: int = 0
    files: tuple[str, ...] = ()
    query: str = ""
    database: str = ""
    event: str = ""
    match: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timezone: str = "UTC"
    overlap: str = SKIP
    catch_up: str = LAST
    jitter_us: int = 0
    start_us: int | None = None
    end_us: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    origin: str = "settings"

    @property
    def timed(self) -> bool:
        """Whether the clock alone starts it."""
        return self.kind in TIMED

    @property
    def when(self) -> str:
        """What starts it, in a few words."""
        wanted = ", ".join(f"{name}={value}" for name, value in self.match.items())
        return {
            CRON: f"{self.cron} {self.timezone}",
            EVERY: f"every {self.every_us // SECOND_US} s",
            FILES: f"files {', '.join(self.files)}",
            QUERY: f"query on {self.database}",
            EVENT: f"event {self.event}" + (f" with {wanted}" if wanted else ""),
            WEBHOOK: f"POST /api/v1/triggers/{self.name}",
            ALARM: "an alarm of a monitor with retrain",
        }[self.kind]

    def text(self) -> str:
        """Return it as canonical JSON, for its row."""
        return canonical(asdict(self)).decode()

    @classmethod
    def from_text(cls, text: str) -> Spec:
        """Return what `text` made."""
        values: dict[str, Any] = json.loads(text)
        values["files"] = tuple(values["files"])
        return cls(**values)


def spec_of(table: Table, *, origin: str, pipeline: str) -> Spec:
    """Return a checked schedule.

    Args:
        table: what was written.
        origin: `code` or `settings`.
        pipeline: the project's own, for a table that names none.

    Raises:
        Invalid: something of it makes no sense; the error names schedule and word.
        Missing: cron fields, and the library that reads them is not installed.
    """
    kind = _kind(table)
    if not is_name(table.name):
        raise invalid(
            table.name, f"a name is letters, digits, '.', '_' and '-', 128 at most; found {table.name[:80]!r}"
        )
    zone = _zone(table)
    if kind == QUERY and not table.database:
        raise invalid(table.name, "a query needs its database: a SQLite file, relative to the project")
    if kind == QUERY and not table.query.lstrip().lower().startswith(("select", "with")):
        raise invalid(table.name, "a query asks and changes nothing: it begins with select or with")
    _require_inside(table)
    target = table.pipeline or pipeline
    if ":" not in target:
        raise invalid(table.name, f"a pipeline is FILE.py:FUNCTION, found {target[:80]!r}")
    spec = Spec(
        name=table.name,
        pipeline=target,
        kind=kind,
        cron=" ".join(table.cron.split()),
        every_us=_microseconds(table.name, "every", table.every),
        files=table.files,
        query=table.query,
        database=table.database,
        event=table.event,
        match=table.match,
        timezone=table.timezone,
        overlap=_overlap(table, kind),
        catch_up=table.catch_up,
        jitter_us=_microseconds(table.name, "jitter", table.jitter),
        start_us=_moment(table.name, "start", table.start, zone),
        end_us=_moment(table.name, "end", table.end, zone),
        args=table.args,
        origin=origin,
    )
    _require_sense(spec)
    return spec


def invalid(name: str, why: str) -> Invalid:
    """Return the error of a schedule that makes no sense."""
    return Invalid(
        "schedule-invalid",
        "A schedule makes no sense.",
        where=f"schedule {name[:128]}",
        why=why,
        fix="mend it in ropewalk.toml or in @pipeline(...), then: ropewalk schedule list",
    )


def moment(text: str, zone: ZoneInfo, *, after: bool = False) -> int:
    """Return microseconds since the epoch of a date or time: `2013`, `2013-01`, `2013-01-31`, `2013-01-31T06:00`.

    Args:
        text: what was written; a time may name its own offset.
        zone: of a time that names none.
        after: the end of the year, month or day that is named, instead of its begin.

    Raises:
        ValueError: it is none of these.
    """
    parts = text.split("-") if "T" not in text and " " not in text and text.replace("-", "").isdigit() else []
    if 1 <= len(parts) <= 3 and len(parts[0]) == 4:  # noqa: PLR2004 - year, month, day; a year has four digits
        year, month, day = (int(part) for part in (*parts, "1", "1")[:3])
        first = datetime(year, month, day, tzinfo=zone)
        if after:
            match len(parts):
                case 1:
                    first = first.replace(year=year + 1)
                case 2:
                    first = first.replace(year=year + month // 12, month=month % 12 + 1)
                case _:
                    first = datetime.fromordinal(first.toordinal() + 1).replace(tzinfo=zone)
        return _us(first)
    found = datetime.fromisoformat(text)
    return _us(found if found.tzinfo else found.replace(tzinfo=zone))


def zone_of(spec: Spec) -> ZoneInfo:
    """Return the zone of a schedule that was checked."""
    return ZoneInfo(spec.timezone)


def _require_inside(table: Table) -> None:
    for pattern in (*table.files, *((table.database,) if table.database else ())):
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise invalid(table.name, f"{pattern!r} leads out of the project")


def _us(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) * SECOND_US


def _kind(table: Table) -> str:
    said = {
        CRON: table.cron,
        EVERY: table.every,
        FILES: table.files,
        QUERY: table.query,
        EVENT: table.event,
        WEBHOOK: table.webhook,
    }
    kinds = [kind for kind, value in said.items() if value]
    if len(kinds) != 1:
        raise invalid(table.name, f"it takes one of {', '.join(said)}; found {', '.join(kinds) or 'none'}")
    if table.match and kinds[0] != EVENT:
        raise invalid(table.name, "match belongs to an event")
    return kinds[0]


def _zone(table: Table) -> ZoneInfo:
    try:
        return ZoneInfo(table.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(
            table.name,
            f"no time zone is called {table.timezone[:80]!r}; they are called like Europe/Berlin. Where the system "
            'has none at all: pip install "ropewalk[schedule]"',
        ) from None


def _overlap(table: Table, kind: str) -> str:
    if table.overlap:
        return table.overlap
    return SKIP if kind in TIMED and table.catch_up != ALL else QUEUE


def _require_sense(spec: Spec) -> None:
    if spec.kind == CRON:
        require_cron(spec.name, spec.cron)
    if spec.kind == EVERY and (spec.every_us < SECOND_US or spec.every_us % SECOND_US):
        raise invalid(spec.name, "every is whole seconds, one at least")
    if spec.catch_up == ALL and spec.overlap != QUEUE:
        raise invalid(spec.name, 'catch_up = "all" goes with overlap = "queue": the others would drop what it brings')
    if spec.start_us is not None and spec.end_us is not None and spec.end_us <= spec.start_us:
        raise invalid(spec.name, "it ends before it starts")
    try:
        canonical(spec.args)
    except (TypeError, ValueError) as error:
        raise invalid(spec.name, f"args: {error}") from error


def require_cron(name: str, fields: str) -> None:
    """Pass only for five fields that cron knows and that some day meets.

    Raises:
        Invalid: they are none.
        Missing: the library that reads them is not installed.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise Missing(
            "extra-missing",
            "Cron fields need one more package.",
            where=f"schedule {name}",
            why="the core of Ropewalk stands on twelve others, and cronsim is not among them",
            fix='pip install "ropewalk[schedule]"',
        ) from None
    if len(fields.split()) != FIELDS:
        raise invalid(name, f"cron has five fields (minute hour day month weekday), found {fields[:80]!r}")
    try:
        next(CronSim(fields, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise invalid(name, f"cron {fields[:80]!r}: {error or 'no day meets it'}") from error


def _microseconds(name: str, word: str, text: str) -> int:
    from ropewalk.pipelines.declare import seconds

    if not text:
        return 0
    try:
        return round(seconds(text) * SECOND_US)
    except RopewalkError as error:
        raise invalid(name, f"{word}: {error.why}") from error


def _moment(name: str, word: str, text: str, zone: ZoneInfo) -> int | None:
    if not text:
        return None
    try:
        return moment(text, zone)
    except (ValueError, OverflowError):
        raise invalid(name, f"{word} is a date or a time such as 2026-01-31, found {text[:80]!r}") from None
