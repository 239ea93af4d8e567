"""What a canary will see, said before it begins: rows until it rises, rows until harm is found, users who are hurt.

The judge itself is asked, with the counts that are expected: rows are those at which the expected evidence is enough,
so that about half of the rollouts need fewer. Nothing here decides anything; the chance of a false fall is `alpha`
whatever the baseline was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec

from ropewalk.errors import Refused
from ropewalk.releases.signals import (
    WEIGHTS,
    alpha_of,
    log_e_total,
    log_e_values,
    matters,
    wanted,
    weights_of,
)
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.releases.verdict import bake_seconds, verdict
from ropewalk.settings import Canary

ROWS_MAX = 100_000_000
SCHEMA = 1
# How many times the increase that matters is looked for, and what a candidate loses that fails always.
SIZES = (1.5, 3.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the champion did before the rollout; all of it is fixed when the rollout begins.

    Attributes:
        rows: its newest rows that were looked at; 0 when it has answered nobody yet.
        per_second: rows a second.
        errors: share of rows that failed.
        invalid: share of rows whose output broke the contract.
        slow_from_us: rows above this are slow, microseconds; None when nothing is known.
        slow: share of slow rows.
        labelled: share of rows with a label.
        loss_deviation: standard deviation of their loss.
        reported: share of rows of which a client reported the metric.
        metric_deviation: standard deviation of it.
        edges: cuts between the bins of outputs.
        outputs: share of the outputs in each bin, one more than cuts; empty when nothing is known.
    """

    rows: int = 0
    per_second: float = 0.0
    errors: float = 0.0
    invalid: float = 0.0
    slow_from_us: float | None = None
    slow: float = 0.0
    labelled: float = 0.0
    loss_deviation: float = 0.0
    reported: float = 0.0
    metric_deviation: float = 0.0
    edges: tuple[float, ...] = ()
    outputs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A weight of the plan.

    Attributes:
        weight: percent of traffic; 0 for the shadow.
        rows: the candidate's rows that it needs here to rise, if it is as good as the champion; None: no rows suffice.
        rows_all: rows of both in that time.
        seconds: how long that takes at the champion's rate, at least the baking time; None when no rate is known.
    """

    weight: float
    rows: int | None
    rows_all: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Harm that is found.

    Attributes:
        signal: a key of `signals.WEIGHTS`.
        increase: how much worse the candidate is: share of rows, or the unit of the mean.
        rows: the candidate's rows at the first weight until it falls back; None: too small ever to be found.
        harmed: users harmed by then beyond what the champion would have; 0 in a shadow.
    """

    signal: str
    increase: float
    rows: int | None
    harmed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A canary's plan with what is to be expected of it.

    Attributes:
        alpha: chance that a candidate that is no worse falls back, over all signals and all looks.
        weights: how alpha is shared out.
        smallest: smallest increase of the rate of errors that is found by the rows a good candidate takes to the top;
            None when a good one never gets there.
        steps: what each weight needs.
        finds: what harm is found when.
        harmed_max: the budget of users, 0 for none.
        baseline: what it was computed from.
    """

    alpha: float
    weights: Mapping[str, float]
    smallest: float | None
    steps: tuple[Step, ...]
    finds: tuple[Found, ...]
    harmed_max: int
    baseline: Baseline

    def record(self, release: str, champion: str) -> dict[str, Any]:
        """Return it as JSON-able facts, for the rollout's record."""
        return {"schema": SCHEMA, "release": release, "champion": champion, **asdict(self)}


