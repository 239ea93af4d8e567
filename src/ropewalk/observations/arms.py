"""A canary's evidence: both arms counted from sealed predictions and their labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import recorded
from ropewalk.observations.scores import score
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.releases.traffic import WHOLE_BP, Traffic
from ropewalk.settings import Canary
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

BASELINE_ROWS = 2000
EVENTS = {"error": "errors", "invalid": "invalid", "slow": "slow"}
# The gateway stamps arrivals with its own reading of the clock: rows are told apart by generation, time only prunes.
MARGIN_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Evidence and where it came from.

    Attributes:
        evidence: what the judge is given.
        facts: JSON-able account of everything that was looked at, with the digests of the segments.
    """

    evidence: Evidence
    facts: dict[str, Any]


def collect(site: Site, endpoint: str, *, champion: str, canary: str, since_generation: int, plan: Canary) -> Collected:
    """Count what champion and candidate did since a generation of the traffic.

    A unit is a key, or a prediction without one. Its first event of a kind in the rollout is the one that counts; its
    loss is the mean over its rows. Rows that the caller sent to a release by name are no part of either arm.

    Args:
        site: the project.
        endpoint: where.
        champion: release id.
        canary: release id.
        since_generation: the generation with which the rollout began.
        plan: what counts as slow.

    Raises:
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    with site.db.read() as reader:
        generations = traffic.since(reader, endpoint, since_generation)
        manifests = {one: read_manifest(site.blobs, releases.get(reader, one).manifest) for one in (champion, canary)}
    climbing = {one.generation: one for one in generations if one.canary == canary and one.canary_weight_bp}
    found = recorded.read(
        site,
        endpoint,
        since_us=generations[0].at_us - MARGIN_US if generations else 1 << 62,
        generation=since_generation,
        releases=(champion, canary),
    )
    rows = _flagged(found.rows, manifests, plan)
    limit = rows.get_column("limit")[0] if rows.height else None
    split = rows.filter(pl.col("generation").is_in(list(climbing)) & pl.col("role").is_in(["champion", "canary"]))
    evidence = Evidence(strata=_strata(split, climbing), pairs=_pairs(rows, canary))
    facts = {
        "endpoint": endpoint,
        "champion": champion,
        "canary": canary,
        "generations": [one.generation for one in generations],
        "segments": list(found.segments),
        "rows": rows.height,
        "labelled": found.labelled,
        "labels": found.labels,
        "slow_from_us": limit,
        "counts": asdict(evidence),
    }
    return Collected(evidence=evidence, facts=facts)


def _flagged(rows: pl.DataFrame, manifests: dict[str, Manifest], plan: Canary) -> pl.DataFrame:
    """Return the rows, ordered by id, with `unit`, `error`, `invalid`, `slow`, `limit` and `loss`."""
    import polars as pl

    parts = [score(rows.filter(pl.col("release") == one), manifest) for one, manifest in manifests.items()]
    whole = pl.concat(parts, how="diagonal_relaxed").sort("id")
    usual = (
        whole.filter((pl.col("role") == "champion") & (pl.col("status") == "ok"))
        .head(BASELINE_ROWS)
        .get_column("latency_us")
        .quantile(plan.latency_quantile, interpolation="higher")
    )
    # Without a champion's row there is nothing to be slower than.
    floor = plan.latency_floor_ms * 1000.0
    limit = None if usual is None else max(float(usual) * plan.latency_ratio, floor)
    return whole.with_columns(
        pl.coalesce(pl.col("key"), pl.col("id")).alias("unit"),
        pl.col("status").is_in(["error", "timeout"]).alias("error"),
        (pl.col("status") == "invalid_output").alias("invalid"),
        pl.lit(limit, dtype=pl.Float64).alias("limit"),
        (
            (pl.col("status") == "ok") & (pl.col("latency_us") > limit) if limit is not None else pl.lit(value=False)
        ).alias("slow"),
    )


def _strata(rows: pl.DataFrame, climbing: dict[int, Traffic]) -> tuple[Stratum, ...]:
    """Return one stratum for each weight, in order; generations with the same weight in a row are one."""
    import polars as pl

    if not climbing:
        return ()
    spans: list[tuple[float, list[int]]] = []
    for generation, one in sorted(climbing.items()):
        share = one.canary_weight_bp / WHOLE_BP
        if spans and spans[-1][0] == share:
            spans[-1][1].append(generation)
        else:
            spans.append((share, [generation]))
    place = {generation: at for at, (_, span) in enumerate(spans) for generation in span}
    rows = rows.with_columns(pl.col("generation").replace_strict(place, return_dtype=pl.Int64).alias("span"))
    counts = _counts(rows)
    firsts = {name: _firsts(rows, name) for name in EVENTS}
    sums = _sums(rows)

    def arm(at: int, role: str) -> Arm:
        key = (at, role)
        plain = counts.get(key, {})
        return Arm(
            rows=plain.get("rows", 0),
            errors=plain.get("error", 0),
            invalid=plain.get("invalid", 0),
            slow=plain.get("slow", 0),
            error_units=firsts["error"].get(key, 0),
            invalid_units=firsts["invalid"].get(key, 0),
            slow_units=firsts["slow"].get(key, 0),
            labelled=int(sums.get(key, (0, 0.0, 0.0))[0]),
            loss_sum=sums.get(key, (0, 0.0, 0.0))[1],
            loss_square_sum=sums.get(key, (0, 0.0, 0.0))[2],
        )

    return tuple(
        Stratum(share=share, champion=arm(at, "champion"), canary=arm(at, "canary"))
        for at, (share, _) in enumerate(spans)
        if share < 1.0
    )


def _counts(rows: pl.DataFrame) -> dict[tuple[int, str], dict[str, int]]:
    import polars as pl

    found = rows.group_by("span", "role").agg(pl.len().alias("rows"), *(pl.col(name).sum() for name in EVENTS))
    return {(row["span"], row["role"]): row for row in found.iter_rows(named=True)}


def _firsts(rows: pl.DataFrame, event: str) -> dict[tuple[int, str], int]:
    """Return how many units had their first event of the rollout in each span and arm."""
    import polars as pl

    found = (
        rows.filter(pl.col(event))
        .unique("unit", keep="first", maintain_order=True)
        .group_by("span", "role")
        .agg(pl.len().alias("units"))
    )
    return {(row["span"], row["role"]): row["units"] for row in found.iter_rows(named=True)}


def _sums(rows: pl.DataFrame) -> dict[tuple[int, str], tuple[int, float, float]]:
    """Return how many units have a loss in each span and arm, with sum and sum of squares of their mean losses."""
    import polars as pl

    found = (
        rows.filter(pl.col("loss").is_not_null())
        .group_by("span", "role", "unit", maintain_order=True)
        .agg(pl.col("loss").mean())
        .group_by("span", "role", maintain_order=True)
        .agg(pl.len().alias("units"), pl.col("loss").sum().alias("total"), (pl.col("loss") ** 2).sum().alias("squares"))
    )
    return {
        (row["span"], row["role"]): (row["units"], row["total"], row["squares"]) for row in found.iter_rows(named=True)
    }


def _pairs(rows: pl.DataFrame, canary: str) -> Pairs | None:
    """Return champion and shadow on the same requests, or None when nothing was mirrored."""
    import polars as pl

    flags = [*EVENTS, "loss"]
    shadow = rows.filter((pl.col("role") == "shadow") & (pl.col("release") == canary)).select("pair", *flags)
    own = rows.filter(pl.col("role") == "champion").select("id", "unit", *flags)
    both = own.join(shadow, left_on="id", right_on="pair", how="inner", suffix=".canary").sort("id")
    if not both.height:
        return None
    counts: dict[str, dict[str, int]] = {"champion": {"rows": both.height}, "canary": {"rows": both.height}}
    for event, name in EVENTS.items():
        counts["champion"][name] = int(both.get_column(event).sum())
        counts["canary"][name] = int(both.get_column(f"{event}.canary").sum())
        apart = both.filter(pl.col(event) != pl.col(f"{event}.canary")).unique(
            "unit", keep="first", maintain_order=True
        )
        units = f"{name.removesuffix('s')}_units"
        counts["champion"][units] = int(apart.get_column(event).sum())
        counts["canary"][units] = apart.height - counts["champion"][units]
    differences = (
        both.filter(pl.col("loss").is_not_null() & pl.col("loss.canary").is_not_null())
        .group_by("unit", maintain_order=True)
        .agg((pl.col("loss.canary") - pl.col("loss")).mean().alias("difference"))
        .get_column("difference")
    )
    return Pairs(
        champion=Arm(**counts["champion"]),
        canary=Arm(**counts["canary"]),
        labelled=differences.len(),
        difference_sum=float(differences.sum()),
        difference_square_sum=float((differences**2).sum()),
    )
