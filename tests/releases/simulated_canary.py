"""Canaries played with dice: what both arms did, look by look, judged one by one or all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.special import logsumexp

from releases.peeked_canary import log_e_events, log_e_means
from ropewalk.releases.sequential import MULTIPLES
from ropewalk.releases.signals import SCALE, UNITS_MIN, log_e_total, log_e_values, weights_of
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.settings import Canary

LOOKS = 60
DIFFERENCE = 0.05  # deviation of a pair's difference of losses
LOW, HIGH = 0.02, 0.7  # the two losses that a row may have
Counts = np.ndarray


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


class Split:
    """Rollouts whose arms share the traffic; counts are arrays of run and look, since the weight's begin.

    Args:
        world: how both behave.
        runs: how many rollouts.
        dice: what they are played with.
    """

    def __init__(self, world: World, runs: int, dice: np.random.Generator) -> None:
        self.share = np.repeat(np.array(world.shares), LOOKS // len(world.shares))
        self._span = LOOKS // len(world.shares)
        canary = dice.binomial(world.rows, self.share, (runs, LOOKS))
        self.fresh: list[dict[str, Counts]] = []
        for side, rows in enumerate((world.rows - canary, canary)):
            rates = {"errors": world.errors[side], "slow": world.slow[side]}
            rates["bad"] = (world.loss[side] - LOW) / (HIGH - LOW)
            self.fresh.append({"rows": rows} | {name: dice.binomial(rows, rate) for name, rate in rates.items()})
        self.since = [{name: self._since(counts) for name, counts in arm.items()} for arm in self.fresh]

    def _since(self, counts: Counts) -> Counts:
        weights = counts.reshape(counts.shape[0], -1, self._span)
        return weights.cumsum(axis=2).reshape(counts.shape)

    def evidence(self, run: int, look: int) -> Evidence:
        """Return what the judge is given at a look."""
        ends = [*range(self._span - 1, look, self._span), look]
        return Evidence(
            strata=tuple(
                Stratum(share=float(self.share[at]), champion=self._arm(0, run, at), canary=self._arm(1, run, at))
                for at in ends
            )
        )

    def _arm(self, side: int, run: int, at: int) -> Arm:
        rows, errors, slow, bad = (int(self.since[side][name][run, at]) for name in ("rows", "errors", "slow", "bad"))
        return Arm(
            rows=rows,
            errors=errors,
            error_units=errors,
            slow=slow,
            slow_units=slow,
            labelled=rows,
            loss_sum=HIGH * bad + LOW * (rows - bad),
            loss_square_sum=HIGH**2 * bad + LOW**2 * (rows - bad),
        )

    def log_e(self, plan: Canary) -> Counts:
        """Return the logarithm of all signals' e-value at each look of each run."""
        champion, canary = ({name: counts.cumsum(axis=1) for name, counts in arm.items()} for arm in self.fresh)
        logs = {name: self._events(name) for name in ("errors", "slow")}
        return _total(plan, champion, canary, logs, self._means(plan))

    def _events(self, name: str) -> Counts:
        champion, canary = (arm[name] for arm in self.fresh)
        logs = []
        for multiple, weight in MULTIPLES:
            base = 1 - self.share + self.share * multiple
            won = canary * np.log(multiple / base) - champion * np.log(base)
            logs.append(np.log(weight) + won.cumsum(axis=1))
        return logsumexp(logs, axis=0)

    def _means(self, plan: Canary) -> Counts:
        counts = [arm["rows"] for arm in self.since]
        sums = [HIGH * arm["bad"] + LOW * (arm["rows"] - arm["bad"]) for arm in self.since]
        squares = [HIGH**2 * arm["bad"] + LOW**2 * (arm["rows"] - arm["bad"]) for arm in self.since]
        few = [np.maximum(count, 1) for count in counts]
        means = [total / count for total, count in zip(sums, few, strict=True)]
        spread = sum(square - count * mean**2 for square, count, mean in zip(squares, few, means, strict=True))
        variance = np.maximum(spread, 0) / np.maximum(few[0] + few[1] - 2, 1) * (1 / few[0] + 1 / few[1])
        known = np.minimum(*counts) >= UNITS_MIN
        information = np.where(known, 1 / np.maximum(variance, (plan.loss_increase / 1000) ** 2), 0.0)
        pull = (means[1] - means[0]) * information
        # What earlier weights showed at their end goes on counting; a mean waits for numbers of both arms.
        whole = [arm["rows"].cumsum(axis=1) for arm in self.fresh]
        return _means(plan, self._pooled(pull), self._pooled(information), np.minimum(*whole))

    def _pooled(self, values: Counts) -> Counts:
        done = np.zeros_like(values)
        for at in range(self._span, LOOKS, self._span):
            done[:, at : at + self._span] = done[:, at - 1 : at] + values[:, at - 1 : at]
        return values + done


