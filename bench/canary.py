"""The canary study: good canaries that fall with a look at every request, bad ones that are found, and when.

Run: `.venv/bin/python bench/run.py canary`; with `--quick` a tenth of a per cent of it.

The world of performance.md: an hour of 450 champion and 50 candidate requests a minute, alpha 0.05. Peers: fixed
thresholds (Flagger's, Argo Rollouts'), alarms on an error rate (as SageMaker's guardrails watch), and the plain
two-proportion e-process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from releases.peeked_canary import (
    Traffic,
    alarm_at,
    found_at,
    good,
    paired_at,
    plain_at,
    share_and_median,
    threshold_at,
)
from ropewalk.releases.design import Baseline, design, lines
from ropewalk.settings import Canary

PLAN = Canary(metric="revenue")
CHUNK = 50
BAD = ((0.01, 0.02), (0.01, 0.03), (0.01, 0.05), (0.01, 0.10))


def good_canaries(runs: int) -> None:
    """Print how many good canaries fall at any request."""
    print(f"\n{runs:,} good canaries of 30,000 requests, looked at after every request; alpha {PLAN.alpha:g}\n")
    print("| errors of both | fell, all signals | errors alone, with all of alpha |\n|---|---|---|")
    for base in (0.01, 0.03):
        dice = np.random.default_rng(round(base * 1000))
        parts = [good(PLAN, Traffic(errors=(base, base)), CHUNK, dice) for _ in range(runs // CHUNK)]
        errors, every = (np.concatenate(values) for values in zip(*parts, strict=True))
        limit = -np.log(PLAN.alpha)
        print(f"| {base:.0%} | {(every >= limit).mean():.2%} | {(errors >= limit).mean():.2%} |", flush=True)


def table(runs: int) -> None:
    """Print the share that falls in an hour and the median minute, by rule."""
    worlds = ((0.01, 0.01), (0.03, 0.03), *BAD)
    rules = {
        "Flagger's threshold, success >= 99 %, 5 checks": lambda world, dice: threshold_at(world, runs, 0.99, 4, dice),
        "Argo style, success >= 95 %, failureLimit 3": lambda world, dice: threshold_at(world, runs, 0.95, 3, dice),
        "alarm, errors > 5 % in 1 of 1 minutes": lambda world, dice: alarm_at(world, runs, 0.05, 1, dice),
        "alarm, errors > 5 % in 3 of 3 minutes": lambda world, dice: alarm_at(world, runs, 0.05, 3, dice),
        "alarm, errors > 1 % in 3 of 3 minutes": lambda world, dice: alarm_at(world, runs, 0.01, 3, dice),
        "plain two-proportion e-process": lambda world, dice: plain_at(PLAN.alpha, world, runs, dice),
        "Ropewalk, split 450 + 50": lambda world, dice: found_at(PLAN, world, runs, dice)[0] / world.rows,
        "Ropewalk, shadow of 500": lambda world, dice: paired_at(PLAN, world, runs, dice) / world.rows,
    }
    heads = " | ".join(f"{a:.0%} -> {b:.0%}" for a, b in worlds)
    print(f"\n{runs:,} canaries each: share that fell within the hour (median minute)\n")
    print(f"| rule | {heads} |\n|---|{'---|' * len(worlds)}")
    for name, rule in rules.items():
        cells: list[str] = []
        for number, errors in enumerate(worlds):
            share, minute = share_and_median(rule(Traffic(errors=errors), np.random.default_rng(100 + number)))
            cells.append(f"{share:.1%}" + (f" ({minute:.1f})" if share else ""))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def curves(runs: int) -> None:
    """Print how many are found by when, and whom that harms."""
    marks = (1, 2, 5, 10, 20, 40, 60)
    print(f"\nDetection curves, split 450 + 50: share found by minute; {runs:,} canaries each\n")
    print(f"| errors | {' | '.join(map(str, marks))} | failed answers until then, median | 99 of 100 below |")
    print(f"|---|{'---|' * (len(marks) + 2)}")
    for number, errors in enumerate(BAD):
        world = Traffic(errors=errors)
        when, harmed = found_at(PLAN, world, runs, np.random.default_rng(200 + number))
        cells = [f"{((when > 0) & (when <= mark * world.rows)).mean():.1%}" for mark in marks]
        low, high = np.quantile(harmed, [0.5, 0.99])
        print(f"| {errors[0]:.0%} -> {errors[1]:.0%} | {' | '.join(cells)} | {low:.0f} | {high:.0f} |", flush=True)


def said_before() -> None:
    """Print what the design says before such a rollout begins."""
    plan = Canary(weights=(10.0, 25.0, 50.0), harmed_max=200)
    baseline = Baseline(rows=20_000, per_second=500 / 60, errors=0.01, slow=0.001, labelled=0.5, loss_deviation=0.2)
    print("\nWhat is said before it begins, at 1 % errors and 500 requests a minute:\n\n```")
    print("\n".join(lines(design(plan, baseline), plan)))
    print("```")


def main(runs: int) -> None:
    """Run the study."""
    begun = time.process_time()
    good_canaries(max(runs, CHUNK))
    table(runs)
    curves(runs)
    said_before()
    print(f"\n{time.process_time() - begun:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(50 if "--quick" in sys.argv else numbers[0] if numbers else 10_000)
