"""The canary study: good canaries that fall with a look at every request, bad ones that are found, and when.

Run: `nice -n 10 .venv/bin/python bench/run.py canary` writes the figures into docs/canary-study.md and draws its plots;
with `--quick` half a per cent of it, and nothing is written.

The world of performance.md: an hour of 450 champion and 50 candidate requests a minute, alpha 0.05. Peers: fixed
thresholds (Flagger's, Argo Rollouts'), alarms on an error rate (as SageMaker's guardrails watch), and the plain
two-proportion e-process.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from releases.drawn_curves import Curve, Panel, draw
from releases.peeked_canary import (
    MINUTES,
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
PART = 500
GOOD = ((0.01, 0.01), (0.03, 0.03))
BAD = ((0.01, 0.02), (0.01, 0.03), (0.01, 0.05), (0.01, 0.10))
DOCS = Path(__file__).resolve().parent.parent / "docs"
STUDY = DOCS / "canary-study.md"
Rule = Callable[[Traffic, int, np.random.Generator], np.ndarray]
OURS, PAIRED = "Ropewalk, split 450 + 50", "Ropewalk, shadow of 500"
RULES: dict[str, Rule] = {
    "Flagger's threshold, success >= 99 %, 5 checks": lambda world, runs, dice: threshold_at(
        world, runs, 0.99, 4, dice
    ),
    "Argo style, success >= 95 %, failureLimit 3": lambda world, runs, dice: threshold_at(world, runs, 0.95, 3, dice),
    "alarm, errors > 5 % in 1 of 1 minutes": lambda world, runs, dice: alarm_at(world, runs, 0.05, 1, dice),
    "alarm, errors > 5 % in 3 of 3 minutes": lambda world, runs, dice: alarm_at(world, runs, 0.05, 3, dice),
    "alarm, errors > 1 % in 3 of 3 minutes": lambda world, runs, dice: alarm_at(world, runs, 0.01, 3, dice),
    "plain two-proportion e-process": lambda world, runs, dice: plain_at(PLAN.alpha, world, runs, dice),
    OURS: lambda world, runs, dice: found_at(PLAN, world, runs, dice)[0] / world.rows,
    PAIRED: lambda world, runs, dice: paired_at(PLAN, world, runs, dice) / world.rows,
}
Played = dict[tuple[str, tuple[float, float]], np.ndarray]


def tell(errors: tuple[float, float]) -> str:
    """Return the error rates of champion and candidate as text."""
    return f"{errors[0]:.0%} -> {errors[1]:.0%}"


def good_canaries(runs: int) -> tuple[str, dict[float, np.ndarray]]:
    """Return the table of good canaries that fall at any request, and the minute of each one's fall (0: never)."""
    out = ["| errors of both | canaries | fell, all signals | errors alone, with all of alpha |", "|---|---|---|---|"]
    when: dict[float, np.ndarray] = {}
    for base in (0.01, 0.03):
        dice = np.random.default_rng(round(base * 1000))
        parts = [good(PLAN, Traffic(errors=(base, base)), CHUNK, dice) for _ in range(runs // CHUNK)]
        errors, every, fell = (np.concatenate(values) for values in zip(*parts, strict=True))
        limit = -np.log(PLAN.alpha)
        out.append(f"| {base:.0%} | {runs:,} | {(every >= limit).mean():.2%} | {(errors >= limit).mean():.2%} |")
        when[base] = fell / Traffic().rows
    return "\n".join(out), when


def play(rule: str, errors: tuple[float, float], runs: int) -> np.ndarray:
    """Return the minute at which a rule lets each of so many canaries fall; 0: never."""
    dice = np.random.default_rng(100 + (*GOOD, *BAD).index(errors))
    parts = [RULES[rule](Traffic(errors=errors), min(PART, runs - at), dice) for at in range(0, runs, PART)]
    return np.concatenate(parts)


def table(played: Played) -> str:
    """Return the share that falls in an hour and the median minute, by rule."""
    worlds = (*GOOD, *BAD)
    out = [f"| rule | {' | '.join(map(tell, worlds))} |", f"|---|{'---|' * len(worlds)}"]
    for name in RULES:
        cells = [share_and_median(played[name, errors]) for errors in worlds]
        shown = [f"{share:.1%}" + (f" ({minute:.1f})" if share else "") for share, minute in cells]
        out.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(out)


def curves(runs: int) -> str:
    """Return how many are found by when, and whom that harms."""
    marks = (1, 2, 5, 10, 20, 40, 60)
    out = [f"| errors | {' | '.join(f'{mark} min' for mark in marks)} | failed until then, median | 99 of 100 below |"]
    out.append(f"|---|{'---|' * (len(marks) + 2)}")
    for number, errors in enumerate(BAD):
        world, dice = Traffic(errors=errors), np.random.default_rng(200 + number)
        parts = [found_at(PLAN, world, min(PART, runs - at), dice) for at in range(0, runs, PART)]
        when, harmed = (np.concatenate(values) for values in zip(*parts, strict=True))
        cells = [f"{((when > 0) & (when <= mark * world.rows)).mean():.1%}" for mark in marks]
        low, high = np.quantile(harmed, [0.5, 0.99])
        out.append(f"| {tell(errors)} | {' | '.join(cells)} | {low:.0f} | {high:.0f} |")
    return "\n".join(out)


def said_before() -> str:
    """Return what the design says before such a rollout begins."""
    plan = Canary(weights=(10.0, 25.0, 50.0), harmed_max=200)
    baseline = Baseline(rows=20_000, per_second=500 / 60, errors=0.01, slow=0.001, labelled=0.5, loss_deviation=0.2)
    return "\n".join(["```", *lines(design(plan, baseline), plan), "```"])


def by_minute(when: np.ndarray) -> tuple[float, ...]:
    """Return the share that has fallen by the end of each minute."""
    return tuple(float(((when > 0) & (when <= minute)).mean()) for minute in range(MINUTES + 1))


def plots(played: Played, fell: dict[float, np.ndarray]) -> dict[str, str]:
    """Return the plots by the names of their files."""
    found = [
        Panel(
            title=f"errors {tell(errors)}: found by minute",
            curves=tuple(Curve(name=name, shares=by_minute(played[name, errors])) for name in RULES),
        )
        for errors in BAD[:2]
    ]
    quiet = [
        Panel(
            title=f"both err at {errors[0]:.0%}: good canaries fallen by minute",
            curves=tuple(
                Curve(name=name, shares=by_minute(fell[errors[0]] if name == OURS else played[name, errors]))
                for name in RULES
            ),
            limit=PLAN.alpha,
        )
        for errors in GOOD
    ]
    return {"canary-found.svg": draw(found), "canary-false.svg": draw(quiet)}


def filled(blocks: dict[str, str]) -> str:
    """Return the study with the figures in it, each between its marks."""
    text = STUDY.read_text()
    for name, block in blocks.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = mark.subn(lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text)
        assert count == 1, name
    return text


def main(runs: int, *, quick: bool) -> None:
    """Run the study."""
    begun = time.process_time()
    falls, fell = good_canaries(max(runs, CHUNK))
    played = {(name, errors): play(name, errors, runs) for name in RULES for errors in (*GOOD, *BAD)}
    blocks = {"good": falls, "rules": table(played), "curves": curves(runs), "before": said_before()}
    blocks["cost"] = f"{runs:,} canaries a cell, {time.process_time() - begun:.0f} s of CPU."
    for name, block in blocks.items():
        print(f"\n{name}\n\n{block}", flush=True)
    written = {STUDY.name: filled(blocks), **plots(played, fell)}
    if not quick:
        for file, text in written.items():
            (DOCS / file).write_text(text)


if __name__ == "__main__":
    main(50 if "--quick" in sys.argv else 10_000, quick="--quick" in sys.argv)
