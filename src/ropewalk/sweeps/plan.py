"""A sweep before it runs: its words read, its trials known, every argument tried on the pipeline's signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ropewalk.errors import Invalid
from ropewalk.pipelines.describe import ask, started
from ropewalk.pipelines.parameters import Parameter
from ropewalk.pipelines.reads import DeclaredFiles
from ropewalk.site import Site
from ropewalk.source.snapshot import CodeSnapshot
from ropewalk.sweeps import draw
from ropewalk.sweeps.draw import Args
from ropewalk.sweeps.space import Dimension, Values, read
from ropewalk.sweeps.study import require_optuna
from ropewalk.sweeps.sweep import GRID, HIGHEST, LOWEST, OPTUNA, RANDOM, Sweep, key_of

PARALLEL_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for.

    Attributes:
        target: `FILE.py:FUNCTION`.
        words: what was typed of each parameter.
        method: `grid`, `random` or `optuna`.
        trials: how many, of a random search or Optuna's; a grid has as many as it has.
        seed: of the search.
        goal: `METRIC:max`, `METRIC:min`, or the metric alone, which is to be high; empty for none.
        parallel: how many trials run at once.
        failures_max: more failed trials than this end it.
    """

    target: str
    words: Mapping[str, str]
    method: str = GRID
    trials: int = 0
    seed: int = 0
    goal: str = ""
    parallel: int = 1
    failures_max: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A sweep that could begin.

    Attributes:
        sweep: the record; it has no run yet.
        space: what is tried.
        trials: as far as they are known before anything has run: Optuna's are not.
        code: the code that would run.
    """

    sweep: Sweep
    space: tuple[Dimension, ...]
    trials: tuple[Args, ...]
    code: CodeSnapshot


def planned(site: Site, wanted: Wanted) -> Planned:
    """Read a sweep's words and try each trial's arguments on the signature; nothing runs and nothing is recorded.

    Raises:
        NotFound: there is no such file or pipeline.
        Invalid: an argument is unknown or does not fit, or the sweep is too large.
        Unavailable: Optuna is wanted and not installed.
    """
    goal = _goal(wanted)
    if wanted.method == OPTUNA:
        require_optuna()
        if wanted.trials > draw.TRIALS_MAX:
            raise draw.too_many(wanted.trials)
    with started(site, wanted.target, {}, workers_max=1) as (pool, code, project):
        told = ask(site, pool, {"op": "parameters", "project": project})
        space = read(wanted.words, [Parameter.from_plain(item) for item in told], wanted.target)
        trials = _trials(space, wanted)
        # Optuna draws within these: what its ends and choices are is what it may propose.
        tried = trials or _corners(space)
        bound = ask(site, pool, {"op": "bind", "project": project, "many": tried})
    if wanted.method != OPTUNA:
        trials = _once(trials, bound["args"])
    sweep = Sweep(
        run_id="",
        key="",
        pipeline=bound["pipeline"],
        space=json.dumps(dict(wanted.words), sort_keys=True),
        method=wanted.method,
        trials=len(trials) if wanted.method != OPTUNA else wanted.trials,
        seed=wanted.seed if wanted.method != GRID else 0,
        goal=goal,
        parallel=wanted.parallel,
        failures_max=wanted.failures_max,
    )
    key = key_of(sweep, code.tree, DeclaredFiles(site.root).digests(bound["reads"]))
    return Planned(sweep=replace(sweep, key=key), space=space, trials=tuple(trials), code=code)


def _trials(space: tuple[Dimension, ...], wanted: Wanted) -> list[Args]:
    if wanted.method == GRID:
        return draw.grid(space)
    return draw.at_random(space, wanted.trials, wanted.seed) if wanted.method == RANDOM else []


def _corners(space: tuple[Dimension, ...]) -> list[Args]:
    """Return as few sets of arguments as hold each value, and both ends of each range."""
    columns = {one.name: one.values if isinstance(one, Values) else (one.at(0.0), one.at(1.0)) for one in space}
    longest = max((len(column) for column in columns.values()), default=1)
    return [{name: column[at % len(column)] for name, column in columns.items()} for at in range(longest)]


def _once(trials: list[Args], bound: list[object]) -> list[Args]:
    """Return the trials, those left out that mean the same as one before them: `4,04`."""
    found: dict[str, Args] = {}
    for one, values in zip(trials, bound, strict=True):
        found.setdefault(json.dumps(values, sort_keys=True), one)
    return list(found.values())


def _goal(wanted: Wanted) -> str:
    if not wanted.goal:
        if wanted.method == OPTUNA:
            raise _no_goal("Optuna looks for the best value of a metric, and none is named")
        return ""
    metric, colon, way = wanted.goal.rpartition(":")
    if not colon:
        metric, way = wanted.goal, HIGHEST
    if not metric or way not in (LOWEST, HIGHEST):
        raise _no_goal(f"wanted METRIC:max or METRIC:min, found {wanted.goal[:80]!r}")
    return f"{metric}:{way}"


def _no_goal(why: str) -> Invalid:
    return Invalid(
        "sweep-goal-unreadable",
        "The sweep has no goal that can be read.",
        where="--goal",
        why=why,
        fix="ropewalk sweep ... --goal accuracy:max",
    )
