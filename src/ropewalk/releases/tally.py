"""What the two arms of a canary did, as counts: the only thing that its judge is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Side = Literal["canary", "champion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one arm did while the shares stood still.

    A unit is a sticky key (a request without one is its own). Its first failure in the rollout counts as one event,
    however often the key comes back; its loss is the mean over its labelled rows.

    Attributes:
        rows: answered requests, failed ones included.
        errors: rows that failed or timed out.
        invalid: rows whose output broke the contract.
        slow: rows slower than the limit, `latency_ratio` times the champion's quantile.
        error_units: units whose first failure happened here.
        invalid_units: units whose first invalid output happened here.
        slow_units: units whose first slow row happened here.
        labelled: units with a label.
        loss_sum: sum of the units' losses.
        loss_square_sum: sum of the squares of the units' losses.
        reported: units of which a client reported the business metric.
        harm_sum: sum over them of the metric, its sign turned where higher is better, so that more is worse.
        harm_square_sum: sum of its squares.
        outputs: units by the bin of their first output, in the bins of `Evidence.baseline`.
    """

    rows: int = 0
    errors: int = 0
    invalid: int = 0
    slow: int = 0
    error_units: int = 0
    invalid_units: int = 0
    slow_units: int = 0
    labelled: int = 0
    loss_sum: float = 0.0
    loss_square_sum: float = 0.0
    reported: int = 0
    harm_sum: float = 0.0
    harm_square_sum: float = 0.0
    outputs: tuple[int, ...] = ()

    @property
    def harmed(self) -> int:
        """Units that got a failed or an invalid answer here."""
        return self.error_units + self.invalid_units

    def events(self, name: str) -> int:
        """Return the rows that a signal (`errors`, `invalid`, `latency`) counts."""
        return {"errors": self.errors, "invalid": self.invalid, "latency": self.slow}[name]

    def units(self, name: str) -> int:
        """Return the units that a signal (`errors`, `invalid`, `latency`) counts."""
        return {"errors": self.error_units, "invalid": self.invalid_units, "latency": self.slow_units}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Both arms under one weight.

    Attributes:
        share: the candidate's share of traffic, in (0, 1).
        champion: the champion's arm.
        canary: the candidate's arm.
    """

    share: float
    champion: Arm
    canary: Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Champion and shadow on the same requests. A discordant unit is one on which only one of the two had the event.

    Attributes:
        champion: rows and events of the champion on paired rows; its units are the champion-only ones.
        canary: the same of the candidate.
        labelled: units with a label.
        difference_sum: sum over them of the candidate's loss minus the champion's.
        difference_square_sum: sum of the squares of these differences.
        moved_up: for each cut between two bins of outputs, units whose output lies above it by the candidate alone.
        moved_down: the same by the champion alone.
    """

    champion: Arm = field(default_factory=Arm)
    canary: Arm = field(default_factory=Arm)
    labelled: int = 0
    difference_sum: float = 0.0
    difference_square_sum: float = 0.0
    moved_up: tuple[int, ...] = ()
    moved_down: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a rollout, one stratum for each weight it has had, and the pairs of its shadow.

    Attributes:
        strata: in the order of time; the last one is the step that now runs.
        pairs: None when no traffic was mirrored.
        baseline: share of the champion's outputs in each bin, from before the rollout; empty when nothing is known.
    """

    strata: tuple[Stratum, ...] = ()
    pairs: Pairs | None = None
    baseline: tuple[float, ...] = ()

    def answered(self, step: int) -> int:
        """Return how many rows the candidate answered well in the step that runs: pairs at -1, else the last stratum.

        Failed rows are left out, so that an outage of both arms is no data to rise on.
        """
        last = self.pairs if step < 0 else self.strata[-1] if self.strata else None
        return max(last.canary.rows - last.canary.errors - last.canary.invalid, 0) if last else 0

    def total(self, name: str, side: Side) -> tuple[int, int]:
        """Return the events of a signal and the rows of one side, over all strata and pairs."""
        arms = [each.canary if side == "canary" else each.champion for each in self.strata]
        if self.pairs is not None:
            arms.append(self.pairs.canary if side == "canary" else self.pairs.champion)
        return sum(arm.events(name) for arm in arms), sum(arm.rows for arm in arms)

    def harmed(self) -> float:
        """Return how many units were harmed beyond what the champion's rate explains; pairs harm nobody."""
        return sum(each.canary.harmed - each.champion.harmed * each.share / (1.0 - each.share) for each in self.strata)
