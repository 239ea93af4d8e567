"""Prints what the canary's judge costs and catches: false fall-backs with peeking, and minutes until a bad one is out.

Run: `.venv/bin/python bench/canary.py [RUNS] [--quick]`. The world of performance.md: 60 looks, 450 champion and
50 candidate requests a minute, alpha 0.05; the peer is the plain two-proportion e-process, which looks at errors alone.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from timeit import timeit

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from releases.simulated_canary import World, falls, looks, plain_falls
from ropewalk.releases.signals import log_e_values
from ropewalk.releases.tally import Arm, Evidence, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary


def until_live(plan: Canary, errors: float, better: float | None) -> tuple[int, int]:
    """Return the candidate's rows and all rows that a rollout takes, in looks of 100 rows of the candidate."""
    dice = np.random.default_rng(7)
    done: tuple[Stratum, ...] = ()
    for step, weight in enumerate(plan.weights):
        share, arms = weight / 100.0, [Arm(), Arm()]
        while True:
            for side, rows in enumerate((round(100 * (1 - share) / share), 100)):
                failed = int(dice.binomial(rows, errors))
                lost = dice.normal(0.15 - side * (better or 0.0), 0.2, 0 if better is None else rows)
                before = arms[side]
                arms[side] = Arm(
                    rows=before.rows + rows,
                    errors=before.errors + failed,
                    error_units=before.error_units + failed,
                    labelled=before.labelled + len(lost),
                    loss_sum=before.loss_sum + float(lost.sum()),
                    loss_square_sum=before.loss_square_sum + float((lost**2).sum()),
                )
            here = Stratum(share=share, champion=arms[0], canary=arms[1])
            if verdict(plan, Evidence(strata=(*done, here)), step=step).decision != "keep_watching":
                break
        done = (*done, here)
    return sum(each.canary.rows for each in done), sum(each.canary.rows + each.champion.rows for each in done)


def main(runs: int) -> None:
    plan = Canary(wait_labels=False)
    print(f"{runs} rollouts each; share that fell back, median minute")
    print(f"{'world':28}{'split 450 + 50':>20}{'shadow 500 pairs':>20}{'plain e-process':>20}")
    for first, second in ((0.01, 0.01), (0.03, 0.03), (0.01, 0.02), (0.01, 0.03), (0.01, 0.10)):
        world = World(errors=(first, second))
        cells = (
            falls(plan, world, runs, 1),
            falls(plan, replace(world, shadow=True), max(runs // 4, 1), 2),
            plain_falls(plan.alpha, world, runs, 3),
        )
        print(f"{f'errors {first:.0%} -> {second:.0%}':28}" + "".join(f"{s:>13.1%}{at:>7.0f}" for s, at in cells))
    for loss in (0.16, 0.18, 0.20):
        world = World(loss=(0.15, loss))
        cells = falls(plan, world, runs, 4), falls(plan, replace(world, shadow=True), max(runs // 4, 1), 5)
        print(f"{f'loss 0.15 -> {loss:.2f}':28}" + "".join(f"{s:>13.1%}{at:>7.0f}" for s, at in cells))
    print("\nrows of candidate and of all until full traffic, for a candidate that is no worse")
    for base in (0.0, 0.001, 0.01):
        print(f"{f'errors {base:.1%}, no labels':34}" + "{:>9} of {:>9}".format(*until_live(plan, base, None)))
    for better in (0.0, 0.005, 0.01):
        for increase in (0.005, 0.01, 0.02):
            asked = Canary(loss_increase=increase)
            cells = until_live(asked, 0.0, better)
            print(f"{f'loss -{better:.3f}, matters {increase:.3f}':34}" + "{:>9} of {:>9}".format(*cells))
    last = list(looks(World(shares=(0.05, 0.25, 0.5)), np.random.default_rng(6)))[-1]
    print(
        f"a look costs {timeit(lambda: log_e_values(plan, last), number=2000) / 2000 * 1e6:.0f} us for the e-values, "
    )
    print(f"{timeit(lambda: verdict(plan, last, step=2), number=200) / 200 * 1e3:.2f} ms with all bounds")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(20 if "--quick" in sys.argv else numbers[0] if numbers else 1000)
