"""Retraining: an alarm that asks for it starts the project's pipeline, once."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

from ropewalk import leases
from ropewalk.errors import Conflict, RopewalkError
from ropewalk.leases import Lease, is_alive
from ropewalk.loops.work import Loop
from ropewalk.observations import alert as alerts
from ropewalk.observations.alert import Alert
from ropewalk.site import Site

LOOK_SECONDS = 2.0
STARTING = "starting "
_log = logging.getLogger("ropewalk.loops")


class Retrain:
    """Starts the pipeline for every alarm that asks for it.

    The alarm is claimed with the lease of this process before `start` is called, and gets the run after it: two
    processes never start the same one. When the process is killed in between, whoever looks next sees that the holder
    is gone and calls `start` again; a run of the same pipeline, arguments and code resumes, so that this is one
    retraining still, and so it is when the server is stopped. A start that fails is noted and not tried again.

    Args:
        site: the project.
        start: runs the pipeline to its end and returns the run's id.
        halt: set when the loop is to stop, so that `start` can break off.
    """

    def __init__(self, site: Site, start: Callable[[Alert], str], halt: threading.Event | None = None) -> None:
        self._site = site
        self._start = start
        self._halt = halt or threading.Event()

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("retrain", self.turn, seconds=seconds, on_stop=self._halt.set)

    def turn(self) -> bool:
        """Start what one alarm asks for; return True when one was taken, since another may wait."""
        with self._site.db.read() as reader:
            waiting = alerts.to_retrain(reader)
        for alert in waiting:
            if alert.run and is_alive(_holder(alert.run), self._site.clock.now_us()):
                continue
            try:
                mine = self._note(alert, self._claim())
            except Conflict:
                continue  # another process was quicker
            outcome = self._outcome(mine)
            if outcome:
                self._note(mine, outcome)
            return bool(outcome)
        return False

    def _outcome(self, alert: Alert) -> str:
        """Return what became of it, or nothing when it was broken off by a stop: the next server starts it again."""
        try:
            return self._start(alert)
        except Exception as error:  # noqa: BLE001 - a claim without an outcome would be held as long as we live
            if self._halt.is_set():
                return ""
            if isinstance(error, RopewalkError):
                return f"failed: {error.code}: {error.what}"
            _log.exception("the retraining for alarm %s could not be started", alert.id)
            return f"failed: internal: {type(error).__name__}: {error}"

    def _note(self, alert: Alert, run: str) -> Alert:
        return self._site.db.write(lambda tx: alerts.note_run(tx, self._site, alert, run))

    def _claim(self) -> str:
        held = leases.take(self._site.clock.now_us(), fence=0, seconds=3600)
        return STARTING + json.dumps({name: getattr(held, name) for name in Lease.__slots__})


def _holder(run: str) -> Lease:
    return Lease(**json.loads(run.removeprefix(STARTING)))
