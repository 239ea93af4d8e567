"""Plays a rollout through Ropewalk's own judge without endpoints: how soon a candidate rises or falls."""

from dataclasses import dataclass
from typing import Any

import features
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary

LOOK_EVERY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted model with the rows that it was fitted on and measured on, and the seconds of the pipeline."""

    name: str
    model: Any
    train: pl.DataFrame
    holdout: pl.DataFrame
    seconds: float

    def chances(self, rows: pl.DataFrame) -> np.ndarray:
        """Chance of being late, one per row."""
        with threadpool_limits(1):
            return self.model.predict_proba(rows.select(features.FEATURES))[:, 1]


def rollout(plan: Canary, champion: np.ndarray, candidate: np.ndarray, seed: int) -> tuple[str, list[int]]:
    """Play a canary over the losses of both models on the same requests, in order; answers and labels come at once.

    Returns the outcome (`live`, `fell` or `open`) and the requests after which each step was left.
    """
    draws = np.random.default_rng(seed).random(len(champion))
    step, begin, left = -1 if plan.shadow else 0, 0, list[int]()
    done: tuple[Stratum, ...] = ()
    pairs: Pairs | None = None
    for end in range(LOOK_EVERY, len(champion) + 1, LOOK_EVERY):
        if step < 0:
            gap = candidate[:end] - champion[:end]
            sides = Arm(rows=end), Arm(rows=end)
            pairs = Pairs(champion=sides[0], canary=sides[1], labelled=end, **_sums("difference", gap))
            evidence = Evidence(pairs=pairs)
        else:
            share = plan.weights[step] / 100
            chosen = draws[begin:end] < share
            arms = _arm(champion[begin:end][~chosen]), _arm(candidate[begin:end][chosen])
            evidence = Evidence(strata=(*done, Stratum(share=share, champion=arms[0], canary=arms[1])), pairs=pairs)
        decision = verdict(plan, evidence, step=step).decision
        if decision == "keep_watching":
            continue
        left.append(end)
        if decision == "fall_back":
            return "fell", left
        done, step, begin = evidence.strata, step + 1, end
        if step == len(plan.weights):
            return "live", left
    return "open", left


def _arm(losses: np.ndarray) -> Arm:
    return Arm(rows=len(losses), labelled=len(losses), **_sums("loss", losses))


def _sums(name: str, values: np.ndarray) -> dict[str, Any]:
    return {f"{name}_sum": float(values.sum()), f"{name}_square_sum": float((values**2).sum())}