def recorded(record: bytes) -> Design:
    """Return a design from the bytes of its record."""
    return msgspec.json.decode(record, type=Design)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How a candidate behaves: shares of rows, and how much more it loses."""

    errors: float
    invalid: float
    latency: float
    quality: float = 0.0
    metric: float = 0.0


def check(plan: Canary) -> None:
    """Pass only a plan whose canary can be judged.

    Raises:
        Refused: it would rise without data, without steps, or with weights that do not rise.
    """
    weights = plan.weights
    rising = all(low < high for low, high in pairwise(weights))
    wrong = (
        "it has no weights"
        if not weights
        else "its weights must rise and stay between 0 and 100"
        if not rising or weights[0] <= 0 or weights[-1] >= 100  # noqa: PLR2004 - percent
        else "rows_min is 0: it would rise without data"
        if plan.rows_min < 1
        else f"bake_seconds has {len(plan.bake_seconds)} times for {len(weights)} weights"
        if len(plan.bake_seconds) not in (0, 1, len(weights))
        else "it falls back for want of patience before a weight has baked"
        if plan.patience_seconds and max(plan.bake_seconds, default=0.0) >= plan.patience_seconds
        else ""
    )
    if wrong:
        raise Refused(
            "canary-without-gate",
            "A canary that nothing judges is refused.",
            where="ropewalk.toml [canary]",
            why=wrong,
            fix="edit [canary] in ropewalk.toml",
        )


def design(plan: Canary, baseline: Baseline) -> Design:
    """Return what to expect of a plan beside such a champion."""
    good = Rates(errors=baseline.errors, invalid=baseline.invalid, latency=baseline.slow)
    # Nobody can say when numbers come that have never come; `lines` says that they are waited for.
    known = _countable(plan, baseline)
    done: tuple[Stratum, ...] = ()
    steps: list[Step] = []
    for step, weight in enumerate(plan.weights):
        share, before = weight / 100.0, done

        def rises(rows: int, step: int = step, share: float = share, before: tuple[Stratum, ...] = before) -> bool:
            evidence = Evidence(strata=(*before, _stratum(baseline, good, rows, share)))
            return verdict(known, evidence, step=step, waited_seconds=math.inf).decision == "promote"

        rows = _fewest(rises)
        steps.append(_step(plan, baseline, step, rows))
        if rows is None:
            steps += [_step(plan, baseline, later, None) for later in range(step + 1, len(plan.weights))]
            break
        done = (*done, _stratum(baseline, good, rows, share))
    return Design(
        alpha=plan.alpha,
        weights=weights_of(plan),
        smallest=_smallest(plan, baseline, good, done) if len(done) == len(plan.weights) else None,
        steps=tuple(steps),
        finds=tuple(_finds(plan, baseline, good)),
        harmed_max=plan.harmed_max,
        baseline=baseline,
    )


def _countable(plan: Canary, baseline: Baseline) -> Canary:
    """Return the plan without waiting for labels or reports of which the champion has none."""
    return msgspec.structs.replace(
        plan,
        wait_labels=plan.wait_labels and baseline.labelled > 0,
        metric=plan.metric if baseline.reported else "",
    )


def _step(plan: Canary, baseline: Baseline, step: int, rows: int | None) -> Step:
    share = plan.weights[step] / 100.0
    whole = None if rows is None else round(rows / share)
    seconds = max(whole / baseline.per_second, bake_seconds(plan, step)) if whole and baseline.per_second else None
    return Step(weight=plan.weights[step], rows=rows, rows_all=whole, seconds=seconds)


def _finds(plan: Canary, baseline: Baseline, good: Rates) -> list[Found]:
    """Return when harm of each kind is found: some multiples of what matters, and a candidate that only fails."""
    found: list[Found] = []
    for name in ("errors", "invalid", "latency", "quality", "metric"):
        unseen = (name == "quality" and not baseline.labelled) or (name == "metric" and not baseline.reported)
        if unseen or name not in weights_of(plan):
            continue
        for size in SIZES:
            # Slowness beyond the quantile's own share is what matters there.
            step = (1.0 - plan.latency_quantile) if name == "latency" else plan.error_increase
            increase = (matters(plan, name) if name in ("quality", "metric") else step) * size
            if name in ("quality", "metric") or getattr(good, name) + increase < 1.0:
                found.append(_found(plan, baseline, good, name, increase))
    found.append(_found(plan, baseline, good, "errors", 1.0 - good.errors))
    return found


def _found(plan: Canary, baseline: Baseline, good: Rates, name: str, increase: float) -> Found:
    bad = replace(good, **{name: getattr(good, name) + increase})

    def falls(rows: int) -> bool:
        if plan.shadow:
            evidence = Evidence(pairs=_pairs(baseline, good, bad, rows))
        else:
            evidence = Evidence(strata=(_stratum(baseline, bad, rows, plan.weights[0] / 100.0),))
        return _is_out(plan, evidence)

    rows = _fewest(falls)
    hurts = name in ("errors", "invalid") and not plan.shadow
    return Found(signal=name, increase=increase, rows=rows, harmed=math.ceil((rows or 0) * increase) if hurts else 0)


def _smallest(plan: Canary, baseline: Baseline, good: Rates, done: tuple[Stratum, ...]) -> float | None:
    """Return the smallest increase of errors that all the rows of a good candidate's way up would show."""
    low, high = 0.0, 1.0 - good.errors
    for _ in range(30):
        middle = (low + high) / 2.0
        bad = replace(good, errors=good.errors + middle)
        strata = tuple(_stratum(baseline, bad, each.canary.rows, each.share) for each in done)
        if _is_out(plan, Evidence(strata=strata)):
            high = middle
        else:
            low = middle
    return high


