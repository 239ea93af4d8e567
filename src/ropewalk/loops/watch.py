"""Watching: monitors look at what is new; what they saw and the alarms that follow are one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.errors import RopewalkError
from ropewalk.loops.work import Loop
from ropewalk.observations import alert as alerts
from ropewalk.observations import labels, windows
from ropewalk.observations.alert import OPEN
from ropewalk.observations.monitors import Finding, evaluate
from ropewalk.refs import canonical
from ropewalk.releases import traffic
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

SCHEMA = 1
LOOK_SECONDS = 2.0


class Watch:
    """Looks at every endpoint whose captured rows, labels or champion changed since the last turn.

    Args:
        site: the project.
        settings: which monitors.
    """

    def __init__(self, site: Site, settings: Settings) -> None:
        self._site = site
        self._settings = settings
        self._seen: dict[str, tuple[int, int, str]] = {}

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("watch", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Look at each endpoint once; there is never more to do at once.

        Raises:
            RopewalkError: the first problem that an endpoint had, after all of them were looked at.
        """
        problem: RopewalkError | None = None
        with self._site.db.read() as reader:
            states = {endpoint: self._state(reader, endpoint) for endpoint in traffic.endpoints(reader)}
        for endpoint, state in states.items():
            if self._seen.get(endpoint) == state:
                continue
            try:
                self.look(endpoint)
            except RopewalkError as error:
                problem = problem or error
            else:
                self._seen[endpoint] = state
        if problem is not None:
            raise problem
        return False

    def look(self, endpoint: str) -> list[Finding]:
        """Look at one endpoint; keep what was seen, open and close alarms."""
        findings = evaluate(self._site, self._settings, endpoint, now_us=self._site.clock.now_us())
        told = [(finding, _account(finding)) for finding in findings]
        self._site.db.write(lambda tx: self._keep(tx, endpoint, told))
        return findings

    def _state(self, reader: Reader, endpoint: str) -> tuple[int, int, str]:
        here = traffic.current(reader, endpoint)
        sealed = int(str(reader.value("observations.sealed", endpoint=endpoint)))
        return sealed, labels.newest(reader, endpoint), here.champion if here else ""

    def _keep(self, tx: Transaction, endpoint: str, told: Sequence[tuple[Finding, bytes]]) -> None:
        here = traffic.current(tx, endpoint)
        champion = here.champion if here else ""
        for monitor in self._settings.monitors:
            last = alerts.latest(tx, endpoint, monitor.name)
            if last is not None and last.state == OPEN and last.release != champion:
                why = f"{last.release} does not answer any more; {champion} does"
                alerts.close(tx, self._site, last.id, why=why)
        for finding, account in told:
            windows.put(tx, finding.seen)
            self._settle(tx, endpoint, finding, account)

    def _settle(self, tx: Transaction, endpoint: str, finding: Finding, account: bytes) -> None:
        """Open or close the alarm of a window; again and again it comes to the same."""
        seen, monitor = finding.seen, finding.monitor
        if seen.says == "alarm":
            if not alerts.is_news(tx, endpoint, monitor.name, seen.release, seen.start_us):
                return
            alerts.open_alert(
                tx,
                self._site,
                endpoint=endpoint,
                monitor=monitor.name,
                kind=monitor.kind,
                release=seen.release,
                retrain=monitor.retrain,
                window_us=seen.start_us,
                reading=seen.reading or 0.0,
                threshold=seen.threshold,
                reason=finding.reason,
                evidence=self._site.blobs.put(account),
            )
            return
        last = alerts.latest(tx, endpoint, monitor.name)
        over = last is not None and last.state == OPEN and last.release == seen.release
        if last is not None and over and seen.says == "quiet" and finding.whole and seen.start_us > last.window_us:
            evidence = self._site.blobs.put(account)
            alerts.close(tx, self._site, last.id, why=f"a later window is quiet: {finding.reason}", evidence=evidence)


def _account(finding: Finding) -> bytes:
    """Return everything that a finding was made on, without when it was looked at."""
    seen = {name: value for name, value in finding.facts["window"].items() if name != "at_us"}
    return canonical({"schema": SCHEMA, **finding.facts, "window": seen, "reason": finding.reason})
