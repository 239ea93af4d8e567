"""What the champion did before a rollout: the rates that its design is computed from, and the bins of its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ropewalk.endpoints.segment import segments
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import recorded, reports
from ropewalk.observations.scores import score
from ropewalk.refs import uuid7_time_us
from ropewalk.releases import release as releases
from ropewalk.releases.design import Baseline
from ropewalk.settings import Canary
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

ROWS = 20_000  # newest rows that are looked at
ROWS_MIN = 200  # outputs before their bins are believed
BINS = 10


def read(site: Site, endpoint: str, champion: str, plan: Canary) -> Baseline:
    """Return what the champion's newest sealed rows say; an empty baseline where it has answered nobody.

    Raises:
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    with site.db.read() as reader:
        known = segments(reader, endpoint)
        manifest = read_manifest(site.blobs, releases.get(reader, champion).manifest)
    held, since_us = 0, None
    for segment in reversed(known):
        held += segment.rows
        since_us = segment.first_us
        if held >= ROWS:
            break
    if since_us is None:
        return Baseline()
    rows = recorded.read(site, endpoint, since_us=since_us, releases=(champion,)).rows
    rows = rows.filter(pl.col("role").is_in(["champion", "canary"])).sort("id").tail(ROWS)
    if not rows.height:
        return Baseline()
    return _baseline(score(rows, manifest), _reported(site, endpoint, plan.metric, rows), manifest, plan)


def _reported(site: Site, endpoint: str, metric: str, rows: pl.DataFrame) -> pl.Series:
    import polars as pl

    if not metric:
        return pl.Series("reported", [], dtype=pl.Float64)
    ids = rows.get_column("id")
    span = uuid7_time_us(str(ids.min())), uuid7_time_us(str(ids.max())) + 1
    with site.db.read() as reader:
        told = reports.read(reader, endpoint, metric, since_us=span[0], until_us=span[1])
    return rows.select("id").join(told, on="id", how="inner").get_column("reported")


def _baseline(rows: pl.DataFrame, reported: pl.Series, manifest: Manifest, plan: Canary) -> Baseline:
    import polars as pl

    status, ok = rows.get_column("status"), rows.filter(pl.col("status") == "ok")
    losses, latency = rows.get_column("loss").drop_nulls(), ok.get_column("latency_us")
    usual = latency.quantile(plan.latency_quantile, interpolation="higher")
    limit = None if usual is None else max(float(usual) * plan.latency_ratio, plan.latency_floor_ms * 1000.0)
    arrived = rows.get_column("at_us")
    seconds = (arrived[-1] - arrived[0]) / 1_000_000
    edges, shares = _bins(ok, manifest)
    return Baseline(
        rows=rows.height,
        per_second=rows.height / seconds if seconds > 0 else 0.0,
        errors=float(status.is_in(["error", "timeout"]).mean() or 0.0),  # type: ignore[arg-type]
        invalid=float((status == "invalid_output").mean() or 0.0),  # type: ignore[arg-type]
        slow_from_us=limit,
        slow=0.0 if limit is None else int((latency > limit).sum()) / rows.height,
        labelled=losses.len() / rows.height,
        loss_deviation=_deviation(losses),
        reported=reported.len() / rows.height,
        metric_deviation=_deviation(reported),
        edges=edges,
        outputs=shares,
    )


def _deviation(values: pl.Series) -> float:
    return float(values.std() or 0.0) if values.len() > 1 else 0.0  # type: ignore[arg-type]


def _bins(rows: pl.DataFrame, manifest: Manifest) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return cuts between bins of about equal shares, and the share of outputs in each; nothing from too few."""
    values = rows.with_columns(said(rows.columns, manifest).alias("spoken")).get_column("spoken").drop_nulls()
    values = values.filter(values.is_finite())
    if values.len() < ROWS_MIN:
        return (), ()
    cuts = {values.quantile(step / BINS, interpolation="higher") for step in range(1, BINS)}
    low = values.min()
    edges = tuple(sorted(float(cut) for cut in cuts if cut is not None and cut > low))  # type: ignore[operator]
    if not edges:
        return (), ()
    counts = [int((bin_of(values, edges) == at).sum()) for at in range(len(edges) + 1)]
    return edges, tuple(count / values.len() for count in counts)


def said(columns: list[str], manifest: Manifest) -> pl.Expr:
    """Return a model's main output as a number: probability, prediction, or the place of the likeliest class."""
    import polars as pl

    named = [f"out.probability.{one}" for one in manifest.classes]
    if manifest.task not in ("binary", "regression") and named and all(name in columns for name in named):
        return pl.concat_list(named).list.arg_max().cast(pl.Float64)
    for name in ("out.probability", "out.prediction"):
        if name in columns:
            return pl.col(name).cast(pl.Float64, strict=False)
    return pl.lit(None, dtype=pl.Float64)


def bin_of(values: pl.Series, edges: tuple[float, ...]) -> pl.Series:
    """Return the bin of each value: how many edges lie at it or below it."""
    import polars as pl

    cuts = pl.Series("cuts", edges, dtype=pl.Float64)
    return cuts.search_sorted(values, side="right").cast(pl.Int64)
