"""Canaries played with dice: what both arms did, look by look, for tests and `bench/canary.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from ropewalk.releases.signals import log_e_total, log_e_values
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.settings import Canary

LOOKS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How both releases behave, per row.

    Attributes:
        errors: error rate of champion and candidate.
        slow: share of rows beyond the latency limit, of champion and candidate.
        loss: mean of a two-point loss (Brier of a rare event: 0.02 or 0.7) of champion and candidate.
        rows: rows a minute.
        shares: the candidate's share at each third of the looks.
        shadow: all rows are asked of both instead.
    """

    errors: tuple[float, float] = (0.01, 0.01)
    slow: tuple[float, float] = (0.002, 0.002)
    loss: tuple[float, float] = (0.15, 0.15)
    rows: int = 500
    shares: tuple[float, ...] = (0.1, 0.1, 0.1)
    shadow: bool = False


def looks(world: World, dice: np.random.Generator) -> Iterator[Evidence]:
    """Yield the evidence at each look of one rollout."""
    if world.shadow:
        yield from _shadow_looks(world, dice)
        return
    done: tuple[Stratum, ...] = ()
    for share in world.shares:
        arms = [Arm(), Arm()]
        for _ in range(LOOKS // len(world.shares)):
            canary = int(dice.binomial(world.rows, share))
            arms = [
                _add(arm, world, side, rows, dice)
                for side, (arm, rows) in enumerate(zip(arms, (world.rows - canary, canary), strict=True))
            ]
            yield Evidence(strata=(*done, Stratum(share=share, champion=arms[0], canary=arms[1])))
        done = (*done, Stratum(share=share, champion=arms[0], canary=arms[1]))


def _add(arm: Arm, world: World, side: int, rows: int, dice: np.random.Generator) -> Arm:
    errors, slow = int(dice.binomial(rows, world.errors[side])), int(dice.binomial(rows, world.slow[side]))
    bad = int(dice.binomial(rows, (world.loss[side] - 0.02) / 0.68))
    return Arm(
        rows=arm.rows + rows,
        errors=arm.errors + errors,
        error_units=arm.error_units + errors,
        slow=arm.slow + slow,
        slow_units=arm.slow_units + slow,
        labelled=arm.labelled + rows,
        loss_sum=arm.loss_sum + 0.7 * bad + 0.02 * (rows - bad),
        loss_square_sum=arm.loss_square_sum + 0.49 * bad + 0.0004 * (rows - bad),
    )


def _shadow_looks(world: World, dice: np.random.Generator) -> Iterator[Evidence]:
    """Yield pairs whose errors are independent, the hardest case, and whose losses differ by noise and the mean."""
    champion, canary = Arm(), Arm()
    labelled, total, squares = 0, 0.0, 0.0
    for _ in range(LOOKS):
        first, second = (dice.random(world.rows) < rate for rate in world.errors)
        champion = _paired(champion, world.rows, first, second)
        canary = _paired(canary, world.rows, second, first)
        differences = dice.normal(world.loss[1] - world.loss[0], 0.05, world.rows)
        labelled += world.rows
        total += float(differences.sum())
        squares += float((differences**2).sum())
        yield Evidence(
            pairs=Pairs(
                champion=champion,
                canary=canary,
                labelled=labelled,
                difference_sum=total,
                difference_square_sum=squares,
            )
        )


def _paired(arm: Arm, rows: int, own: np.ndarray, other: np.ndarray) -> Arm:
    return replace(
        arm,
        rows=arm.rows + rows,
        errors=arm.errors + int(own.sum()),
        error_units=arm.error_units + int((own & ~other).sum()),
    )


def falls(plan: Canary, world: World, runs: int, seed: int) -> tuple[float, float]:
    """Return the share of rollouts that fall back at any look, and the median look at which they do."""
    dice = np.random.default_rng(seed)
    limit = math.log(1.0 / plan.alpha)
    when = [
        next(
            (
                at
                for at, evidence in enumerate(looks(world, dice), 1)
                if log_e_total(plan, log_e_values(plan, evidence)) >= limit
            ),
            0,
        )
        for _ in range(runs)
    ]
    hit = [at for at in when if at]
    return len(hit) / runs, median(hit) if hit else math.nan


def plain_falls(alpha: float, world: World, runs: int, seed: int) -> tuple[float, float]:
    """Return the same for the plain two-proportion e-process on errors alone, which has all of alpha for them.

    Turner, Ly, Gruenwald, "Generic E-variables for exact sequential k-sample tests" (2021): blocks of one look, each
    bet on the rates of the blocks before.
    """
    dice = np.random.default_rng(seed)
    canary_rows = round(world.rows * world.shares[0])
    rows = np.array([world.rows - canary_rows, canary_rows])
    when = []
    for _ in range(runs):
        hits, seen, log_e, fell = np.full(2, 0.18), np.full(2, 0.36), 0.0, 0
        for at in range(1, LOOKS + 1):
            rate = hits / seen
            pooled = float((rows * rate).sum() / rows.sum())
            events = dice.binomial(rows, world.errors)
            if rate[1] > rate[0]:
                won = events * np.log(rate / pooled) + (rows - events) * np.log((1 - rate) / (1 - pooled))
                log_e += float(won.sum())
            hits, seen = hits + events, seen + rows
            if log_e >= math.log(1.0 / alpha):
                fell = at
                break
        when.append(fell)
    hit = [at for at in when if at]
    return len(hit) / runs, median(hit) if hit else math.nan
