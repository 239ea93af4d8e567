"""The canary's judge: from counts alone to promote, fall back or keep watching, valid at every look.

Each signal has an e-value against "the candidate is no worse". Their weighted mean is again an e-value, whatever their
dependence (Vovk, Wang, "E-values: calibration, combination and applications", Annals of Statistics 2021), so that
falling back when it reaches `1 / alpha` errs, over all signals and all looks, with probability `alpha` at most.

Rising is bounded harm: a candidate takes the next weight when `next weight x the increase that the rows cannot yet
exclude` is below the increase that matters. The first steps therefore ask for little, full traffic asks for proof that
the candidate is not inferior. No rows or no labels exclude nothing, so that no data never is a pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ropewalk.releases.sequential import (
    E_MAX,
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

Decision = Literal["promote", "fall_back", "keep_watching"]
# How alpha is shared out. Failed requests come first: they are the commonest harm and the one to see soonest.
WEIGHTS = {"errors": 0.6, "invalid": 0.05, "latency": 0.1, "quality": 0.25}
RATES = {"errors": "failed", "invalid": "gave invalid outputs", "latency": "were slow"}
UNITS_MIN = 20  # labelled units in each arm before a variance is believed
SCALE = 4.0  # a bad candidate's loss is expected to be this many times the increase that matters
UPPER_SHARE = 0.9  # of alpha, for the candidate's bound; the champion's, mostly many more rows, takes the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one kind of harm says.

    Attributes:
        name: `errors`, `invalid`, `latency` or `quality`.
        e_value: evidence that the candidate is worse; 1 is none.
        reading: the candidate's value minus the champion's.
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
    says: Literal["worse", "fine", "unsure", "waiting"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement at one look.

    Attributes:
        decision: what to do now.
        e_value: the signals' weighted mean; the candidate falls back at `1 / alpha`.
        signals: what each kind of harm says.
        reason: a sentence for people.
    """

    decision: Decision
    e_value: float
    signals: tuple[Signal, ...]
    reason: str


def next_weight(plan: Canary, step: int) -> float:
    """Return the percent of traffic that a rise from this step leads to; step -1 is the shadow before the first."""
    return plan.weights[step + 1] if step + 1 < len(plan.weights) else 100.0


def verdict(plan: Canary, evidence: Evidence, *, step: int, waited_seconds: float = 0.0) -> Verdict:
    """Judge a rollout; the same evidence gives the same verdict, and it may be asked as often as one likes.

    Args:
        plan: what matters to the project.
        evidence: counts of everything since the rollout began.
        step: index of the weight that runs; -1 while the candidate is only a shadow.
        waited_seconds: how long this step has run.
    """
    share = next_weight(plan, step) / 100.0
    logs = log_e_values(plan, evidence)
    signals = (
        *(_rate(plan, evidence, name, share, logs[name]) for name in RATES),
        _quality(plan, evidence, share, logs["quality"]),
    )
    total = bounded_exp(log_e_total(logs))
    harms = [each for each in signals if each.says == "worse"]
    if harms and total >= 1.0 / plan.alpha:
        reason = "; ".join(each.reason for each in harms)
        return Verdict(decision="fall_back", e_value=total, signals=signals, reason=reason)
    wait = _waits(plan, evidence, step, signals)
    if not wait:
        reason = f"takes {next_weight(plan, step):g} %: {'; '.join(each.reason for each in signals)}"
        return Verdict(decision="promote", e_value=total, signals=signals, reason=reason)
    if plan.patience_seconds and waited_seconds >= plan.patience_seconds:
        reason = f"no verdict within {plan.patience_seconds:g} s: {wait}"
        return Verdict(decision="fall_back", e_value=total, signals=signals, reason=reason)
    return Verdict(decision="keep_watching", e_value=total, signals=signals, reason=wait)


def _waits(plan: Canary, evidence: Evidence, step: int, signals: Sequence[Signal]) -> str:
    """Return what a rise still waits for; an empty text when nothing."""
    rows, wanted = evidence.answered(step), max(plan.rows_min, 1)
    if rows < wanted:
        return f"{rows} of {wanted} answered rows at this step"
    open_ = [each for each in signals if each.says in ("unsure", "worse")]
    # The first weight may be taken and kept without labels; what lies beyond it may not, where labels are wanted.
    if plan.wait_labels and step >= 0:
        open_ += [each for each in signals if each.says == "waiting"]
    return "; ".join(each.reason for each in open_)


def log_e_values(plan: Canary, evidence: Evidence) -> dict[str, float]:
    """Return the log e-value of each signal against "the candidate is no worse", without the costlier bounds."""
    return {
        **{name: _log_e_rate(plan, evidence, name) for name in RATES},
        "quality": _log_e_quality(plan, *_losses(plan, evidence)),
    }


def log_e_total(log_values: Mapping[str, float]) -> float:
    """Return the logarithm of the signals' weighted mean, which is an e-value again."""
    return log_sum(math.log(WEIGHTS[name]) + value for name, value in log_values.items())


