"""Evidence that may be looked at whenever one likes: e-values and confidence bounds that hold at every look.

An e-process under a hypothesis stays below `1 / alpha` for ever with probability `1 - alpha` (Ville's inequality), so a
canary may be judged after each row. Everything here is a function of counts alone: the same counts give the same answer
on every machine, and nothing has to be remembered between looks.

Sources: Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference" (Statistical
Science 2023); Lindon, Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), for `log_e_share`;
Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting" (JRSS-B 2024), for the bounds of rates;
Robbins' mixture as in Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform Chernoff bounds via nonnegative
supermartingales" (2020) and Waudby-Smith and others, "Time-uniform central limit theory and asymptotic confidence
sequences" (Annals of Statistics 2024), for means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# How many times the champion's odds the candidate's might be, and how much is bet on each: most on the small multiples
# that take long to see, something on the large ones that show in a handful of rows.
MULTIPLES = (
    (1.4, 0.08),
    (1.8, 0.24),
    (2.4, 0.26),
    (3.5, 0.18),
    (6.0, 0.10),
    (12.0, 0.06),
    (50.0, 0.05),
    (2000.0, 0.03),
)
# For lower bounds and budgets, where any multiple will do that the rows can tell apart.
RISES = ((1.03, 0.08), (1.07, 0.12), (1.15, 0.18), (1.3, 0.2), (1.7, 0.17), (3.0, 0.12), (10.0, 0.08), (100.0, 0.05))
# The same for the other side: which share of the tried rate the real rate might be.
SHARES = ((0.0, 0.30), (0.2, 0.12), (0.4, 0.13), (0.6, 0.13), (0.75, 0.11), (0.87, 0.09), (0.94, 0.07), (0.98, 0.05))
HALVINGS = 40
E_MAX = 1e300
FAR_LEFT = -30.0  # standard deviations beyond which `erfc` loses its digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Events of one kind while the share of traffic stood still.

    Attributes:
        canary: events in the candidate's arm.
        champion: events in the champion's arm.
        share: chance, in (0, 1), that an event falls to the candidate when both arms are alike.
    """

    canary: int
    champion: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A difference of means as a Brownian motion: `pull = difference / variance`, `information = 1 / variance`.

    Independent differences are pooled by adding both, so that traffic shares that changed between them do no harm.
    """

    pull: float = 0.0
    information: float = 0.0

    def __add__(self, other: Drift) -> Drift:
        return Drift(pull=self.pull + other.pull, information=self.information + other.information)

    @property
    def estimate(self) -> float:
        """The pooled difference; 0 without information."""
        return self.pull / self.information if self.information else 0.0


def bounded_exp(log_value: float) -> float:
    """Return `exp` of a logarithm, at most 1e300, so that JSON can say it."""
    return E_MAX if log_value > math.log(E_MAX) else math.exp(log_value)


def log_sum(logs: Iterable[float]) -> float:
    """Return the logarithm of the sum of numbers given by their logarithms."""
    known = [value for value in logs if value > -math.inf]
    if not known:
        return -math.inf
    top = max(known)
    return top + math.log(sum(math.exp(value - top) for value in known))


def log_e_share(splits: Iterable[Split], multiples: tuple[tuple[float, float], ...] = MULTIPLES) -> float:
    """Return the log e-value against "an event is no likelier in the candidate's arm than in the champion's".

    Given that an event happened, it is the candidate's with chance `share` when both arms are alike, whatever the rate
    of events is and however it moves with the hour. Where an event is a sticky key's first one, that chance comes from
    the hash that assigned the key, so the test needs nothing of the traffic: neither independence nor a steady rate.
    """
    fixed = list(splits)
    logs: list[float] = []
    for multiple, weight in multiples:
        total = math.log(weight)
        for split in fixed:
            base = 1.0 - split.share + split.share * multiple
            total += split.canary * math.log(multiple / base) - split.champion * math.log(base)
        logs.append(total)
    return log_sum(logs)


def log_e_rate_above(
    hits: int, rows: int, rate: float, multiples: tuple[tuple[float, float], ...] = MULTIPLES
) -> float:
    """Return the log e-value against "hits come at most at this rate", with `0 < rate < 1`."""
    logs: list[float] = []
    for multiple, weight in multiples:
        base = 1.0 - rate + rate * multiple
        logs.append(math.log(weight) + hits * math.log(multiple / base) - (rows - hits) * math.log(base))
    return log_sum(logs)


def log_e_rate_below(hits: int, rows: int, rate: float) -> float:
    """Return the log e-value against "hits come at least at this rate", with `0 < rate < 1`."""
    logs: list[float] = []
    for share, weight in SHARES:
        if share == 0.0 and hits:
            continue
        won = hits * math.log(share) if hits else 0.0
        logs.append(math.log(weight) + won + (rows - hits) * (math.log1p(-share * rate) - math.log1p(-rate)))
    return log_sum(logs)


def upper_rate(hits: int, rows: int, alpha: float) -> float:
    """Return a bound that the rate of hits stays below at every look, with probability `1 - alpha`; 1 without rows."""
    if rows == 0 or hits >= rows:
        return 1.0
    wanted = -math.log(alpha)
    return _crossing(hits / rows, 1.0 - 1e-12, lambda rate: log_e_rate_below(hits, rows, rate) >= wanted)


def lower_rate(hits: int, rows: int, alpha: float) -> float:
    """Return a bound that the rate of hits stays above at every look, with probability `1 - alpha`; 0 without hits."""
    if hits == 0:
        return 0.0
    wanted = -math.log(alpha)
    return 1.0 - _crossing(
        1.0 - hits / rows, 1.0 - 1e-12, lambda other: log_e_rate_above(hits, rows, 1.0 - other, RISES) >= wanted
    )


def difference(*, canary: tuple[int, float, float], champion: tuple[int, float, float], floor: float) -> Drift:
    """Return the difference of two means, candidate's minus champion's, from count, sum and sum of squares of each arm.

    Args:
        canary: count (at least 1), sum and sum of squares.
        champion: the same.
        floor: standard error that is never gone below, so that constant losses do not look certain.
    """
    rows = canary[0] + champion[0]
    means = canary[1] / canary[0], champion[1] / champion[0]
    # Pooled: a small arm's own variance moves together with its mean and would pull the estimate.
    squares = canary[2] - canary[0] * means[0] ** 2 + champion[2] - champion[0] * means[1] ** 2
    variance = max(squares, 0.0) / max(rows - 2, 1) * (1.0 / canary[0] + 1.0 / champion[0])
    return _drift(means[0] - means[1], variance, floor)


def mean(rows: int, total: float, squares: float, floor: float) -> Drift:
    """Return a mean of paired differences, from count (at least 2), sum and sum of squares."""
    centre = total / rows
    variance = max(squares - rows * centre**2, 0.0) / (rows - 1) / rows
    return _drift(centre, variance, floor)


def _drift(estimate: float, variance: float, floor: float) -> Drift:
    information = 1.0 / max(variance, floor**2)
    return Drift(pull=estimate * information, information=information)


def log_e_mean_above(drift: Drift, scale: float, null: float = 0.0) -> float:
    """Return the log e-value against "the difference is at most `null`"; asymptotic, so ask for enough rows first.

    Args:
        drift: what was seen.
        scale: a difference that one expects of a bad candidate; the mixture is a half-normal of this width.
        null: the difference that is still alright.
    """
    pull = drift.pull - null * drift.information
    total = drift.information + 1.0 / scale**2
    root = math.sqrt(total)
    return math.log(2.0) - math.log(scale * root) + pull**2 / (2.0 * total) + _log_normal_below(pull / root)


def upper_mean(drift: Drift, scale: float, alpha: float) -> float:
    """Return a bound that the difference stays below at every look, with probability `1 - alpha`; infinite at first."""
    if drift.information == 0.0:
        return math.inf
    wanted = -math.log(alpha)
    mirrored = Drift(pull=-drift.pull, information=drift.information)

    def excluded(bound: float) -> bool:
        return log_e_mean_above(mirrored, scale, -bound) >= wanted

    reach = 1.0 / math.sqrt(drift.information)
    while not excluded(drift.estimate + reach):
        reach *= 2.0
    return _crossing(drift.estimate, drift.estimate + reach, excluded)


def lower_mean(drift: Drift, scale: float, alpha: float) -> float:
    """Return a bound that the difference stays above at every look, with probability `1 - alpha`."""
    return -upper_mean(Drift(pull=-drift.pull, information=drift.information), scale, alpha)


def _log_normal_below(z: float) -> float:
    """Return the logarithm of the standard normal distribution function, also far out on the left."""
    if z > FAR_LEFT:
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -z * z / 2.0 - math.log(-z) - 0.5 * math.log(2.0 * math.pi)


def _crossing(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Return where a claim that is false at `low` becomes true for good; `high` when it never does."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
