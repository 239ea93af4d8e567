"""The canary's judge: from counts alone to promote, fall back or keep watching, valid at every look.

Each signal has an e-value against "the candidate is no worse". Their weighted mean is again an e-value, whatever their
dependence (Vovk, Wang, "E-values: calibration, combination and applications", Annals of Statistics 2021), so that
falling back when it reaches `1 / alpha` errs, over all signals and all looks, with probability `alpha` at most.

Rising is bounded harm: a candidate takes the next weight when `next weight x the increase that the rows cannot yet
exclude` is below the increase that matters. The first steps therefore ask for little, full traffic asks for proof that
the candidate is not inferior. No rows or no labels exclude nothing, so that no data never is a pass. A budget of users
bounds the product of increase and rows besides (as in Xu, Duan, Huang, "SQR: balancing speed, quality and risk in
online experiments", KDD 2018): no rise that could spend more than is left, and no stay once it is spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ropewalk.releases.sequential import bounded_exp, upper_rate
from ropewalk.releases.signals import (
    BUDGET_SHARE,
    Signal,
    alpha_of,
    log_e_harmed,
    log_e_total,
    share_of,
    signals_of,
)
from ropewalk.releases.tally import Evidence
from ropewalk.settings import Canary

Decision = Literal["promote", "fall_back", "keep_watching"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement at one look.

    Attributes:
        decision: what to do now.
        e_value: the signals' weighted mean; the candidate falls back at `1 / alpha`.
        signals: what each kind of harm says.
        reason: a sentence for people.
        harmed: users who got a failed or invalid answer beyond what the champion's rate explains.
    """

    decision: Decision
    e_value: float
    signals: tuple[Signal, ...]
    reason: str
    harmed: float = 0.0


def next_weight(plan: Canary, step: int) -> float:
    """Return the percent of traffic that a rise from this step leads to; step -1 is the shadow before the first."""
    return plan.weights[step + 1] if step + 1 < len(plan.weights) else 100.0


def bake_seconds(plan: Canary, step: int) -> float:
    """Return how long a step lasts at least; a shadow, step -1, is held by its rows alone."""
    if step < 0 or not plan.bake_seconds:
        return 0.0
    return plan.bake_seconds[min(step, len(plan.bake_seconds) - 1)]


def verdict(plan: Canary, evidence: Evidence, *, step: int, waited_seconds: float = 0.0) -> Verdict:
    """Judge a rollout; the same evidence gives the same verdict, and it may be asked as often as one likes.

    Args:
        plan: what matters to the project.
        evidence: counts of everything since the rollout began.
        step: index of the weight that runs; -1 while the candidate is only a shadow.
        waited_seconds: how long this step has run.
    """
    signals = signals_of(plan, evidence, next_weight(plan, step) / 100.0)
    total = bounded_exp(log_e_total(plan, {each.name: each.log_e for each in signals}))
    harmed = evidence.harmed()

    def judged(decision: Decision, reason: str) -> Verdict:
        return Verdict(decision=decision, e_value=total, signals=signals, reason=reason, harmed=harmed)

    worse = [each for each in signals if each.says == "worse"]
    if worse and total >= 1.0 / alpha_of(plan):
        return judged("fall_back", "; ".join(each.reason for each in worse))
    if is_spent(plan, evidence):
        return judged("fall_back", f"{harmed:.0f} users were harmed, {plan.harmed_max} may be")
    wait = _waits(plan, evidence, step, signals, waited_seconds)
    if not wait:
        return judged("promote", f"takes {next_weight(plan, step):g} %: {'; '.join(each.reason for each in signals)}")
    if plan.patience_seconds and waited_seconds >= plan.patience_seconds:
        return judged("fall_back", f"no verdict within {plan.patience_seconds:g} s: {wait}")
    return judged("keep_watching", wait)


def is_spent(plan: Canary, evidence: Evidence) -> bool:
    """Say whether the budget of users is spent, and not by chance: harm of any size is proven at its part of alpha."""
    if not plan.harmed_max or evidence.harmed() < plan.harmed_max:
        return False
    return log_e_harmed(evidence) >= -math.log(BUDGET_SHARE * plan.alpha)


def _waits(plan: Canary, evidence: Evidence, step: int, signals: Sequence[Signal], waited_seconds: float) -> str:
    """Return what a rise still waits for; an empty text when nothing."""
    rows, least = evidence.answered(step), max(plan.rows_min, 1)
    if rows < least:
        return f"{rows} of {least} answered rows at this step"
    open_ = [each for each in signals if each.says in ("unsure", "worse")]
    # The first weight may be taken and kept without labels; what lies beyond it may not, where labels are wanted.
    if step >= 0:
        open_ += [each for each in signals if each.says == "waiting" and _is_wanted(plan, each.name)]
    words = [each.reason for each in open_]
    bake = bake_seconds(plan, step)
    if waited_seconds < bake:
        words.append(f"this weight bakes for {bake:g} s")
    return "; ".join([*words, *_over_budget(plan, evidence)])


def _is_wanted(plan: Canary, name: str) -> bool:
    return plan.wait_labels if name == "quality" else name == "metric"


def _over_budget(plan: Canary, evidence: Evidence) -> list[str]:
    """Return why the next step might spend more of the budget than is left; nothing when it cannot."""
    if not plan.harmed_max:
        return []
    # What the rows of the next step, at least, could harm at the highest rate that these rows do not exclude.
    most = sum(
        max(upper_rate(*evidence.total(name, "canary"), plan.alpha / 2) - share_of(evidence.total(name, "champion")), 0)
        for name in ("errors", "invalid")
    )
    left = plan.harmed_max - max(evidence.harmed(), 0.0)
    could = most * max(plan.rows_min, 1)
    return [f"the next step could harm {could:.0f} users, {left:.0f} are left of the budget"] if could > left else []