def _is_out(plan: Canary, evidence: Evidence) -> bool:
    return log_e_total(plan, log_e_values(plan, evidence)) >= -math.log(alpha_of(plan))


def _stratum(baseline: Baseline, canary: Rates, rows: int, share: float) -> Stratum:
    """Return what both arms show after so many rows of the candidate, on the average."""
    usual = Rates(errors=baseline.errors, invalid=baseline.invalid, latency=baseline.slow)
    return Stratum(
        share=share,
        champion=_arm(baseline, usual, round(rows * (1.0 - share) / share)),
        canary=_arm(baseline, canary, rows),
    )


def _arm(baseline: Baseline, rates: Rates, rows: int) -> Arm:
    errors, invalid, slow = (round(rows * rate) for rate in (rates.errors, rates.invalid, rates.latency))
    labelled, reported = round(rows * baseline.labelled), round(rows * baseline.reported)
    return Arm(
        rows=rows,
        errors=errors,
        error_units=errors,
        invalid=invalid,
        invalid_units=invalid,
        slow=slow,
        slow_units=slow,
        labelled=labelled,
        loss_sum=labelled * rates.quality,
        loss_square_sum=labelled * (rates.quality**2 + baseline.loss_deviation**2),
        reported=reported,
        harm_sum=reported * rates.metric,
        harm_square_sum=reported * (rates.metric**2 + baseline.metric_deviation**2),
    )


def _pairs(baseline: Baseline, good: Rates, bad: Rates, rows: int) -> Pairs:
    """Return pairs whose events are independent, the hardest case; losses differ by no more than the champion's own."""
    usual, other = _arm(baseline, good, rows), _arm(baseline, bad, rows)
    labelled = round(rows * baseline.labelled)
    return Pairs(
        champion=usual,
        canary=other,
        labelled=labelled,
        difference_sum=labelled * bad.quality,
        difference_square_sum=labelled * (bad.quality**2 + baseline.loss_deviation**2),
    )


def _fewest(holds: Callable[[int], bool]) -> int | None:
    """Return the fewest rows for which it holds, to one part in fifty; None when no rows do."""
    high = 1
    while not holds(high):
        high *= 2
        if high > ROWS_MAX:
            return None
    low = high // 2
    while high - low > max(high // 50, 1):
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def lines(made: Design, plan: Canary) -> list[str]:
    """Return the design in a few lines for people."""
    known = made.baseline.rows
    many = len(made.weights)
    out = [
        f"falls back without harm in at most {made.alpha:.2%} of rollouts, over {many} signals and every look"
        + (f"; computed from {known} rows of the champion" if known else "; the champion has answered nobody yet")
    ]
    for step in made.steps:
        rows = "no rows suffice" if step.rows is None else f"{step.rows} of its rows, {step.rows_all} of all"
        time = "" if step.seconds is None else f", {_time(step.seconds)} at this traffic"
        out.append(f"{step.weight:g} %: {rows}, to rise when it is no worse{time}")
    for name in WEIGHTS:
        told = [_told(each) for each in made.finds if each.signal == name]
        if told:
            out.append(f"{name}: falls back at {', '.join(told)}")
    for name, there in (("quality", made.baseline.labelled), ("metric", made.baseline.reported)):
        if name in made.weights and not there:
            what = "labels" if name == "quality" else f"reports of {plan.metric}"
            waits = name == "metric" or plan.wait_labels
            out.append(
                f"{name}: no {what} yet; "
                + (
                    f"it waits for {wanted(plan, name)} beyond the first weight"
                    if waits
                    else "it does not wait for them"
                )
            )
    if made.smallest is not None:
        out.append(f"smallest increase of errors that the whole way up shows: {made.smallest:.2%}")
    if made.harmed_max:
        out.append(f"{made.harmed_max} users may be harmed")
    return out


def _told(found: Found) -> str:
    size = f"{found.increase:+.2%}" if found.signal in ("errors", "invalid", "latency") else f"{found.increase:+g}"
    harmed = f", {found.harmed} harmed" if found.harmed else ""
    return f"{size} after " + ("no number of rows" if found.rows is None else f"{found.rows} rows{harmed}")


def _time(seconds: float) -> str:
    for name, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
