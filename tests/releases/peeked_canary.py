"""Canaries looked at after every request, ten thousand at a time, in numpy: the judge's formulas and its peers' rules.

Only events can raise an e-value of events, so that a look at each event is a look at each request. The question whether
an increase matters is left out, which only makes more canaries fall: what is shown of good ones is an upper bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, logsumexp

from ropewalk.releases.sequential import MULTIPLES
from ropewalk.releases.signals import SCALE, UNITS_MIN, weights_of
from ropewalk.settings import Canary

MINUTES = 60
Floats = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A canary's hour: requests a minute, the candidate's share, and the error rates of champion and candidate."""

    rows: int = 500
    share: float = 0.1
    errors: tuple[float, float] = (0.01, 0.01)


def log_e_events(canary: Floats, champion: Floats, share: float) -> Floats:
    """Return `sequential.log_e_share` of one split, for arrays of counts."""
    logs = [
        np.log(weight)
        + canary * np.log(multiple / (1 - share + share * multiple))
        - champion * np.log(1 - share + share * multiple)
        for multiple, weight in MULTIPLES
    ]
    return logsumexp(logs, axis=0)


def log_e_means(pull: Floats, information: Floats, scale: float) -> Floats:
    """Return `sequential.log_e_mean_above` with null 0, for arrays."""
    total = information + 1 / scale**2
    root = np.sqrt(total)
    return np.log(2.0) - np.log(scale * root) + pull**2 / (2 * total) + log_ndtr(pull / root)


def events_of(rates: tuple[float, float], traffic: Traffic, runs: int, dice: np.random.Generator) -> tuple[Floats, ...]:
    """Return request, and events of candidate and champion so far, at each event of each run; padded by repeats."""
    requests = traffic.rows * MINUTES
    mine, other = traffic.share * rates[1], (1 - traffic.share) * rates[0]
    most = int((mine + other) * requests + 8 * np.sqrt((mine + other) * requests) + 10)
    at = dice.geometric(mine + other, (runs, most)).cumsum(axis=1)
    inside = at <= requests
    own = (dice.random((runs, most)) < mine / (mine + other)) & inside
    return np.where(inside, at, requests), own.cumsum(axis=1), (~own & inside).cumsum(axis=1)


def at_requests(at: Floats, values: Floats, requests: int) -> Floats:
    """Return the value that stands at each request, from values at events; 0 before the first."""
    runs = at.shape[0]
    steps = np.zeros((runs, requests + 1), dtype=np.int32)
    np.add.at(steps, (np.arange(runs)[:, None], at), 1)
    index = np.minimum(steps.cumsum(axis=1), at.shape[1])[:, 1:]
    padded = np.concatenate([np.zeros((runs, 1), dtype=np.float32), values.astype(np.float32)], axis=1)
    return np.take_along_axis(padded, index, axis=1)


