"""Monitors: what `ropewalk.toml` wants watched, looked at window by window of event time, within a budget of alarms.

The budget: `false_alarms_per_year` is shared out evenly over all monitors of all endpoints, and within a monitor over
the windows of a year. Each window's test is valid at every look and spends a twentieth of its share, so that at a
budget of 1 a year without any change stays wholly quiet with at least 95 %; at a budget of 20 one alarm is expected.
An alarm asks for both: an effect of at least the threshold, and one that chance cannot explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.data import profile as profiles
from ropewalk.errors import Invalid
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import drift, quality, recorded
from ropewalk.observations.scores import score
from ropewalk.observations.windows import CLUMPS, YEAR_US, WindowSeen, length_us, start_of
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.settings import Monitor, Settings
from ropewalk.site import Site
from ropewalk.store.database import Reader

if TYPE_CHECKING:
    import polars as pl

KINDS = ("drift", "output", "calibration", "quality", "errors")
QUIET_SHARE = 0.05
ALPHA_MAX = 0.05
# Rows and labels that come so many windows late still count; what comes later is kept but judged no more.
LATE_WINDOWS = 3
OUTPUT_BINS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a monitor found in one window.

    Attributes:
        monitor: the monitor as the project wants it.
        seen: what it saw.
        reason: a sentence with the figures.
        facts: JSON-able account of what was looked at, with the digests of the segments.
        whole: whether later rows were seen, so that the window is over but for late ones.
    """

    monitor: Monitor
    seen: WindowSeen
    reason: str
    facts: dict[str, Any]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What all monitors of an endpoint look at."""

    endpoint: str
    release: str
    manifest: Manifest
    profile: profiles.Profile | None
    rows: pl.DataFrame
    segments: tuple[str, ...]
    labels: int
    now_us: int


def check(settings: Settings) -> None:
    """Pass only monitors that can be looked at.

    Raises:
        Invalid: a kind is unknown, a drift monitor has no column, a window is malformed, or a name occurs twice.
    """
    names = [monitor.name for monitor in settings.monitors]
    for monitor in settings.monitors:
        length_us(monitor.window)
        wrong = (
            f"its kind is {monitor.kind!r}; wanted {', '.join(KINDS)}"
            if monitor.kind not in KINDS
            else "a drift monitor needs a column"
            if monitor.kind == "drift" and not monitor.column
            else "two monitors have this name"
            if names.count(monitor.name) > 1
            else ""
        )
        if wrong:
            raise Invalid(
                "monitor-invalid",
                "A monitor cannot be looked at.",
                where=f"ropewalk.toml [[monitors]] {monitor.name}",
                why=wrong,
                fix="edit [[monitors]] in ropewalk.toml",
            )


def alpha_of(settings: Settings, monitor: Monitor, endpoints: int = 1) -> float:
    """Return the chance of a false alarm that one window of a monitor may have, over all its looks."""
    share = settings.false_alarms_per_year / max(len(settings.monitors) * endpoints, 1)
    return min(QUIET_SHARE * share / (YEAR_US / length_us(monitor.window)), ALPHA_MAX)


def evaluate(site: Site, settings: Settings, endpoint: str, *, now_us: int) -> list[Finding]:
    """Look at every window of the present champion that is new or may have changed; nothing is written.

    Args:
        site: the project.
        settings: which monitors.
        endpoint: where.
        now_us: the time to note, microseconds since the epoch.

    Raises:
        Invalid: a monitor cannot be looked at.
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    check(settings)
    with site.db.read() as reader:
        here = traffic.current(reader, endpoint)
        if here is None or not settings.monitors:
            return []
        manifest = read_manifest(site.blobs, releases.get(reader, here.champion).manifest)
        starts = {one.name: _start(reader, endpoint, here.champion, one) for one in settings.monitors}
        endpoints = len(traffic.endpoints(reader))
    known = [start for start in starts.values() if start is not None]
    found = recorded.read(
        site,
        endpoint,
        event_since_us=min(known) if len(known) == len(starts) else None,
        releases=(here.champion,),
        columns=("out.", *(f"in.{one.column}" for one in settings.monitors if one.column)),
    )
    if not found.rows.height:
        return []
    profile = manifest.parts.get("profile.json")
    scene = _Scene(
        endpoint=endpoint,
        release=here.champion,
        manifest=manifest,
        profile=profiles.from_json(site.blobs.get(profile)) if profile else None,
        rows=score(_asked(found.rows), manifest),
        segments=found.segments,
        labels=found.labels,
        now_us=now_us,
    )
    findings: list[Finding] = []
    for monitor in settings.monitors:
        alpha = alpha_of(settings, monitor, endpoints)
        findings += _look(scene, monitor, alpha, starts[monitor.name])
    return findings


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that callers got by the split; a shadow's and those that were asked for by name are no sample."""
    import polars as pl

    return rows.filter(pl.col("role").is_in(["champion", "canary"]))


def _start(reader: Reader, endpoint: str, release: str, monitor: Monitor) -> int | None:
    """Return from when on a monitor needs rows; None for all of them. The first window is kept as a baseline."""
    names = {"endpoint": endpoint, "monitor": monitor.name, "release": release}
    last = int(str(reader.value("observations.window_last", **names)))
    if last < 0:
        return None
    start = last - LATE_WINDOWS * length_us(monitor.window)
    base = int(str(reader.value("observations.window_baseline", **names)))
    return min(start, base) if base >= 0 else start


