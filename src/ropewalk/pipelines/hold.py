"""By what a walk holds what it does: its run's lease, or, where somebody else drives the run, that of one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ropewalk import leases
from ropewalk.pipelines.graph import Graph
from ropewalk.records import frozen
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction


class Hold(Protocol):
    """What says that results of ours count."""

    def check(self, tx: Transaction) -> None:
        """Pass only while we hold it.

        Raises:
            Interrupted: somebody else does by now, or the run was cancelled.
        """
        ...

    def renew(self, site: Site) -> None:
        """Make it last longer.

        Raises:
            Interrupted: as `check`.
        """
        ...


class RunHold:
    """The lease of a run that this process walks whole.

    Args:
        run: as this process took it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def check(self, tx: Transaction) -> None:
        """Pass only while the run is ours."""
        runs.check_held(tx, self._run)

    def renew(self, site: Site) -> None:
        """Make the run's lease last longer."""
        lease = leases.take(site.clock.now_us(), self._run.fence)
        site.db.write(lambda tx: runs.renew(tx, self._run.id, lease))


@frozen
class Part:
    """What a walk over some steps of a run has to know of the whole.

    Attributes:
        whole: the pipeline's graph.
        salt: what stands for the run in the keys of steps whose outcome no other run may use.
        hold: by which what it does is held.
        attempts: how often each step was begun before.
    """

    whole: Graph
    salt: str
    hold: Hold
    attempts: Mapping[str, int]