def good(plan: Canary, traffic: Traffic, runs: int, dice: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return the largest e-value that each good canary shows at any request, and at which request it falls (0: never).

    The first is that of errors alone, the second that of all signals, by which it falls.

    Errors are the traffic's, a tenth of them as many outputs are invalid, 2 % of rows are slow, every tenth request
    gets a label and every tenth a reported number. Of slowness only what makes it larger is simulated: that the
    candidate has more slow rows, not that its own quantile is still below the limit. Outputs do not move, so that their
    e-value falls from 1; it counts as 1.
    """
    requests, weights, rate = traffic.rows * MINUTES, weights_of(plan), traffic.errors[0]
    total = np.full((runs, requests), weights.get("outputs", 0.0), dtype=np.float64)
    errors = np.zeros(runs)
    for name, chance in (("errors", rate), ("invalid", rate / 10), ("latency", 0.02)):
        at, canary, champion = events_of((chance, chance), traffic, runs, dice)
        logs = log_e_events(canary, champion, traffic.share)
        if name == "errors":
            errors = logs.max(axis=1)
        total += weights[name] * np.exp(at_requests(at, logs, requests))
    for name, worth in (("quality", plan.loss_increase), ("metric", plan.metric_loss)):
        if name in weights:
            logs = _means(traffic, worth, runs, requests // 10, dice)
            total += weights[name] * np.exp(np.repeat(logs, 10, axis=1))
    out = total >= 1 / plan.alpha
    return errors, np.log(total.max(axis=1)), np.where(out.any(axis=1), out.argmax(axis=1) + 1, 0)


def _means(traffic: Traffic, worth: float, runs: int, units: int, dice: np.random.Generator) -> Floats:
    """Return the log e-value of a mean after each unit; 0 while an arm has fewer than the judge asks for."""
    mine = dice.random((runs, units)) < traffic.share
    # A Brier loss of a rare event: most are small, one in five is large; in units of what matters.
    loss = np.where(dice.random((runs, units)) < 0.2, 0.7, 0.02) * (worth / 0.005)
    counts, sums, squares = [], [], []
    for arm in (mine, ~mine):
        counts.append(arm.cumsum(axis=1))
        sums.append((loss * arm).cumsum(axis=1))
        squares.append((loss**2 * arm).cumsum(axis=1))
    ready = (counts[0] >= max(200, UNITS_MIN)) & (counts[1] >= max(200, UNITS_MIN))
    few = [np.maximum(count, 1) for count in counts]
    means = [total / count for total, count in zip(sums, few, strict=True)]
    spread = sum(square - count * mean**2 for square, count, mean in zip(squares, few, means, strict=True))
    variance = np.maximum(spread, 0) / np.maximum(few[0] + few[1] - 2, 1) * (1 / few[0] + 1 / few[1])
    information = 1 / np.maximum(variance, (worth / 1000) ** 2)
    return np.where(ready, log_e_means((means[0] - means[1]) * information, information, SCALE * worth), 0.0)


def found_at(plan: Canary, traffic: Traffic, runs: int, dice: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the request at which the judge's errors alone make each canary fall (0: never), and whom that harmed.

    Here the increase that is seen has to matter, as the judge asks; it is looked at at each event.
    """
    at, canary, champion = events_of(traffic.errors, traffic, runs, dice)
    logs = log_e_events(canary, champion, traffic.share)
    # How many of the requests so far were the candidate's: those that failed, and its share of the others.
    quiet = traffic.share * (1 - traffic.errors[1]), (1 - traffic.share) * (1 - traffic.errors[0])
    gaps = np.maximum(np.diff(at, axis=1, prepend=0) - 1, 0)
    own_rows = dice.binomial(gaps, quiet[0] / sum(quiet)).cumsum(axis=1) + canary
    rates = canary / np.maximum(own_rows, 1) - champion / np.maximum(at - own_rows, 1)
    falls = (logs >= -np.log(plan.alpha * weights_of(plan)["errors"])) & (rates >= plan.error_increase)
    first = falls.argmax(axis=1)
    hit = falls.any(axis=1)
    harmed = np.take_along_axis(canary, first[:, None], axis=1)[:, 0]
    when = np.take_along_axis(at, first[:, None], axis=1)[:, 0]
    return np.where(hit, when, 0), np.where(hit, harmed, canary[:, -1])


def paired_at(plan: Canary, traffic: Traffic, runs: int, dice: np.random.Generator) -> Floats:
    """Return the request at which a shadow's errors alone make it fall, both answering every request; 0: never.

    Errors are independent, the hardest case: where both fail on the same
    requests, fewer pairs are discordant by chance.
    """
    lone = tuple(one * (1 - other) for one, other in (traffic.errors, traffic.errors[::-1]))
    both = Traffic(rows=2 * traffic.rows, share=0.5)  # every request is one of each arm
    at, canary, champion = events_of(lone, both, runs, dice)
    falls = log_e_events(canary, champion, 0.5) >= -np.log(plan.alpha * weights_of(plan)["errors"])
    falls &= (canary - champion) * 2 >= plan.error_increase * at
    first = falls.argmax(axis=1)
    return np.where(falls.any(axis=1), np.take_along_axis(at, first[:, None], axis=1)[:, 0] / 2, 0)


def minutes_of(traffic: Traffic, runs: int, dice: np.random.Generator) -> tuple[Floats, Floats, int, int]:
    """Return the failures of candidate and champion in each minute, and the rows of each."""
    mine = round(traffic.rows * traffic.share)
    shape = (runs, MINUTES)
    other = traffic.rows - mine
    return dice.binomial(mine, traffic.errors[1], shape), dice.binomial(other, traffic.errors[0], shape), mine, other


def threshold_at(traffic: Traffic, runs: int, success: float, failures: int, dice: np.random.Generator) -> Floats:
    """Return the minute of the failure too many of a fixed threshold on the candidate's success rate; 0: never."""
    failed, _, mine, _ = minutes_of(traffic, runs, dice)
    bad = (1 - failed / mine < success).cumsum(axis=1) > failures
    return np.where(bad.any(axis=1), bad.argmax(axis=1) + 1, 0)


def alarm_at(traffic: Traffic, runs: int, rate: float, periods: int, dice: np.random.Generator) -> Floats:
    """Return the minute at which an alarm on the error rate trips, so many minutes in a row above it; 0: never."""
    failed, _, mine, _ = minutes_of(traffic, runs, dice)
    above = failed / mine > rate
    row = np.stack([above[:, at : MINUTES - periods + 1 + at] for at in range(periods)]).all(axis=0)
    return np.where(row.any(axis=1), row.argmax(axis=1) + periods, 0)


def plain_at(alpha: float, traffic: Traffic, runs: int, dice: np.random.Generator) -> Floats:
    """Return the minute at which the plain two-proportion e-process falls, with all of alpha for errors; 0: never.

    Turner, Ly, Gruenwald, "Generic E-variables for exact sequential k-sample tests" (2021): blocks of a minute,
    each bet on the rates of the blocks before.
    """
    failed, others, mine, other = minutes_of(traffic, runs, dice)
    before = [np.cumsum(count, axis=1) - count + 0.18 for count in (failed, others)]
    minutes = np.arange(MINUTES)
    rate = before[0] / (minutes * mine + 0.36), before[1] / (minutes * other + 0.36)
    pooled = (rate[0] * mine + rate[1] * other) / (mine + other)
    won = np.zeros_like(pooled)
    for count, rows, one in ((failed, mine, rate[0]), (others, other, rate[1])):
        won += count * np.log(one / pooled) + (rows - count) * np.log((1 - one) / (1 - pooled))
    out = np.where(rate[0] > rate[1], won, 0.0).cumsum(axis=1) >= -np.log(alpha)
    return np.where(out.any(axis=1), out.argmax(axis=1) + 1, 0)


def share_and_median(when: Floats) -> tuple[float, float]:
    """Return how many of the runs fell, and the median time of those that did."""
    hit = when[when > 0]
    return hit.size / when.size, float(np.median(hit)) if hit.size else float("nan")
