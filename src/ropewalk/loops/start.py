"""Starting: what waits is claimed with a lease, run in a process of its own, and over with its run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ropewalk import leases
from ropewalk.errors import Conflict, NotFound, RopewalkError
from ropewalk.leases import Lease, is_alive
from ropewalk.runs import run as runs
from ropewalk.runs.points import Owner
from ropewalk.runs.run import Run
from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.fire import CANCELLED, DONE, FAILED, RUNNING, WAITING, Fire
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
LOOK_SECONDS = 1.0
RUNNING_MAX = 8
_log = logging.getLogger("ropewalk.loops")
# Starts that this process runs, whichever loop of it does: a lease tells processes apart, and nothing finer.
_held: set[str] = set()
Start = Callable[[Fire, threading.Event], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    """A start that runs here: as it was claimed, what ends it, and the thread that waits for it."""

    fire: Fire
    halt: threading.Event
    thread: threading.Thread


class Starts:
    """Runs what waits.

    The claim is committed before `start` is called, and the run notes its start in the transactions in which it begins
    and ends. When we are killed in between, whoever looks next finds the holder gone: a run that has ended is noted,
    one that has not is gone on with by the same command. A holder that comes back from the dead holds an old fence and
    writes nothing.

    Args:
        site: the project.
        start: runs the pipeline of a start to its end and returns the run's id; breaks off when its event is set.
        only: which starts this one may run; all of them when left out.
        running_max: how many at once.
    """

    def __init__(
        self,
        site: Site,
        start: Start,
        *,
        only: Callable[[Fire], bool] = lambda _: True,
        running_max: int = RUNNING_MAX,
    ) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._site = site
        self._start = start
        self._only = only
        self._running_max = running_max
        self._halt = threading.Event()
        self._lock = threading.Lock()
        self._runners: dict[str, _Runner] = {}
        self._renewed = site.clock.monotonic()
        self._watched: dict[str, tuple[int, int, float]] = {}

    def turn(self, now_us: int) -> bool:
        """Start what may start; return True when something was noted that lets more start at once."""
        with self._site.db.read() as reader:
            found = [one for one in fires.open_fires(reader) if self._only(one)]
            self._obey(found)
            left = [one for one in found if one.state == RUNNING and self._is_dead(one)]
            ready = self._ready(reader, found, now_us)
        moved = False
        for one in left:
            moved = self._rescue(one) or moved
        for one in ready:
            if len(self._runners) >= self._running_max or self._halt.is_set():
                break
            self._take(one)
        self._renew()
        return moved and not self._halt.is_set()

    def stop(self) -> None:
        """Break off what runs here and give it back: the next server goes on with it."""
        self._halt.set()
        with self._lock:
            runners = list(self._runners.values())
        for one in runners:
            one.halt.set()
        for one in runners:
            one.thread.join()

    @property
    def busy(self) -> bool:
        """Whether anything runs here."""
        return bool(self._runners)

    # --------------------------------------------------------------------------------------------------- choice
    def _ready(self, reader: Reader, found: Iterable[Fire], now_us: int) -> list[Fire]:
        """Return what may start now, oldest first: of a schedule one at a time, of a backfill as many as it says."""
        states = {one.name: one.state for one in schedules.every(reader)}
        ready: list[Fire] = []
        for (schedule, backfill), own in _grouped(found).items():
            state = states.get(schedule, schedules.REMOVED)
            if state == schedules.REMOVED:
                continue
            if backfill:
                ready += backfills.waiting(backfills.get(reader, backfill), own)
            elif not any(one.state == RUNNING for one in own):
                first = next((one for one in own if state == schedules.ACTIVE or one.cause == "manual"), None)
                ready += [first] if first is not None and first.not_before_us <= now_us else []
        return sorted(ready, key=lambda one: (one.due_us, one.id))

    def _obey(self, found: Iterable[Fire]) -> None:
        for one in found:
            mine = self._runners.get(one.id)
            if one.cancel and mine is not None:
                mine.halt.set()

    def _is_dead(self, one: Fire) -> bool:
        """Say whether the holder of a running start is gone.

        Of another host nothing is known but that it renews: it counts as gone when we have seen no sign of it for as
        long as a lease lasts, by our monotonic clock; what clocks on walls say does not matter.
        """
        if one.id in _held:
            return False
        lease = one.lease
        if lease.host == leases.take(0, 0).host:
            return not is_alive(lease, self._site.clock.now_us()) or _is_ours(lease)
        now = self._site.clock.monotonic()
        seen = self._watched.get(one.id)
        if seen is None or seen[:2] != (one.fence, one.expires_us):
            self._watched[one.id] = (one.fence, one.expires_us, now)
            return False
        return now - seen[2] > LEASE_SECONDS

    # ------------------------------------------------------------------------------------------------------ work
    def _rescue(self, one: Fire) -> bool:
        """Note what has become of a start whose holder is gone, or go on with it."""
        with self._site.db.read() as reader:
            run = _run_of(reader, one)
        if run is not None and run.state == runs.RUNNING and run.alive(self._site.clock.now_us()):
            return False  # its own process still lives; it ends by itself, with the server that it had or at its end
        if run is not None and run.over:
            state = {runs.FINISHED: DONE, runs.FAILED: FAILED}.get(run.state, CANCELLED)
            return self._settle(one, state, run.error)
        if one.cancel:
            return self._settle(one, CANCELLED, "stopped; its holder was gone")
        if len(self._runners) < self._running_max and not self._halt.is_set():
            self._take(one)
        return False

    def _take(self, one: Fire) -> None:
        now_us = self._site.clock.now_us()
        lease = leases.take(now_us, one.fence, LEASE_SECONDS)
        _held.add(one.id)
        try:
            mine = self._site.db.write(lambda tx: fires.claim(tx, one, lease, now_us))
        except Conflict:
            _held.discard(one.id)
            return
        except BaseException:
            _held.discard(one.id)
            raise
        halt = threading.Event()
        thread = threading.Thread(target=self._run, args=(mine, halt), name=f"ropewalk-fire-{mine.id}", daemon=True)
        with self._lock:
            self._runners[mine.id] = _Runner(fire=mine, halt=halt, thread=thread)
            if self._halt.is_set():
                halt.set()
            thread.start()  # before anybody who stops us can find it, to wait for its end

    def _run(self, mine: Fire, halt: threading.Event) -> None:
        try:
            state, note = self._outcome(mine, halt)
            self._settle(mine, state, note)
        except Exception:  # noqa: BLE001 - the thread's last word; the row says that it runs, and is looked at again
            _log.exception("the start %s of %s could not be noted", mine.id, mine.schedule)
        finally:
            with self._lock:
                self._runners.pop(mine.id, None)
            _held.discard(mine.id)
            self.on_end()

    def _outcome(self, mine: Fire, halt: threading.Event) -> tuple[str, str]:
        try:
            self._start(mine, halt)
        except Exception as error:  # noqa: BLE001 - a claim without an outcome would be held as long as we live
            if self._halt.is_set():
                return WAITING, ""
            if halt.is_set():
                return CANCELLED, "stopped"
            if isinstance(error, RopewalkError):
                return FAILED, f"{error.code}: {error.what}"
            _log.exception("the start %s of %s could not be run", mine.id, mine.schedule)
            return FAILED, f"internal: {type(error).__name__}: {error}"
        return DONE, ""

    def _settle(self, one: Fire, state: str, note: str) -> bool:
        def work(tx: Transaction) -> bool:
            now = fires.get(tx, one.id)
            if now.fence != one.fence or now.state != RUNNING:
                return False  # the run has noted it, or it is somebody else's
            if state == CANCELLED:
                _stop_run(tx, self._site, now)
            return end(tx, self._site, now, state, note)

        return self._site.db.write(work)

    def _renew(self) -> None:
        now = self._site.clock.monotonic()
        if now - self._renewed < RENEW_SECONDS or not self._runners:
            return
        self._renewed = now
        with self._lock:
            mine = [one.fire for one in self._runners.values()]
        expires_us = self._site.clock.now_us() + int(LEASE_SECONDS * 1_000_000)

        def work(tx: Transaction) -> None:
            for one in mine:
                tx.run("schedules.fire_renew", id=one.id, fence=one.fence, expires_us=expires_us)

        self._site.db.write(work)


def end(tx: Transaction, site: Site, found: Fire, state: str, note: str = "") -> bool:
    """End a start, and its backfill with the last of its intervals; say whether it was ours to end."""
    done = fires.settle(tx, site, found, state, note)
    if done is None:
        return False
    if done.backfill and state != WAITING:
        backfills.settled(tx, site, backfills.get(tx, done.backfill))
    return True


def begun(site: Site, fire: str, tx: Transaction, run: Run) -> None:
    """Note the cause of a run that a schedule has started: in its start, in its tags and in the ledger.

    Args:
        site: the project.
        fire: `ID:FENCE` of the start; empty for a run that nobody but a person has started.
        tx: the transaction that begins the run.
        run: the run.

    Raises:
        Interrupted: the start is somebody else's by now.
    """
    if not fire:
        return
    found = _attached(site, fire, tx, run)
    tags = {fires.SCHEDULE_TAG: found.schedule, fires.CAUSE_TAG: found.cause, fires.FIRE_TAG: found.id}
    owner = Owner(number=run.number, experiment=run.experiment, started_us=run.started_us)
    tx.many("runs.tag", [owner.row(key, "") | {"value": value} for key, value in tags.items()])


def finished(site: Site, fire: str, tx: Transaction, run: Run) -> None:
    """End a start with its run, in the transaction that finishes the run.

    Raises:
        Interrupted: the start is somebody else's by now.
    """
    if fire:
        end(tx, site, _held_by(tx, fire, run), DONE)


def _attached(site: Site, fire: str, tx: Transaction, run: Run) -> Fire:
    name, _, fence = fire.partition(":")
    return fires.attach(tx, site, name, int(fence) if fence.isdigit() else 0, run.id)


def _held_by(tx: Transaction, fire: str, run: Run) -> Fire:
    name, _, fence = fire.partition(":")
    found = fires.get(tx, name)
    if str(found.fence) != fence or found.state != RUNNING or found.run != run.id:
        raise fires.lost(name, fence)
    return found


def carry_out(
    site: Site, starts: Starts, only: Callable[[Fire], bool], *, tell: Callable[[], None] = lambda: None
) -> None:
    """Run the starts that are meant until all of them are over, beside a server or without; Ctrl-C gives them back.

    Args:
        site: the project.
        starts: runs them, and no others.
        only: which they are.
        tell: called whenever one has ended.
    """
    ended = threading.Event()
    starts.on_end = ended.set
    try:
        while True:
            ended.clear()
            starts.turn(site.clock.now_us())
            tell()
            with site.db.read() as rows:
                if not any(only(one) for one in fires.open_fires(rows)):
                    return
            ended.wait(LOOK_SECONDS)
    finally:
        starts.stop()


def _stop_run(tx: Transaction, site: Site, found: Fire) -> None:
    """Let nobody go on with the run of a start that was stopped."""
    run = _run_of(tx, found)
    if run is not None and run.state == runs.INTERRUPTED:
        runs.move(tx, site, run.id, runs.CANCELLED, fence=run.fence, error="its start was stopped")


def _run_of(reader: Reader, found: Fire) -> Run | None:
    if not found.run:
        return None
    try:
        return runs.get(reader, found.run)
    except NotFound:
        return None  # it was taken away for good


def _is_ours(lease: Lease) -> bool:
    mine = leases.take(0, 0)
    return replace(lease, expires_us=0, fence=0) == replace(mine, expires_us=0, fence=0)


def _grouped(found: Iterable[Fire]) -> dict[tuple[str, str], list[Fire]]:
    groups: dict[tuple[str, str], list[Fire]] = {}
    for one in found:
        groups.setdefault((one.schedule, one.backfill), []).append(one)
    return groups
