"""From a merged tally to what the canary's judge is given: strata by weight, and the pairs of the shadow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum

if TYPE_CHECKING:
    import polars as pl

    from ropewalk.observations.tallies import Tally
    from ropewalk.observations.told import Numbers
    from ropewalk.releases.design import Baseline
    from ropewalk.settings import Canary

EVENTS = {"error": "errors", "invalid": "invalid", "slow": "slow"}
Place = tuple[int, str]


def evidence(
    whole: Tally, numbers: Numbers, climbing: Mapping[int, float], plan: Canary, baseline: Baseline
) -> Evidence:
    """Return the evidence.

    Args:
        whole: everything that was sealed since the rollout began.
        numbers: what was told of it.
        climbing: the candidate's share of traffic in each generation that had one.
        plan: whether outputs are looked at.
        baseline: the champion's outputs before the rollout.
    """
    known = baseline.outputs if plan.output_shift else ()
    strata, pairs = _strata(whole, numbers, climbing, len(known)), _pairs(whole, numbers, len(known))
    return Evidence(strata=strata, pairs=pairs, baseline=known)


def _strata(whole: Tally, numbers: Numbers, climbing: Mapping[int, float], bins: int) -> tuple[Stratum, ...]:
    """Return one stratum for each weight, in order; generations with the same weight in a row are one."""
    spans: list[tuple[float, list[int]]] = []
    for generation, share in sorted(climbing.items()):
        if spans and spans[-1][0] == share:
            spans[-1][1].append(generation)
        else:
            spans.append((share, [generation]))
    if not spans:
        return ()
    place = {generation: at for at, (_, span) in enumerate(spans) for generation in span}
    counts = _counts(_placed(whole.counts, place))
    firsts = {event: _units(_placed(whole.firsts, place), event) for event in EVENTS}
    losses, harms = (_sums(_placed(frame, place)) for frame in (numbers.losses, numbers.reported))
    outputs = _outputs(_placed(whole.outputs, place), bins)

    def arm(at: int, role: str) -> Arm:
        key = (at, role)
        plain = counts.get(key, {})
        loss, harm = losses.get(key, (0, 0.0, 0.0)), harms.get(key, (0, 0.0, 0.0))
        return Arm(
            rows=plain.get("rows", 0),
            errors=plain.get("error", 0),
            invalid=plain.get("invalid", 0),
            slow=plain.get("slow", 0),
            error_units=firsts["error"].get(key, 0),
            invalid_units=firsts["invalid"].get(key, 0),
            slow_units=firsts["slow"].get(key, 0),
            labelled=loss[0],
            loss_sum=loss[1],
            loss_square_sum=loss[2],
            reported=harm[0],
            harm_sum=harm[1],
            harm_square_sum=harm[2],
            outputs=outputs.get(key, ()),
        )

    return tuple(
        Stratum(share=share, champion=arm(at, "champion"), canary=arm(at, "canary"))
        for at, (share, _) in enumerate(spans)
        if share < 1.0
    )


def _placed(rows: pl.DataFrame, place: Mapping[int, int]) -> pl.DataFrame:
    """Return the rows that were answered by share, with the number of their stratum."""
    import polars as pl

    kept = rows.filter(pl.col("generation").is_in(list(place)))
    return kept.with_columns(pl.col("generation").replace_strict(place, return_dtype=pl.Int64).alias("span"))


def _counts(rows: pl.DataFrame) -> dict[Place, dict[str, int]]:
    import polars as pl

    found = rows.group_by("span", "role").agg(pl.col("rows", *EVENTS).sum())
    return {(row["span"], row["role"]): row for row in found.iter_rows(named=True)}


def _units(firsts: pl.DataFrame, event: str) -> dict[Place, int]:
    """Return how many units had their first event of the rollout in each span and arm."""
    import polars as pl

    found = firsts.filter(pl.col("event") == event).group_by("span", "role").agg(pl.len().alias("units"))
    return {(row["span"], row["role"]): row["units"] for row in found.iter_rows(named=True)}


def _sums(rows: pl.DataFrame) -> dict[Place, tuple[int, float, float]]:
    """Return how many units have a number in each span and arm, with sum and sum of squares of their means."""
    import polars as pl

    found = (
        rows.group_by("span", "role", "unit", maintain_order=True)
        .agg((pl.col("total").sum() / pl.col("rows").sum()).alias("mean"))
        .group_by("span", "role", maintain_order=True)
        .agg(pl.len().alias("units"), pl.col("mean").sum().alias("total"), (pl.col("mean") ** 2).sum().alias("squares"))
    )
    return {
        (row["span"], row["role"]): (row["units"], row["total"], row["squares"]) for row in found.iter_rows(named=True)
    }


def _outputs(rows: pl.DataFrame, bins: int) -> dict[Place, tuple[int, ...]]:
    import polars as pl

    found: dict[Place, list[int]] = {}
    for span, role, at, units in rows.group_by("span", "role", "bin").agg(pl.len()).iter_rows():
        counts = found.setdefault((span, role), [0] * bins)
        if at < bins:
            counts[at] += units
    return {key: tuple(counts) for key, counts in found.items()}


def _pairs(whole: Tally, numbers: Numbers, bins: int) -> Pairs | None:
    """Return champion and shadow on the same requests, or None when nothing was mirrored."""
    import polars as pl

    (paired,) = whole.paired.iter_rows(named=True)
    if not paired["rows"]:
        return None
    counts: dict[str, dict[str, int]] = {"champion": {"rows": paired["rows"]}, "canary": {"rows": paired["rows"]}}
    for event, name in EVENTS.items():
        counts["champion"][name], counts["canary"][name] = paired[event], paired[f"{event}.canary"]
        apart = whole.apart.filter(pl.col("event") == event)
        units = f"{name.removesuffix('s')}_units"
        counts["canary"][units] = int(apart.get_column("canary").sum())
        counts["champion"][units] = apart.height - counts["canary"][units]
    differences = numbers.differences.select(pl.col("total") / pl.col("rows")).to_series()
    said = {side: _bins(whole.moves.get_column(name), bins) for side, name in SIDES.items()}
    below = {side: [whole.moves.get_column(name) <= cut for cut in range(bins - 1)] for side, name in SIDES.items()}
    cuts = list(zip(below["champion"], below["canary"], strict=True))
    return Pairs(
        champion=Arm(**counts["champion"], outputs=said["champion"]),
        canary=Arm(**counts["canary"], outputs=said["canary"]),
        labelled=differences.len(),
        difference_sum=float(differences.sum()),
        difference_square_sum=float((differences**2).sum()),
        moved_up=tuple(int((own & ~other).sum()) for own, other in cuts),
        moved_down=tuple(int((~own & other).sum()) for own, other in cuts),
    )


SIDES = {"champion": "bin", "canary": "bin.canary"}


def _bins(values: pl.Series, bins: int) -> tuple[int, ...]:
    if not values.len():
        return ()
    return tuple(int((values == at).sum()) for at in range(bins))
