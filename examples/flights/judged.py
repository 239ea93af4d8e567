"""Plays the year through Ropewalk's own judges, without endpoints: which alarms open, which candidates rise or fall."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import features
import numpy as np
import polars as pl
import traffic
from threadpoolctl import threadpool_limits

from ropewalk.data import profile
from ropewalk.observations import drift, quality
from ropewalk.observations.monitors import alpha_of
from ropewalk.observations.windows import CLUMPS, length_us
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary, Monitor, Settings

SHARE = 0.1
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm that would have opened: on which day, after how many rows of the window, the effect and its bound."""

    monitor: str
    at: date
    rows: int
    reading: float
    low: float


def alarms(model: Trained, settings: Settings, since: date, share: float) -> Iterator[Alarm]:
    """The first alarm of each window of the project's monitors, looked at twice a day until the end of October."""
    rows = features.landed(traffic.questions(since.month, 10, share)).filter(pl.col("asked_at") >= since)
    rows = rows.with_columns(
        pl.Series("said", model.chances(rows)),
        at=pl.col("asked_at").to_physical(),
        was=pl.col(features.TARGET).cast(pl.Float64),
    )
    learned = profile.profile(model.train)
    for monitor in settings.monitors:
        length = length_us(monitor.window)
        alpha = alpha_of(settings, monitor)
        windows = rows.with_columns(window=pl.col("at") // length, clump=pl.col("at") // (length // CLUMPS))
        for window in windows.partition_by("window"):
            for seen in (window.filter(pl.col("clump") <= clump) for clump in window["clump"].unique().sort()):
                if seen.height < monitor.rows_min:
                    continue
                found = _effect(monitor, seen, learned, alpha)
                if found.low > 0 and abs(found.reading) >= monitor.threshold:
                    at = seen["asked_at"].dt.date().max()
                    yield Alarm(monitor=monitor.name, at=at, rows=seen.height, reading=found.reading, low=found.low)
                    break


def _effect(monitor: Monitor, part: pl.DataFrame, learned: profile.Profile, alpha: float) -> quality.Effect:
    if monitor.kind == "calibration":
        return quality.calibration(part["said"], part["was"], part["clump"], scale=monitor.threshold, alpha=alpha)
    column = learned.column(monitor.column)
    assert column is not None
    reference = drift.from_profile(column)
    counts = drift.count(part[monitor.column], part["clump"], reference)
    found = drift.distance(counts, reference, alpha=alpha, rows_min=monitor.rows_min)
    return quality.Effect(count=part.height, reading=found.reading, low=found.low)


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
