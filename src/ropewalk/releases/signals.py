"""The kinds of harm that a canary is watched for, each as an e-value against "the candidate is no worse" with bounds.

`errors`, `invalid` and `latency` are events, split between the arms by the share of traffic; `outputs` are events too:
that an output lies beyond a cut which the champion's outputs gave before the rollout. `quality` and `metric` are means,
of the loss of labelled rows and of the number that clients report.

Sources: as in `sequential`; the quantile is compared by exceedances of a fixed limit, as in Howard, Ramdas, "Sequential
estimation of quantiles with applications to A/B testing and best-arm identification" (Bernoulli 2022), and Lindon,
Sanden, Shirikian, "Rapid regression detection in software deployments through sequential testing" (KDD 2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from ropewalk.releases.sequential import (
    E_MAX,
    RISES,
    Drift,
    Split,
    bounded_exp,
    difference,
    log_e_mean_above,
    log_e_rate_above,
    log_e_share,
    log_sum,
    lower_mean,
    lower_rate,
    mean,
    upper_mean,
    upper_rate,
)
from ropewalk.releases.tally import Arm, Evidence
from ropewalk.settings import Canary

# How alpha is shared out among those that the plan wants. Failed requests come first: they are the commonest harm and
# the one to see soonest.
WEIGHTS = {"errors": 0.6, "invalid": 0.05, "latency": 0.1, "quality": 0.25, "outputs": 0.05, "metric": 0.25}
RATES = {"errors": "failed", "invalid": "gave invalid outputs", "latency": "were slow"}
MEANS = {"quality": ("loss", "labelled"), "metric": ("harm", "reported")}
UNITS_MIN = 20  # units with a number in each arm before a variance is believed
BUDGET_SHARE = 0.2  # of alpha, for the proof that a spent budget was not spent by chance
SCALE = 4.0  # a bad candidate's mean is expected to be this many times the increase that matters
UPPER_SHARE = 0.9  # of alpha, for the candidate's bound; the champion's, mostly many more rows, takes the rest
Says = Literal["worse", "fine", "unsure", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one kind of harm says.

    Attributes:
        name: a key of `WEIGHTS`.
        e_value: evidence that the candidate is worse; 1 is none.
        reading: the candidate's value minus the champion's; of a metric where higher is better, the other way round.
        low: lower end of what the increase may be, valid at every look.
        high: upper end of it; infinity is written as 1e300.
        allowed: the increase up to which the candidate may rise now.
        says: `worse`, `fine`, `unsure` or `waiting`.
        reason: a sentence with the figures.
    """

    name: str
    e_value: float
    reading: float
    low: float
    high: float
    allowed: float
    says: Says
    reason: str

    @property
    def log_e(self) -> float:
        """The logarithm of the e-value."""
        return math.log(self.e_value) if self.e_value else -math.inf


def weights_of(plan: Canary) -> dict[str, float]:
    """Return each signal's share of alpha; it follows from the plan alone, so that no data can choose it."""
    wanted = {
        name: weight
        for name, weight in WEIGHTS.items()
        if (name != "outputs" or plan.output_shift) and (name != "metric" or plan.metric)
    }
    whole = sum(wanted.values())
    return {name: weight / whole for name, weight in wanted.items()}


def alpha_of(plan: Canary) -> float:
    """Return the chance that the signals may blame a good candidate; a budget of users takes its part of alpha."""
    return plan.alpha * (1.0 - BUDGET_SHARE) if plan.harmed_max else plan.alpha


def log_e_values(plan: Canary, evidence: Evidence) -> dict[str, float]:
    """Return the log e-value of each signal against "the candidate is no worse", without the costlier bounds."""
    logs = {name: _log_e_rate(plan, evidence, name) for name in RATES}
    for name in MEANS:
        logs[name] = _log_e_mean(plan, name, *_drift(plan, evidence, name))
    logs["outputs"] = _log_e_outputs(_tails(plan, evidence))
    return {name: logs[name] for name in weights_of(plan)}


