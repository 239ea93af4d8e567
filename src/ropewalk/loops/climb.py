"""Climbing: each canary's evidence is collected and judged, and what follows is one transaction."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any

import msgspec

from ropewalk.errors import Conflict, RopewalkError
from ropewalk.loops.work import Loop
from ropewalk.observations.arms import Arms
from ropewalk.refs import canonical
from ropewalk.releases import course
from ropewalk.releases import rollout as rollouts
from ropewalk.releases.design import Baseline
from ropewalk.releases.rollout import KEEP_WATCHING, Decision, Rollout
from ropewalk.releases.verdict import Verdict, verdict
from ropewalk.site import Site
from ropewalk.store.database import Transaction

SCHEMA = 3
LOOK_SECONDS = 1.0
# A look that changes nothing is written down when it says something else than before, or after so long.
KEEP_SECONDS = 10.0
# And after a tenth of the time that the rollout has run already: evidence names every segment since its begin, so that
# a look each ten seconds would keep the square of them.
KEEP_SHARE = 0.1


def baseline_of(site: Site, rollout: Rollout) -> Baseline:
    """Return what the champion did before a rollout, as it was written down when it began."""
    if not rollout.design:
        return Baseline()
    return msgspec.convert(msgspec.json.decode(site.blobs.get(rollout.design))["baseline"], type=Baseline)


class Climb:
    """Looks at every rollout that has not ended.

    kill -9 at any point leaves it legal: evidence is a blob that nothing refers to until the decision is committed, and
    the decision is committed with the traffic, the release's state and the ledger entry, or not at all.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: dict[tuple[str, int], float] = {}
        self._arms: dict[str, Arms] = {}
        self._courses: dict[str, list[dict[str, Any]]] = {}

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("climb", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Look at each canary once; return True when one of them rose, since more may follow at once.

        Raises:
            RopewalkError: the first problem that a look had, after all of them were taken.
        """
        with self._site.db.read() as reader:
            active = rollouts.active(reader)
        here = {(one.release, one.step) for one in active}
        self._seen = {place: at for place, at in self._seen.items() if place in here}
        self._forget({one.release for one in active})
        moved = False
        problem: RopewalkError | None = None
        for one in active:
            try:
                moved = self.look(one).decision == rollouts.PROMOTE or moved
            except Conflict:
                continue  # decided by somebody else meanwhile; the next look sees what it is now
            except RopewalkError as error:
                problem = problem or error  # told once every other canary has been looked at
        if problem is not None:
            raise problem
        return moved

    def look(self, rollout: Rollout) -> Verdict:
        """Judge one rollout and act on it.

        Raises:
            Conflict: somebody decided since it was read.
            Corrupt: a segment's bytes are not the ones that were sealed.
        """
        plan = rollout.canary
        step = rollout.step - (1 if plan.shadow else 0)
        waited = self._waited(rollout)
        found = self._arms_of(rollout).look()
        judged = verdict(plan, found.evidence, step=step, waited_seconds=waited)
        grown = self._courses[rollout.release] = course.extend(self._course_of(rollout), found.evidence, judged)
        if judged.decision == KEEP_WATCHING and not self._is_news(rollout, judged):
            return judged
        account: dict[str, Any] = {
            "schema": SCHEMA,
            "release": rollout.release,
            "step": step,
            "waited_seconds": waited,
            "plan": msgspec.to_builtins(plan),
            **found.facts,
            "verdict": asdict(judged),
            "course": grown,
        }
        evidence = self._site.blobs.put(canonical(account))
        self._site.db.write(lambda tx: self._act(tx, rollout, judged, evidence), urgent=True)
        return judged

    def _arms_of(self, rollout: Rollout) -> Arms:
        """Return what counts a rollout's arms; it remembers what it has counted from look to look."""
        known = self._arms.get(rollout.release)
        if known is None:
            known = self._arms[rollout.release] = Arms(
                self._site,
                rollout.endpoint,
                champion=rollout.champion,
                canary=rollout.release,
                since_generation=rollout.begun_generation,
                plan=rollout.canary,
                baseline=baseline_of(self._site, rollout),
            )
        return known

    def _course_of(self, rollout: Rollout) -> list[dict[str, Any]]:
        """Return how the evidence has grown so far; another process's looks are those that its last decision has."""
        known = self._courses.get(rollout.release)
        if known is None:
            last, known = self._last(rollout), []
            # It is for people to see: where it is lost it begins anew, and the canary is judged as ever.
            with suppress(RopewalkError):
                told = b"{}" if last is None else self._site.blobs.get(last.evidence)
                known = msgspec.convert(msgspec.json.decode(told).get("course", []), type=list[dict[str, Any]])
        return known

    def _forget(self, active: set[str]) -> None:
        """Forget the tallies of rollouts that are over."""
        self._arms = {release: arms for release, arms in self._arms.items() if release in active}
        self._courses = {release: grown for release, grown in self._courses.items() if release in active}
        with self._site.db.read() as reader:
            over = [str(row["release"]) for row in reader.rows("observations.tallies_over")]
        for release in over:
            self._site.db.write(lambda tx, release=release: tx.run("observations.tallies_drop", release=release))

    def _act(self, tx: Transaction, rollout: Rollout, judged: Verdict, evidence: str) -> None:
        act = {"promote": rollouts.rise, "fall_back": rollouts.fall, "keep_watching": rollouts.keep}[judged.decision]
        act(tx, self._site, rollout, evidence=evidence, reason=judged.reason)

    def _waited(self, rollout: Rollout) -> float:
        """Return how long this step has run: a wall clock that jumps ahead makes nobody lose patience."""
        since = self._seen.setdefault((rollout.release, rollout.step), self._site.clock.monotonic())
        watched = self._site.clock.monotonic() - since
        told = (self._site.clock.now_us() - rollout.step_us) / 1_000_000
        return max(min(watched, told), 0.0)

    def _is_news(self, rollout: Rollout, judged: Verdict) -> bool:
        last = self._last(rollout)
        if last is None or last.decision != KEEP_WATCHING:
            return True
        if last.reason == judged.reason:
            return False
        now_us = self._site.clock.now_us()
        return now_us - last.at_us >= max(KEEP_SECONDS * 1_000_000, KEEP_SHARE * (now_us - rollout.begun_us))

    def _last(self, rollout: Rollout) -> Decision | None:
        with self._site.db.read() as reader:
            made = rollouts.decisions(reader, rollout.release)
        return made[-1] if made else None
