"""Optuna's search: it proposes, our rows remember; a study is rebuilt from the trials that have ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ropewalk.errors import Unavailable
from ropewalk.sweeps.draw import Args
from ropewalk.sweeps.space import Dimension, Values

if TYPE_CHECKING:
    from ropewalk.sweeps.sweep import Trial

_SEEDS = 100_003


def require_optuna() -> None:
    """Pass only where Optuna is installed.

    Raises:
        Unavailable: it is not.
    """
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise Unavailable(
            "extra-missing",
            "Optuna is not installed.",
            where="--optuna",
            why="it is an extra of its own",
            fix='pip install "ropewalk[optuna]"',
        )


class Study:
    """Proposes what to try next.

    Every proposal draws with a seed of its own number and looks at nothing but the trials that have ended: a sweep that
    is killed and goes on proposes, one trial at a time, what it would have proposed.

    Args:
        space: what is tried.
        highest: whether the goal is the highest value; else the lowest.
        seed: of the whole search.
        ended: the trials that have ended, by number.
    """

    def __init__(self, space: Sequence[Dimension], *, highest: bool, seed: int, ended: Iterable[Trial]) -> None:
        require_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna: Any = optuna
        self._seed = seed
        self._space: dict[str, Any] = {one.name: self._distribution(one) for one in space}
        self._study: Any = optuna.create_study(direction="maximize" if highest else "minimize")
        for trial in ended:
            self.tell(trial)

    def ask(self, number: int) -> Args:
        """Return what trial `number` is to try, as one types it."""
        self._study.sampler = self._optuna.samplers.TPESampler(seed=self._seed * _SEEDS + number)
        asked = self._study.ask(fixed_distributions=self._space)
        # The study keeps what ended, told by `tell`; that this one was asked for is in our rows.
        self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        return {name: str(asked.params[name]) for name in self._space}

    def tell(self, trial: Trial) -> None:
        """Take in how a trial ended; one without a value teaches nothing."""
        if trial.value is None:
            return
        params = {name: self._read(name, text) for name, text in trial.arguments().items()}
        told = self._optuna.trial.create_trial(params=params, distributions=self._space, value=trial.value)
        self._study.add_trial(told)

    def _distribution(self, one: Dimension) -> Any:  # noqa: ANN401 - Optuna's
        kinds = self._optuna.distributions
        if isinstance(one, Values):
            return kinds.CategoricalDistribution(one.values)
        if one.whole:
            return kinds.IntDistribution(int(one.low), int(one.high), log=one.log)
        return kinds.FloatDistribution(one.low, one.high, log=one.log)

    def _read(self, name: str, text: str) -> Any:  # noqa: ANN401 - what its distribution holds
        kinds, kind = self._optuna.distributions, self._space[name]
        if isinstance(kind, kinds.IntDistribution):
            return int(text)
        return float(text) if isinstance(kind, kinds.FloatDistribution) else text