def log_e_total(plan: Canary, log_values: Mapping[str, float]) -> float:
    """Return the logarithm of the signals' weighted mean, which is an e-value again."""
    weights = weights_of(plan)
    return log_sum(math.log(weights[name]) + value for name, value in log_values.items())


def log_e_harmed(evidence: Evidence) -> float:
    """Return the log e-value against "no more units get a failed or an invalid answer", for harm of any size."""
    logs = [log_e_share(_splits(evidence, name), RISES) for name in ("errors", "invalid")]
    return log_sum(logs) - math.log(len(logs))


def signals_of(plan: Canary, evidence: Evidence, share: float) -> tuple[Signal, ...]:
    """Say what each kind of harm means for a rise to a share of traffic, with the bounds of its increase."""
    logs = log_e_values(plan, evidence)
    found = [_rate(plan, evidence, name, share, logs[name]) for name in RATES]
    found += [_mean(plan, evidence, name, share, logs[name]) for name in MEANS if name in logs]
    if "outputs" in logs:
        found.append(_outputs(plan, evidence, logs["outputs"]))
    return tuple(found)


def _log_e_rate(plan: Canary, evidence: Evidence, name: str) -> float:
    """Return the log e-value of one kind of event, in the arms and in the pairs together."""
    canary, champion = evidence.total(name, "canary"), evidence.total(name, "champion")
    log_e = log_e_share(_splits(evidence, name))
    if name == "latency":
        # A slower candidate is alright while its own quantile stays below the limit: both have to be excluded.
        return min(log_e, log_e_rate_above(canary[0], canary[1], 1.0 - plan.latency_quantile))
    if share_of(canary) - share_of(champion) < plan.error_increase:
        # Real perhaps, but smaller than what matters. Not raised to 1: it stays below the e-value that it is made of.
        return min(log_e, 0.0)
    return log_e


def _splits(evidence: Evidence, name: str) -> list[Split]:
    splits = [
        Split(canary=each.canary.units(name), champion=each.champion.units(name), share=each.share)
        for each in evidence.strata
    ]
    if evidence.pairs is not None:
        pairs = evidence.pairs
        splits.append(Split(canary=pairs.canary.units(name), champion=pairs.champion.units(name), share=0.5))
    return splits


