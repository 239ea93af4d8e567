"""A canary's evidence: both arms counted from sealed predictions, their labels and what clients report of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ropewalk.endpoints.making import reading
from ropewalk.endpoints.segment import Segment, segments
from ropewalk.errors import RopewalkError
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import counted, labels, recorded, reports, tallies
from ropewalk.observations.baseline import bin_of, said
from ropewalk.observations.scores import score
from ropewalk.observations.tallies import Tally
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

BASELINE_ROWS = 2000
# The gateway stamps arrivals with its own reading of the clock: rows are told apart by generation, time only prunes.
MARGIN_US = 60_000_000
# Tallies are kept across restarts where reading everything again would be felt; so many are merged to one in memory.
KEEP_FROM = 32
FOLD = 64


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
        told: newest batches of labels and of reports that it knows.
    """

    tally: Tally
    low_us: int
    high_us: int
    event_us: int
    told: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What a look stands on, read once."""

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

    Each segment is read once, and again when labels or reports of its rows arrive. What was counted is kept, and is
    counted again from the segments when it is lost.

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
        self._kind = ""
        self._held: dict[str, _Held] = {}
        self._folded: OrderedDict[tuple[str, ...], Tally] = OrderedDict()
        self._until = ""
        self.segments_read = 0

    def look(self) -> Collected:
        """Return the evidence as it is now.

        Raises:
            Corrupt: a segment's bytes are not the ones that were sealed.
        """
        with reading(self._site):
            scene = self._scene()
            limit = self._limit(scene.known)
            self._begin(scene, limit)
            fresh = self._catch_up(scene, limit)
        whole = tallies.merge([*self._merged(scene), self._empty(scene, limit)])
        if whole.outputs.height >= tallies.OUTPUTS_MAX:
            self._until = str(whole.outputs.get_column("id").max())
        if len(scene.known) >= self._keep_from and fresh:
            self._site.db.write(lambda tx: self._keep(tx, fresh))
        climbing = {
            one.generation: one.canary_weight_bp / WHOLE_BP
            for one in scene.generations
            if one.canary == self._canary and one.canary_weight_bp
        }
        evidence = counted.evidence(whole, climbing, self._plan, self._baseline)
        facts = {
            "endpoint": self._endpoint,
            "champion": self._champion,
            "canary": self._canary,
            "generations": [one.generation for one in scene.generations],
            "segments": [segment.digest for segment in scene.known],
            "rows": int(whole.counts.get_column("rows").sum()) + int(whole.paired.get_column("rows").sum()),
            "labelled": int(whole.losses.get_column("rows").sum()),
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

    def _limit(self, known: Sequence[Segment]) -> float | None:
        """Return above how many microseconds a row is slow, from the champion's first rows of the rollout."""
        import polars as pl

        first: list[pl.DataFrame] = []
        wanted = (pl.col("role") == "champion") & (pl.col("status") == "ok") & (pl.col("generation") >= self._since)
        wanted = wanted & (pl.col("release") == self._champion)
        rows, last = 0, ""
        for segment in sorted(known, key=lambda one: one.first_id):
            if rows >= BASELINE_ROWS and segment.first_id > last:
                break
            first.append(recorded.plain(self._site, segment, ("id", "latency_us"), wanted))
            rows += first[-1].height
            if rows >= BASELINE_ROWS:
                last = str(pl.concat(first).get_column("id").sort()[BASELINE_ROWS - 1])
        usual = None
        if rows:
            newest = pl.concat(first).sort("id").head(BASELINE_ROWS).get_column("latency_us")
            usual = newest.quantile(self._plan.latency_quantile, interpolation="higher")
        # Without a champion's row there is nothing to be slower than.
        floor = self._plan.latency_floor_ms * 1000.0
        return None if usual is None else max(float(usual) * self._plan.latency_ratio, floor)

    def _begin(self, scene: _Scene, limit: float | None) -> None:
        """Forget what was counted under another limit; take what was kept under this one."""
        manifests = {one: manifest.classes for one, manifest in scene.manifests.items()}
        about = [tallies.VERSION, self._endpoint, self._champion, self._canary, self._since, limit, manifests]
        kind = digest_of(canonical([*about, self._plan.metric, list(self._baseline.edges)]))
        if kind == self._kind:
            return
        self._kind, self._held, self._until = kind, {}, ""
        self._folded.clear()
        with self._site.db.read() as reader:
            rows = reader.rows("observations.tallies", release=self._canary)
        wanted = {segment.digest for segment in scene.known}
        for row in rows:
            if row["kind"] == kind and row["segment"] in wanted:
                held = self._load(str(row["tally"]))
                if held is not None:
                    self._held[str(row["segment"])] = held

    def _load(self, digest: str) -> _Held | None:
        try:
            found = tallies.from_bytes(self._site.blobs.get(digest))
        except RopewalkError:
            return None  # lost or damaged: it is counted again
        if found is None:
            return None
        tally, about = found
        labelled, reported = about["told"]
        return _Held(
            tally=tally,
            low_us=about["low_us"],
            high_us=about["high_us"],
            event_us=about["event_us"],
            told=(labelled, reported),
        )

    def _keep(self, tx: Transaction, fresh: Sequence[str]) -> None:
        for segment in fresh:
            held = self._held[segment]
            about = {"low_us": held.low_us, "high_us": held.high_us, "event_us": held.event_us, "told": held.told}
            tally = self._site.blobs.put(tallies.to_bytes(held.tally, about))
            place = {"release": self._canary, "segment": segment}
            tx.run("observations.tally_put", kind=self._kind, tally=tally, **place)

    def _catch_up(self, scene: _Scene, limit: float | None) -> list[str]:
        """Count what is new, and again what labels or reports have come for; return which segments were counted."""
        self._forget_told(scene)
        climbing = [one.generation for one in scene.generations if one.canary == self._canary and one.canary_weight_bp]
        shadowed = [one.generation for one in scene.generations if one.shadow == self._canary]
        fresh: list[str] = []
        with self._site.db.read() as reader:
            for segment in scene.known:
                if segment.digest in self._held:
                    continue
                rows = self._rows(reader, segment, scene, limit)
                self.segments_read += 1
                ids = [str(rows.get_column(name).min()) for name in ("id", "pair") if rows.get_column(name).count()]
                self._held[segment.digest] = _Held(
                    tally=tallies.make(rows, climbing, shadowed, self._until),
                    low_us=min([uuid7_time_us(one) for one in ids], default=uuid7_time_us(segment.first_id)),
                    high_us=uuid7_time_us(segment.last_id),
                    event_us=segment.event_first_us,
                    told=scene.told,
                )
                fresh.append(segment.digest)
        return fresh

    def _forget_told(self, scene: _Scene) -> None:
        """Forget the tallies of rows that something was told of since."""
        import polars as pl

        behind = [held.told for held in self._held.values() if held.told != scene.told]
        if not behind:
            return
        since = {"labels": min(told[0] for told in behind), "reports": min(told[1] for told in behind)}
        with self._site.db.read() as reader:
            rows = reader.rows("observations.told_since", endpoint=self._endpoint, **since)
        by_id = pl.Series([row["at_us"] for row in rows if not row["key"]], dtype=pl.Int64).sort()
        by_key = max((int(str(row["at_us"])) for row in rows if row["key"]), default=-1)
        gone: set[str] = set()
        for digest, held in self._held.items():
            if held.told == scene.told:
                continue
            at = int(by_id.search_sorted(held.low_us, side="left"))
            if (at < by_id.len() and by_id[at] <= held.high_us) or held.event_us <= by_key:
                gone.add(digest)
            else:
                self._held[digest] = replace(held, told=scene.told)
        for digest in gone:
            del self._held[digest]
        for chunk in [one for one in self._folded if gone.intersection(one)]:
            del self._folded[chunk]

    def _merged(self, scene: _Scene) -> list[Tally]:
        """Return tallies that hold everything, those of old segments merged in groups that are kept in memory."""
        known = {segment.digest for segment in scene.known}
        # Segments that were compacted are others now: what held them is not counted beside what holds them now.
        self._held = {digest: held for digest, held in self._held.items() if digest in known}
        for chunk in [one for one in self._folded if not known.issuperset(one)]:
            del self._folded[chunk]
        inside = {digest for chunk in self._folded for digest in chunk}
        loose = [segment.digest for segment in scene.known if segment.digest not in inside]
        while len(loose) >= 2 * FOLD:
            chunk, loose = tuple(loose[:FOLD]), loose[FOLD:]
            self._folded[chunk] = tallies.merge([self._held[digest].tally for digest in chunk])
        return [*self._folded.values(), *(self._held[digest].tally for digest in loose)]

    def _rows(self, reader: Reader, segment: Segment, scene: _Scene, limit: float | None) -> pl.DataFrame:
        """Return a segment's rows of both releases with everything that a tally is made of."""
        rows = recorded.of_segment(
            self._site,
            reader,
            self._endpoint,
            segment,
            generation=self._since,
            releases=(self._champion, self._canary),
        )
        reported = self._reported(reader, rows)
        return _flagged(rows.join(reported, on="id", how="left"), scene.manifests, limit, self._baseline.edges)

    def _reported(self, reader: Reader, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what clients report of the rows, its sign turned where higher is better, so that more is worse."""
        import polars as pl

        ids = rows.get_column("id")
        if not self._plan.metric or not rows.height:
            return pl.DataFrame(schema={"id": pl.String, "reported": pl.Float64})
        span = uuid7_time_us(str(ids.min())), uuid7_time_us(str(ids.max())) + 1
        told = reports.read(reader, self._endpoint, self._plan.metric, since_us=span[0], until_us=span[1])
        sign = -1.0 if self._plan.metric_better == "higher" else 1.0
        return told.with_columns(pl.col("reported") * sign)

    def _empty(self, scene: _Scene, limit: float | None) -> Tally:
        import polars as pl

        rows = recorded.empty().with_columns(
            pl.lit(None, dtype=pl.String).alias("label"), pl.lit(None, dtype=pl.Float64).alias("reported")
        )
        return tallies.make(_flagged(rows, scene.manifests, limit, self._baseline.edges), (), ())


def _flagged(
    rows: pl.DataFrame, manifests: dict[str, Manifest], limit: float | None, edges: tuple[float, ...]
) -> pl.DataFrame:
    """Return the rows, ordered by id, with `unit`, `error`, `invalid`, `slow`, `loss` and `bin`."""
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
        pl.col("loss").cast(pl.Float64),
        pl.when(pl.col("spoke")).then(pl.col("bin")).cast(pl.Int64).alias("bin"),
        pl.col("reported").cast(pl.Float64),
    )
