"""A canary's evidence: both arms counted from sealed predictions, their labels and what clients report of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.endpoints.making import reading
from ropewalk.endpoints.segment import Segment, segments
from ropewalk.errors import RopewalkError
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import counted, labels, recorded, reports, tallies
from ropewalk.observations.baseline import bin_of, said
from ropewalk.observations.scores import score
from ropewalk.observations.slow import Slow
from ropewalk.observations.tallies import Tally
from ropewalk.observations.told import News, Told
from ropewalk.refs import canonical, digest_of, uuid7_time_us
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.releases.design import Baseline
from ropewalk.releases.tally import Evidence
from ropewalk.releases.traffic import WHOLE_BP
from ropewalk.settings import Canary
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

    from ropewalk.store.database import Reader, Transaction

# The gateway stamps arrivals with its own reading of the clock: rows are told apart by generation, time only prunes.
MARGIN_US = 60_000_000
# Tallies are kept across restarts where reading everything again would be felt.
KEEP_FROM = 32
# The newest rows wait in memory for what is told of them; older ones are read again when something is.
ROWS_HELD = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Evidence and where it came from.

    Attributes:
        evidence: what the judge is given.
        facts: JSON-able account of everything that was looked at, with the digests of the segments.
    """

    evidence: Evidence
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A segment's tally.

    Attributes:
        tally: what it holds.
        low_us: time of the smallest id that a label of its rows may carry.
        high_us: time of the largest.
        event_us: its earliest event time, from which on labels by key hold.
    """

    tally: Tally
    low_us: int
    high_us: int
    event_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What a look stands on, read once; `told` is the newest batches of labels and of reports."""

    generations: tuple[traffic.Traffic, ...]
    manifests: dict[str, Manifest]
    known: tuple[Segment, ...]
    told: tuple[int, int]


def collect(
    site: Site,
    endpoint: str,
    *,
    champion: str,
    canary: str,
    since_generation: int,
    plan: Canary,
    baseline: Baseline = Baseline(),  # noqa: B008 - a frozen record
) -> Collected:
    """Count once what champion and candidate did; arguments are those of `Arms`, errors those of `Arms.look`."""
    arms = Arms(
        site,
        endpoint,
        champion=champion,
        canary=canary,
        since_generation=since_generation,
        plan=plan,
        baseline=baseline,
    )
    return arms.look()