def _log_e_rate(plan: Canary, evidence: Evidence, name: str) -> float:
    """Return the log e-value of one kind of event, in the arms and in the pairs together."""
    canary, champion = evidence.total(name, "canary"), evidence.total(name, "champion")
    if not canary[0]:
        return 0.0
    if name != "latency" and _share_of(canary) - _share_of(champion) < plan.error_increase:
        return 0.0  # real perhaps, but smaller than what matters
    splits = [
        Split(canary=each.canary.units(name), champion=each.champion.units(name), share=each.share)
        for each in evidence.strata
    ]
    if evidence.pairs is not None:
        pairs = evidence.pairs
        splits.append(Split(canary=pairs.canary.units(name), champion=pairs.champion.units(name), share=0.5))
    log_e = log_e_share(splits)
    if name == "latency":
        # A slower candidate is alright while its own quantile stays below the limit: both have to be excluded.
        log_e = min(log_e, log_e_rate_above(canary[0], canary[1], 1.0 - plan.latency_quantile))
    return log_e


def _rate(plan: Canary, evidence: Evidence, name: str, share: float, log_e: float) -> Signal:
    """Say what one kind of event means, with the bounds of its increase."""
    canary, champion = evidence.total(name, "canary"), evidence.total(name, "champion")
    allowed = 1.0 - plan.latency_quantile if name == "latency" else plan.error_increase / share
    alpha = plan.alpha * UPPER_SHARE
    high = upper_rate(canary[0], canary[1], alpha) - lower_rate(champion[0], champion[1], plan.alpha - alpha)
    low = lower_rate(canary[0], canary[1], plan.alpha / 2) - upper_rate(champion[0], champion[1], plan.alpha / 2)
    reason = (
        f"{_share_of(canary):.2%} of {canary[1]} {RATES[name]} against {_share_of(champion):.2%} of {champion[1]}"
        f" (increase at most {high:.2%}, allowed {min(allowed, 1.0):.2%})"
    )
    return Signal(
        name=name,
        e_value=bounded_exp(log_e),
        reading=_share_of(canary) - _share_of(champion),
        low=low,
        high=high,
        allowed=allowed,
        says=_say(plan, name, log_e, high <= allowed),
        reason=reason,
    )


def _log_e_quality(plan: Canary, drift: Drift, canary: int, champion: int) -> float:
    """Return the log e-value of the losses; 0 before there are enough labels, or when they matter too little."""
    if min(canary, champion) < _labels_wanted(plan) or drift.estimate < plan.loss_increase:
        return 0.0
    return log_e_mean_above(drift, SCALE * plan.loss_increase)


def _quality(plan: Canary, evidence: Evidence, share: float, log_e: float) -> Signal:
    """Say what the losses of labelled units mean, with the bounds of their increase."""
    drift, canary, champion = _losses(plan, evidence)
    allowed, scale, few = plan.loss_increase / share, SCALE * plan.loss_increase, min(canary, champion)
    waiting = few < _labels_wanted(plan) or drift.information == 0.0
    low, high = -E_MAX, E_MAX
    reason = f"{few} of {_labels_wanted(plan)} labelled in the smaller arm"
    if not waiting:
        low, high = lower_mean(drift, scale, plan.alpha), upper_mean(drift, scale, plan.alpha)
        reason = (
            f"loss {drift.estimate:+.4f} on {canary} labelled against {champion}"
            f" (increase at most {high:.4f}, allowed {allowed:.4f})"
        )
    return Signal(
        name="quality",
        e_value=bounded_exp(log_e),
        reading=drift.estimate,
        low=low,
        high=high,
        allowed=allowed,
        says="waiting" if waiting else _say(plan, "quality", log_e, high <= allowed),
        reason=reason,
    )


def _labels_wanted(plan: Canary) -> int:
    return max(plan.labels_min, UNITS_MIN)


def _losses(plan: Canary, evidence: Evidence) -> tuple[Drift, int, int]:
    """Return the pooled difference of losses, and how many labelled units the candidate and the champion have."""
    floor = plan.loss_increase / 1000.0
    drift, canary, champion = Drift(), 0, 0
    for each in evidence.strata:
        canary += each.canary.labelled
        champion += each.champion.labelled
        if min(each.canary.labelled, each.champion.labelled) >= UNITS_MIN:
            drift += difference(canary=_sums(each.canary), champion=_sums(each.champion), floor=floor)
    pairs = evidence.pairs
    if pairs is not None:
        canary += pairs.labelled
        champion += pairs.labelled
        if pairs.labelled >= UNITS_MIN:
            drift += mean(pairs.labelled, pairs.difference_sum, pairs.difference_square_sum, floor)
    return drift, canary, champion


def _sums(arm: Arm) -> tuple[int, float, float]:
    return arm.labelled, arm.loss_sum, arm.loss_square_sum


def _say(plan: Canary, name: str, log_e: float, fine: bool) -> Literal["worse", "fine", "unsure"]:
    # A quarter of what it would need alone: when the four together tip the scale, at least one of them has that much.
    if log_e >= math.log(0.25 / (plan.alpha * WEIGHTS[name])):
        return "worse"
    return "fine" if fine else "unsure"


def _share_of(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0
