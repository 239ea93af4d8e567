"""Optuna proposes and our rows remember: a study that is rebuilt proposes what the first one would have."""

from __future__ import annotations

import json

from ropewalk.pipelines.parameters import Parameter
from ropewalk.sweeps.space import read
from ropewalk.sweeps.study import Study
from ropewalk.sweeps.sweep import Trial

SPACE = read(
    {"depth": "1..40", "rate": "0.001..1:log", "colour": "RED,BLUE"},
    [
        Parameter(name="depth", kind="whole number"),
        Parameter(name="rate", kind="number"),
        Parameter(name="colour", kind="choice", choices=("RED", "BLUE")),
    ],
    "t",
)


def ended(number: int, args: dict[str, str], *, failed: bool = False) -> Trial:
    loss = abs(int(args["depth"]) - 20) + float(args["rate"]) + (args["colour"] == "RED")
    state, value = ("failed", None) if failed else ("done", loss)
    return Trial(
        sweep="s", number=number, args=json.dumps(args), state=state, run="r", value=value, error="", at_us=number
    )


def walked(before: list[Trial], until: int, seed: int = 3) -> list[Trial]:
    """Go on from trials that have ended, in a study of our own."""
    study, trials = Study(SPACE, highest=False, seed=seed, ended=before), list(before)
    for number in range(len(before) + 1, until + 1):
        trials.append(ended(number, study.ask(number), failed=number % 5 == 0))
        study.tell(trials[-1])
    return trials


def test_a_study_that_was_killed_proposes_what_it_would_have_proposed():
    whole = walked([], 24)

    # Both sides of the tenth trial, from which on Optuna looks at what has ended.
    assert walked(whole[:7], 24) == whole
    assert walked(whole[:17], 24) == whole
    assert walked([], 24, seed=4) != whole


def test_a_study_learns_from_what_has_ended():
    whole = walked([], 24)
    other = [ended(one.number, {**one.arguments(), "depth": "1"}) for one in whole[:17]]

    assert walked(other, 18)[-1].args != whole[17].args