class Arms:
    """Counts what champion and candidate did since a generation of the traffic, look by look.

    A unit is a key, or a prediction without one. Its first event of a kind in the rollout is the one that counts; its
    loss is the mean over its rows. Rows that the caller sent to a release by name are no part of either arm.

    Each segment is read once. Labels and reports that come later are added to the rows that they tell of, so that a
    look costs what is new. What was counted is kept, and is counted again from the segments when it is lost.

    Args:
        site: the project.
        endpoint: where.
        champion: release id.
        canary: release id.
        since_generation: the generation with which the rollout began.
        plan: what counts as slow.
        baseline: the bins of outputs.
        keep_from: number of segments from which on tallies are kept across restarts.
    """

    def __init__(
        self,
        site: Site,
        endpoint: str,
        *,
        champion: str,
        canary: str,
        since_generation: int,
        plan: Canary,
        baseline: Baseline,
        keep_from: int = KEEP_FROM,
    ) -> None:
        self._site, self._endpoint, self._plan, self._baseline = site, endpoint, plan, baseline
        self._champion, self._canary, self._since = champion, canary, since_generation
        self._keep_from = keep_from
        self._slow = Slow(site, champion, since_generation, plan)
        self._edges = baseline.edges if plan.output_shift else ()
        self._kind = ""
        self._held: dict[str, _Held] = {}
        self._rows: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._told = Told({}, 1.0)
        self._heard = (0, 0)
        self._whole: Tally | None = None
        self._inside: set[str] = set()
        self._until = ""
        self.segments_read = 0

    def look(self) -> Collected:
        """Return the evidence as it is now.

        Raises:
            Corrupt: a segment's bytes are not the ones that were sealed.
        """
        with reading(self._site):
            scene = self._scene()
            limit = self._slow.limit(scene.known)
            self._begin(scene, limit)
            fresh = self._catch_up(scene, limit)
        whole = self._merged(scene, limit)
        if whole.outputs.height >= tallies.OUTPUTS_MAX:
            self._until = str(whole.outputs.get_column("id").max())
        if len(scene.known) >= self._keep_from and fresh:
            self._site.db.write(lambda tx: self._keep(tx, fresh, scene.told))
        climbing = {
            one.generation: one.canary_weight_bp / WHOLE_BP
            for one in scene.generations
            if one.canary == self._canary and one.canary_weight_bp
        }
        numbers = self._told.numbers(list(climbing), self._shadowed(scene))
        evidence = counted.evidence(whole, numbers, climbing, self._plan, self._baseline)
        facts = {
            "endpoint": self._endpoint,
            "champion": self._champion,
            "canary": self._canary,
            "generations": [one.generation for one in scene.generations],
            "segments": [segment.digest for segment in scene.known],
            "rows": int(whole.counts.get_column("rows").sum()) + int(whole.paired.get_column("rows").sum()),
            "labelled": int(numbers.losses.get_column("rows").sum()),
            "labels": scene.told[0],
            "reports": scene.told[1],
            "slow_from_us": limit,
            "counts": asdict(evidence),
        }
        return Collected(evidence=evidence, facts=facts)

    def _scene(self) -> _Scene:
        with self._site.db.read() as reader:
            generations = traffic.since(reader, self._endpoint, self._since)
            both = (self._champion, self._canary)
            manifests = {one: read_manifest(self._site.blobs, releases.get(reader, one).manifest) for one in both}
            since_us = generations[0].at_us - MARGIN_US if generations else 1 << 62
            known = segments(reader, self._endpoint, since_us=since_us)
            return _Scene(
                # Read after the segments, so that no row is of a generation that is not known.
                generations=tuple(traffic.since(reader, self._endpoint, self._since)),
                manifests=manifests,
                known=tuple(known),
                told=(labels.newest(reader, self._endpoint), reports.newest(reader, self._endpoint)),
            )

    def _begin(self, scene: _Scene, limit: float | None) -> None:
        """Forget what was counted under another limit; take what was kept under this one."""
        manifests = {one: manifest.classes for one, manifest in scene.manifests.items()}
        about = [tallies.VERSION, self._endpoint, self._champion, self._canary, self._since, limit, manifests]
        kind = digest_of(canonical([*about, self._plan.metric, list(self._edges)]))
        if kind == self._kind:
            return
        sign = -1.0 if self._plan.metric_better == "higher" else 1.0
        self._kind, self._held, self._until = kind, {}, ""
        self._told, self._whole, self._heard = Told(scene.manifests, sign), None, scene.told
        self._rows.clear()
        with self._site.db.read() as reader:
            kept = reader.rows("observations.tallies", release=self._canary)
        wanted = {segment.digest for segment in scene.known}
        for row in kept:
            if row["kind"] == kind and row["segment"] in wanted:
                self._load(str(row["segment"]), str(row["tally"]))

    def _load(self, segment: str, digest: str) -> None:
        """Take a tally that was kept; one that is lost or damaged is counted again."""
        try:
            found = tallies.from_bytes(self._site.blobs.get(digest))
        except RopewalkError:
            return
        if found is None:
            return
        tally, rows, about = found
        labelled, reported = about.pop("told")
        self._held[segment] = _Held(tally=tally, **about)
        self._told.take(rows)
        # What was told since the oldest of them is heard again: it stands once however often it is told.
        self._heard = min(self._heard[0], labelled), min(self._heard[1], reported)

    def _keep(self, tx: Transaction, fresh: Sequence[tuple[str, pl.DataFrame]], told: tuple[int, int]) -> None:
        for segment, rows in fresh:
            held = self._held[segment]
            about = {"low_us": held.low_us, "high_us": held.high_us, "event_us": held.event_us, "told": told}
            tally = self._site.blobs.put(tallies.to_bytes(held.tally, rows, about))
            tx.run("observations.tally_put", kind=self._kind, tally=tally, release=self._canary, segment=segment)

    def _catch_up(self, scene: _Scene, limit: float | None) -> list[tuple[str, pl.DataFrame]]:
        """Count new segments, add what was told of the others; return the new ones with their labelled rows."""
        import polars as pl

        known = {segment.digest for segment in scene.known}
        # Segments that were compacted are others now: what held them is not counted beside what holds them now.
        self._held = {digest: held for digest, held in self._held.items() if digest in known}
        climbing = [one.generation for one in scene.generations if one.canary == self._canary and one.canary_weight_bp]
        taken: list[tuple[str, pl.DataFrame]] = []
        with self._site.db.read() as reader:
            self._hear(reader, scene)
            for segment in scene.known:
                if segment.digest in self._held:
                    continue
                rows = self._read(reader, segment)
                ids = [str(rows.get_column(name).min()) for name in ("id", "pair") if rows.get_column(name).count()]
                flagged = _flagged(rows, scene.manifests, limit, self._edges)
                self._held[segment.digest] = _Held(
                    tally=tallies.make(flagged, climbing, self._shadowed(scene), self._until),
                    low_us=min([uuid7_time_us(one) for one in ids], default=uuid7_time_us(segment.first_id)),
                    high_us=uuid7_time_us(segment.last_id),
                    event_us=segment.event_first_us,
                )
                known_of = pl.col("label").is_not_null() | pl.col("reported").is_not_null()
                taken.append((segment.digest, rows.filter(known_of)))
        if taken:
            self._told.take(pl.concat([rows for _, rows in taken], how="diagonal_relaxed"))
        self._heard = scene.told
        return taken

    def _hear(self, reader: Reader, scene: _Scene) -> None:
        """Add what was told, since the last look, of rows that are counted already."""
        import polars as pl

        if self._heard == scene.told or not self._held:
            return
        by_id, by_key = labels.since(reader, self._endpoint, self._heard[0])
        reported = reports.since(reader, self._endpoint, self._plan.metric, self._heard[1])
        news = News(by_id=by_id, by_key=by_key, reported=reported)
        if not news:
            return
        ids, latest = news.ids, int(by_key.get_column("known_us").max() or -1)  # type: ignore[arg-type]
        times = pl.Series([uuid7_time_us(one) for one in ids], dtype=pl.Int64).sort()
        rows: list[pl.DataFrame] = []
        for segment in scene.known:
            held = self._held.get(segment.digest)
            if held is None:
                continue
            at = int(times.search_sorted(held.low_us, side="left"))
            if (at < times.len() and times[at] <= held.high_us) or held.event_us <= latest:
                rows.append(self._rows_of(reader, segment))
        if rows:
            self._told.hear(pl.concat(rows, how="diagonal_relaxed"), news, reader, self._endpoint)

    def _rows_of(self, reader: Reader, segment: Segment) -> pl.DataFrame:
        """Return a segment's rows of both releases, from memory where they are still there."""
        found = self._rows.get(segment.digest)
        if found is None:
            return self._read(reader, segment)
        self._rows.move_to_end(segment.digest)
        return found

    def _merged(self, scene: _Scene, limit: float | None) -> Tally:
        """Return a tally that holds everything: what is new is merged into what was there."""
        if self._whole is None or not self._inside.issubset(self._held):
            self._whole, self._inside = self._empty(scene, limit), set()
        fresh = [digest for digest in self._held if digest not in self._inside]
        if fresh:
            self._whole = tallies.merge([self._whole, *(self._held[digest].tally for digest in fresh)])
            self._inside.update(fresh)
        return self._whole

    def _read(self, reader: Reader, segment: Segment) -> pl.DataFrame:
        """Read a segment's rows of both releases, with what is told of them now; the newest rows stay in memory."""
        rows = recorded.of_segment(
            self._site,
            reader,
            self._endpoint,
            segment,
            generation=self._since,
            releases=(self._champion, self._canary),
        )
        rows = rows.join(self._reported(reader, rows), on="id", how="left")
        self.segments_read += 1
        self._rows[segment.digest] = rows.drop("at_us", "latency_us")
        while len(self._rows) > 1 and sum(one.height for one in self._rows.values()) > ROWS_HELD:
            self._rows.popitem(last=False)
        return rows

    def _shadowed(self, scene: _Scene) -> list[int]:
        return [one.generation for one in scene.generations if one.shadow == self._canary]

    def _reported(self, reader: Reader, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what clients report of the rows."""
        import polars as pl

        ids = rows.get_column("id")
        if not self._plan.metric or not rows.height:
            return pl.DataFrame(schema={"id": pl.String, "reported": pl.Float64})
        span = uuid7_time_us(str(ids.min())), uuid7_time_us(str(ids.max())) + 1
        return reports.read(reader, self._endpoint, self._plan.metric, since_us=span[0], until_us=span[1])

    def _empty(self, scene: _Scene, limit: float | None) -> Tally:
        import polars as pl

        rows = recorded.empty().with_columns(pl.lit(None, dtype=pl.String).alias("label"))
        return tallies.make(_flagged(rows, scene.manifests, limit, self._edges), (), ())


def _flagged(
    rows: pl.DataFrame, manifests: dict[str, Manifest], limit: float | None, edges: tuple[float, ...]
) -> pl.DataFrame:
    """Return the rows, ordered by id, with `unit`, `error`, `invalid`, `slow` and `bin`."""
    import polars as pl

    parts: list[pl.DataFrame] = []
    for one, manifest in manifests.items():
        own = score(rows.filter(pl.col("release") == one), manifest)
        spoken = own.with_columns(said(own.columns, manifest).alias("spoken")).get_column("spoken")
        known = (own.get_column("status") == "ok") & spoken.is_finite().fill_null(value=False)
        bins = bin_of(spoken.fill_null(0.0), edges) if edges else pl.Series([None] * own.height, dtype=pl.Int64)
        parts.append(own.with_columns(bins.alias("bin"), known.alias("spoke")))
    whole = pl.concat(parts, how="diagonal_relaxed").sort("id")
    slow = (pl.col("status") == "ok") & (pl.col("latency_us") > limit) if limit is not None else pl.lit(value=False)
    return whole.select(
        "id",
        "generation",
        "role",
        "pair",
        pl.coalesce(pl.col("key"), pl.col("id")).alias("unit"),
        pl.col("status").is_in(["error", "timeout"]).alias("error"),
        (pl.col("status") == "invalid_output").alias("invalid"),
        slow.alias("slow"),
        pl.when(pl.col("spoke")).then(pl.col("bin")).cast(pl.Int64).alias("bin"),
    )