def _look(scene: _Scene, monitor: Monitor, alpha: float, since_us: int | None) -> list[Finding]:
    """Return what one monitor finds, oldest window first."""
    import polars as pl

    length = length_us(monitor.window)
    rows = _of_kind(scene, monitor).with_columns(
        (pl.col("event_us") // length * length).alias("window"),
        (pl.col("event_us") // max(length // CLUMPS, 1)).alias("clump"),
    )
    if since_us is not None:
        rows = rows.filter(pl.col("window") >= start_of(since_us, length))
    newest = rows.get_column("event_us").max() if rows.height else None
    parts = {int(key[0]): part for key, part in sorted(rows.partition_by("window", as_dict=True).items())}
    base: pl.DataFrame | None = None
    findings: list[Finding] = []
    for start, part in parts.items():
        whole = isinstance(newest, int) and newest >= start + length
        if part.height < monitor.rows_min:
            findings.append(_finding(scene, monitor, start, part, says="few", whole=whole))
        elif monitor.kind in ("output", "quality") and base is None:
            if whole:
                base = part
            findings.append(_finding(scene, monitor, start, part, says="baseline" if whole else "few", whole=whole))
        else:
            effect = _effect(scene, monitor, part, base, alpha)
            loud = effect.low > 0.0 and _size(monitor, effect.reading) >= monitor.threshold
            says = "alarm" if loud else "quiet"
            findings.append(_finding(scene, monitor, start, part, says=says, whole=whole, effect=effect, alpha=alpha))
    return findings


def _size(monitor: Monitor, reading: float) -> float:
    return abs(reading) if monitor.kind == "calibration" else reading


def _of_kind(scene: _Scene, monitor: Monitor) -> pl.DataFrame:
    """Return the rows that count for a kind: labelled ones, answered ones, or all."""
    import polars as pl

    if monitor.kind in ("calibration", "quality"):
        return scene.rows.filter(pl.col("loss").is_not_null())
    if monitor.kind == "output":
        return scene.rows.filter(pl.col("said").is_not_null())
    if monitor.kind == "drift":
        name = f"in.{monitor.column}"
        return scene.rows if name in scene.rows.columns else scene.rows.clear()
    return scene.rows


def _effect(
    scene: _Scene, monitor: Monitor, part: pl.DataFrame, base: pl.DataFrame | None, alpha: float
) -> quality.Effect:
    """Return the effect that a window shows."""
    clumps = part.get_column("clump")
    if monitor.kind == "calibration":
        said, was = part.get_column("said"), part.get_column("was")
        return quality.calibration(said, was, clumps, scale=monitor.threshold, alpha=alpha)
    if monitor.kind == "errors":
        return quality.failures(part.get_column("status") != "ok", clumps, alpha=alpha)
    if monitor.kind == "quality":
        assert base is not None
        before = base.get_column("loss"), base.get_column("clump")
        return quality.losses((part.get_column("loss"), clumps), before, scale=monitor.threshold, alpha=alpha)
    if monitor.kind == "output":
        assert base is not None
        reference = _baseline(base, alpha)
        values = part.get_column("said")
    else:
        column = scene.profile.column(monitor.column) if scene.profile else None
        if column is None:
            raise Invalid(
                "monitor-without-reference",
                "The model's training snapshot does not have the column of a drift monitor.",
                where=f"ropewalk.toml [[monitors]] {monitor.name}",
                why=f"column {monitor.column!r}, release {scene.release}",
                fix="edit [[monitors]] in ropewalk.toml",
            )
        reference = drift.from_profile(column)
        values = part.get_column(f"in.{monitor.column}")
    counted = drift.count(values, clumps, reference)
    found = drift.distance(counted, reference, alpha=alpha, scale=monitor.threshold)
    return quality.Effect(count=part.height, reading=found.reading, low=found.low)


def _baseline(base: pl.DataFrame, alpha: float) -> drift.Reference:
    """Return the first window's outputs as a reference that is worth as many rows as its clumps let it be."""
    values = base.get_column("said")
    factor = quality.factor_of(values > values.median(), base.get_column("clump"), alpha)
    return drift.from_values(values, OUTPUT_BINS, rows=base.height / factor)


def _finding(
    scene: _Scene,
    monitor: Monitor,
    start: int,
    part: pl.DataFrame,
    *,
    says: str,
    whole: bool,
    effect: quality.Effect | None = None,
    alpha: float = 0.0,
) -> Finding:
    length = length_us(monitor.window)
    seen = WindowSeen(
        endpoint=scene.endpoint,
        monitor=monitor.name,
        release=scene.release,
        start_us=start,
        end_us=start + length,
        count=part.height,
        reading=effect.reading if effect else None,
        low=effect.low if effect else None,
        threshold=monitor.threshold,
        says=says,
        at_us=scene.now_us,
    )
    return Finding(
        monitor=monitor,
        seen=seen,
        reason=_reason(monitor, seen),
        facts={
            "window": asdict(seen),
            "kind": monitor.kind,
            "alpha": alpha,
            "segments": list(scene.segments),
            "labels": scene.labels,
        },
        whole=whole,
    )


_WORDS: Mapping[str, str] = {
    "drift": "the column lies {reading:.3f} from the training snapshot",
    "output": "predictions lie {reading:.3f} from the release's first window",
    "calibration": "predictions are {reading:+.3f} off the labels",
    "quality": "the loss is {reading:+.4f} above the release's first window",
    "errors": "{reading:.2%} of the requests failed",
}


def _reason(monitor: Monitor, seen: WindowSeen) -> str:
    if seen.reading is None:
        return f"{seen.count} rows" if seen.says == "baseline" else f"{seen.count} of {monitor.rows_min} rows"
    words = _WORDS[monitor.kind].format(reading=seen.reading)
    return f"{words} ({seen.count} rows, threshold {monitor.threshold:g})"


def alarms(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that ask for an alarm."""
    return [finding for finding in findings if finding.seen.says == "alarm"]