def _rate(plan: Canary, evidence: Evidence, name: str, share: float, log_e: float) -> Signal:
    """Say what one kind of event means, with the bounds of its increase."""
    canary, champion = evidence.total(name, "canary"), evidence.total(name, "champion")
    allowed = 1.0 - plan.latency_quantile if name == "latency" else plan.error_increase / share
    alpha = plan.alpha * UPPER_SHARE
    high = upper_rate(canary[0], canary[1], alpha) - lower_rate(champion[0], champion[1], plan.alpha - alpha)
    low = lower_rate(canary[0], canary[1], plan.alpha / 2) - upper_rate(champion[0], champion[1], plan.alpha / 2)
    reason = (
        f"{share_of(canary):.2%} of {canary[1]} {RATES[name]} against {share_of(champion):.2%} of {champion[1]}"
        f" (increase at most {high:.2%}, allowed {min(allowed, 1.0):.2%})"
    )
    return Signal(
        name=name,
        e_value=bounded_exp(log_e),
        reading=share_of(canary) - share_of(champion),
        low=low,
        high=high,
        allowed=allowed,
        says=_say(plan, name, log_e, fine=high <= allowed),
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The outputs on one side of a cut.

    Attributes:
        hits: the candidate's units there.
        rows: its units.
        others: the champion's units there, and its units.
        base: share of the champion's outputs there, from before the rollout.
        limit: the share up to which all is well.
        splits: the same event in both arms.
    """

    hits: int
    rows: int
    others: tuple[int, int]
    base: float
    limit: float
    splits: tuple[Split, ...]


def _tails(plan: Canary, evidence: Evidence) -> tuple[Tail, ...]:
    """Return both sides of each cut between the bins of outputs."""
    bins = len(evidence.baseline)
    if bins <= 1 or not plan.output_shift:
        return ()
    arms = [(each.canary.outputs, each.champion.outputs, each.share) for each in evidence.strata]
    below = [
        (_cumulative(canary, bins), _cumulative(champion, bins), share)
        for canary, champion, share in arms
        if canary or champion
    ]
    pairs = evidence.pairs if evidence.pairs is not None and evidence.pairs.canary.outputs else None
    paired = _cumulative(pairs.canary.outputs if pairs else (), bins)
    beside = _cumulative(pairs.champion.outputs if pairs else (), bins)
    rows = sum(canary[-1] for canary, _, _ in below) + paired[-1]
    other_rows = sum(champion[-1] for _, champion, _ in below) + beside[-1]
    found: list[Tail] = []
    for cut, base in enumerate(_shares(evidence.baseline)):
        hits = sum(canary[cut] for canary, _, _ in below) + paired[cut]
        others = sum(champion[cut] for _, champion, _ in below) + beside[cut]
        for over in (False, True):
            splits = [
                Split(
                    canary=canary[-1] - canary[cut] if over else canary[cut],
                    champion=champion[-1] - champion[cut] if over else champion[cut],
                    share=share,
                )
                for canary, champion, share in below
            ]
            if pairs:
                moved = (pairs.moved_up[cut], pairs.moved_down[cut])
                splits.append(Split(canary=moved[not over], champion=moved[over], share=0.5))
            own = 1.0 - base if over else base
            found.append(
                Tail(
                    hits=rows - hits if over else hits,
                    rows=rows,
                    others=(other_rows - others if over else others, other_rows),
                    base=own,
                    limit=own + plan.output_shift,
                    splits=tuple(splits),
                )
            )
    return tuple(found)


def _cumulative(counts: tuple[int, ...], bins: int) -> tuple[int, ...]:
    return tuple(accumulate(counts)) if counts else (0,) * bins


def _shares(baseline: tuple[float, ...]) -> tuple[float, ...]:
    """Return the share of outputs below each cut."""
    return tuple(accumulate(baseline))[:-1]


def _log_e_outputs(tails: tuple[Tail, ...]) -> float:
    """Return the mean of the tails' e-values: a candidate whose outputs just follow the traffic's is not blamed."""
    if not tails:
        return 0.0
    logs = [
        min(log_e_share(one.splits), log_e_rate_above(one.hits, one.rows, one.limit)) if one.limit < 1.0 else 0.0
        for one in tails
    ]
    return log_sum(logs) - math.log(len(logs))


def _outputs(plan: Canary, evidence: Evidence, log_e: float) -> Signal:
    """Say where the candidate's outputs lie, by the tail that has grown most."""
    tails = _tails(plan, evidence)
    if not tails or not tails[0].rows:
        return Signal(
            name="outputs",
            e_value=bounded_exp(log_e),
            reading=0.0,
            low=-1.0,
            high=1.0,
            allowed=plan.output_shift,
            says="waiting",
            reason="no outputs of the champion from before the rollout" if not tails else "no outputs yet",
        )
    # Outputs that have moved for both since then are the traffic's own.
    most = max(tails, key=lambda one: one.hits / one.rows - max(one.base, share_of(one.others)))
    alpha = plan.alpha / len(tails) / 2.0
    reading = most.hits / most.rows - max(most.base, share_of(most.others))
    low = lower_rate(most.hits, most.rows, alpha) - max(most.base, upper_rate(*most.others, alpha))
    high = upper_rate(most.hits, most.rows, alpha) - max(most.base, lower_rate(*most.others, alpha))
    return Signal(
        name="outputs",
        e_value=bounded_exp(log_e),
        reading=reading,
        low=low,
        high=high,
        allowed=plan.output_shift,
        says=_say(plan, "outputs", log_e, fine=high <= plan.output_shift),
        reason=f"{reading:.0%} of {most.rows} outputs moved (at most {high:.0%}, allowed {plan.output_shift:.0%})",
    )


def matters(plan: Canary, name: str) -> float:
    """Return the smallest increase of a mean that matters."""
    return plan.loss_increase if name == "quality" else plan.metric_loss


def wanted(plan: Canary, name: str) -> int:
    """Return how many units with a number each arm needs before a mean counts."""
    return max(plan.labels_min if name == "quality" else plan.reports_min, UNITS_MIN)


def _log_e_mean(plan: Canary, name: str, drift: Drift, canary: int, champion: int) -> float:
    """Return the log e-value of a mean; 0 before there are enough numbers, or when it matters too little."""
    if min(canary, champion) < wanted(plan, name) or drift.information == 0.0:
        return 0.0
    log_e = log_e_mean_above(drift, SCALE * matters(plan, name))
    return log_e if drift.estimate >= matters(plan, name) else min(log_e, 0.0)


def _mean(plan: Canary, evidence: Evidence, name: str, share: float, log_e: float) -> Signal:
    """Say what the numbers of units mean, with the bounds of the increase of their mean."""
    drift, canary, champion = _drift(plan, evidence, name)
    what, word = MEANS[name]
    allowed, scale, few = matters(plan, name) / share, SCALE * matters(plan, name), min(canary, champion)
    waiting = few < wanted(plan, name) or drift.information == 0.0
    low, high = -E_MAX, E_MAX
    reason = f"{few} of {wanted(plan, name)} {word} in the smaller arm"
    if not waiting:
        low, high = lower_mean(drift, scale, plan.alpha), upper_mean(drift, scale, plan.alpha)
        if name == "metric":
            what = f"{plan.metric} worse by"
        reason = (
            f"{what} {drift.estimate:+.4f} on {canary} {word} against {champion}"
            f" (increase at most {high:.4f}, allowed {allowed:.4f})"
        )
    return Signal(
        name=name,
        e_value=bounded_exp(log_e),
        reading=drift.estimate,
        low=low,
        high=high,
        allowed=allowed,
        says="waiting" if waiting else _say(plan, name, log_e, fine=high <= allowed),
        reason=reason,
    )


def _drift(plan: Canary, evidence: Evidence, name: str) -> tuple[Drift, int, int]:
    """Return the pooled difference of means, and how many units the candidate and the champion have."""
    floor = matters(plan, name) / 1000.0
    drift, canary, champion = Drift(), 0, 0
    for each in evidence.strata:
        own, other = _sums(each.canary, name), _sums(each.champion, name)
        canary += own[0]
        champion += other[0]
        if min(own[0], other[0]) >= UNITS_MIN:
            drift += difference(canary=own, champion=other, floor=floor)
    pairs = evidence.pairs
    if pairs is not None and name == "quality":
        canary += pairs.labelled
        champion += pairs.labelled
        if pairs.labelled >= UNITS_MIN:
            drift += mean(pairs.labelled, pairs.difference_sum, pairs.difference_square_sum, floor)
    return drift, canary, champion


def _sums(arm: Arm, name: str) -> tuple[int, float, float]:
    if name == "metric":
        return arm.reported, arm.harm_sum, arm.harm_square_sum
    return arm.labelled, arm.loss_sum, arm.loss_square_sum


def _say(plan: Canary, name: str, log_e: float, *, fine: bool) -> Says:
    # When all of them together tip the scale, at least one has its part of what it would need alone.
    weights = weights_of(plan)
    if log_e >= -math.log(len(weights) * alpha_of(plan) * weights[name]):
        return "worse"
    return "fine" if fine else "unsure"


def share_of(counts: tuple[int, int]) -> float:
    """Return events over rows; 0 without rows."""
    return counts[0] / counts[1] if counts[1] else 0.0