class Shadow:
    """Rollouts whose candidate answers beside the champion; errors are independent, the hardest case.

    Args:
        world: how both behave.
        runs: how many rollouts.
        dice: what they are played with.
    """

    def __init__(self, world: World, runs: int, dice: np.random.Generator) -> None:
        first, second = world.errors
        chances = [first * second, first * (1 - second), second * (1 - first), (1 - first) * (1 - second)]
        both, champion, canary, _ = np.moveaxis(dice.multinomial(world.rows, chances, (runs, LOOKS)), 2, 0).cumsum(2)
        self.rows = np.broadcast_to(world.rows * np.arange(1, LOOKS + 1), (runs, LOOKS))
        self.errors = both + champion, both + canary
        self.alone = champion, canary
        # A sum of normal numbers and the sum of their squares, drawn at once.
        mean, shape = world.loss[1] - world.loss[0], (runs, LOOKS)
        total = dice.normal(world.rows * mean, DIFFERENCE * np.sqrt(world.rows), shape)
        spread = DIFFERENCE**2 * dice.chisquare(world.rows - 1, shape)
        self.total, self.squares = total.cumsum(1), (spread + total**2 / world.rows).cumsum(1)

    def evidence(self, run: int, look: int) -> Evidence:
        """Return what the judge is given at a look."""
        rows = int(self.rows[run, look])
        champion, canary = (
            Arm(rows=rows, errors=int(errors[run, look]), error_units=int(alone[run, look]))
            for errors, alone in zip(self.errors, self.alone, strict=True)
        )
        total, squares = float(self.total[run, look]), float(self.squares[run, look])
        return Evidence(
            pairs=Pairs(
                champion=champion,
                canary=canary,
                labelled=rows,
                difference_sum=total,
                difference_square_sum=squares,
            )
        )

    def log_e(self, plan: Canary) -> Counts:
        """Return the logarithm of all signals' e-value at each look of each run."""
        none = np.zeros_like(self.rows)
        arms = [{"rows": self.rows, "errors": errors, "slow": none} for errors in self.errors]
        logs = {"errors": log_e_events(self.alone[1], self.alone[0], 0.5), "slow": log_e_events(none, none, 0.5)}
        centre = self.total / self.rows
        variance = np.maximum(self.squares - self.rows * centre**2, 0) / (self.rows - 1) / self.rows
        information = 1 / np.maximum(variance, (plan.loss_increase / 1000) ** 2)
        return _total(plan, *arms, logs, _means(plan, centre * information, information, self.rows))


def _means(plan: Canary, pull: Counts, information: Counts, fewest: Counts) -> Counts:
    logs = log_e_means(pull, information, SCALE * plan.loss_increase)
    matter = pull >= plan.loss_increase * information
    ready = (fewest >= max(plan.labels_min, UNITS_MIN)) & (information > 0)
    return np.where(ready, np.where(matter, logs, np.minimum(logs, 0)), 0)


def _total(plan: Canary, champion: dict, canary: dict, logs: dict[str, Counts], means: Counts) -> Counts:
    """Return the weighted mean of the signals, as `signals.log_e_values` and `log_e_total` have it."""
    more = canary["errors"] / np.maximum(canary["rows"], 1) - champion["errors"] / np.maximum(champion["rows"], 1)
    limit, rising = 1 - plan.latency_quantile, []
    for multiple, weight in MULTIPLES:
        base = 1 - limit + limit * multiple
        won = canary["slow"] * np.log(multiple / base) - (canary["rows"] - canary["slow"]) * np.log(base)
        rising.append(np.log(weight) + won)
    found = {
        "errors": np.where(more < plan.error_increase, np.minimum(logs["errors"], 0), logs["errors"]),
        "invalid": np.zeros_like(means),
        "latency": np.minimum(logs["slow"], logsumexp(rising, axis=0)),
        "quality": means,
    }
    return logsumexp([np.log(weight) + found[name] for name, weight in weights_of(plan).items()], axis=0)


def falls(plan: Canary, world: World, runs: int, seed: int, *, one_by_one: bool = False) -> tuple[float, float]:
    """Return the share of rollouts that fall back at any look, and the median look at which they do.

    Args:
        plan: what they are judged by.
        world: how both arms behave.
        runs: how many rollouts.
        seed: of the dice.
        one_by_one: whether the judge itself is asked at each look; else what it says is computed for all at once.
    """
    played = play(world, runs, seed)
    limit = math.log(1.0 / plan.alpha)
    if one_by_one:
        when = [_first(plan, played, run, limit) for run in range(runs)]
    else:
        out = played.log_e(plan) >= limit
        when = list(np.where(out.any(axis=1), out.argmax(axis=1) + 1, 0))
    hit = [int(at) for at in when if at]
    return len(hit) / runs, median(hit) if hit else math.nan


def play(world: World, runs: int, seed: int) -> Split | Shadow:
    """Play rollouts."""
    return (Shadow if world.shadow else Split)(world, runs, np.random.default_rng(seed))


def judged(plan: Canary, played: Split | Shadow, run: int, look: int) -> float:
    """Return what the judge says at a look: the logarithm of all signals' e-value."""
    return log_e_total(plan, log_e_values(plan, played.evidence(run, look)))


def _first(plan: Canary, played: Split | Shadow, run: int, limit: float) -> int:
    return next((at + 1 for at in range(LOOKS) if judged(plan, played, run, at) >= limit), 0)
