"""The year 2013 in acts: a first release, live traffic, a better model climbs, a leaky one falls, the world drifts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ropewalk import house
from ropewalk.clock import SystemClock
from ropewalk.demo import project
from ropewalk.demo.client import Arrival, Sender
from ropewalk.demo.server import Server
from ropewalk.errors import Refused, RopewalkError, Unavailable
from ropewalk.house import House
from ropewalk.loops.start import carry_out
from ropewalk.observations import alert
from ropewalk.pipelines.progress import Progress as StepProgress
from ropewalk.releases import release as releases
from ropewalk.releases.release import Release
from ropewalk.releases.walk import Progress
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import fire as fires
from ropewalk.schedules.declared import arguments, interval, renewed
from ropewalk.sweeps import plan as sweep_plan
from ropewalk.sweeps import sweep as sweeps
from ropewalk.sweeps.drive import run_sweep

SHARE = 0.15
# While a canary climbs or a monitor looks, the year goes no faster than they can follow.
PER_SECOND = 800.0
ENDPOINT = "flights"
SCHEDULE, BACKFILL = "monthly", ("2013-01", "2013-03")
LEAVES, GOAL = {"leaves": "7;15"}, "log_loss:min"
RETRAIN_SECONDS_MAX = 90.0
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Voice(Protocol):
    """How the play speaks."""

    def act(self, title: str) -> None:
        """Begin an act."""
        ...

    def say(self, text: str) -> None:
        """Say one line."""
        ...

    def stage(self, progress: Progress) -> None:
        """Tell of a stage of a delivery."""
        ...

    def step(self, progress: StepProgress) -> None:
        """Tell of a step of a pipeline."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the play leaves behind.

    Attributes:
        prediction: id of one prediction.
        row: the features of a real question.
        champion: the release that answers at the end.
        predictions: how many were answered.
        lost: how many requests were not answered with 200.
        seconds: how long all of it took.
    """

    prediction: str
    row: dict[str, object]
    champion: str
    predictions: int
    lost: int
    seconds: float


class Play:
    """Plays the year in a folder that was laid out.

    Args:
        root: the copy of the project.
        server: its running server.
        voice: how it speaks.
    """

    def __init__(self, root: Path, server: Server, voice: Voice) -> None:
        self._root = root
        self._voice = voice
        self._sender = Sender("127.0.0.1", server.port, ENDPOINT)
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._row: dict[str, object] = {}
        self._traffic = project.module("traffic")
        self._variants = project.module("variants")
        self._year = self._arrivals(4, 12)
        self._held: Arrival | None = None

    def play(self) -> Ending:
        """Play all acts; return what is there at the end."""
        with house.open_house(self._root) as home:
            self._first(home)
            self._voice.act("2. April to June: it answers live, and landings come in as labels")
            self._until_month(7, "")
            self._better(home)
            self._leaky(home)
            self._drift(home)
            return self._ending(home)

    # ------------------------------------------------------------------------------------------------------ acts
    def _first(self, home: House) -> None:
        self._voice.act("1. A first model: January to March, from a commit to live")
        self._train(home)
        self._deliver(home)
        self._months(home)
        self._sweep(home)

    def _months(self, home: House) -> None:
        """Backfill the schedule that counts each month, over the months that are over when the play begins."""
        site = home.site
        found = next(one for one in renewed(site, home.settings) if one.name == SCHEDULE)
        begin_us, end_us, spans = backfills.planned(found, *BACKFILL, site.clock.now_us())
        args = {span: arguments(site.root, found.said, interval(*span)) for span in spans}
        filled = site.db.write(
            lambda tx: backfills.begin(tx, site, found, (begin_us, end_us), spans, parallel=2, args_of=args.__getitem__)
        )
        carry_out(
            site, house.starts(home, only=lambda one: one.backfill == filled.id), lambda one: one.backfill == filled.id
        )
        with site.db.read() as rows:
            done = backfills.get(rows, filled.id)
            months = [keep.metrics(rows, one.run) for one in fires.of_backfill(rows, filled.id)]
        shares = [point.value for points in months for point in points if point.key == "share_late"]
        told = ", ".join(f"{share:.1%}" for share in shares)
        self._voice.say(f"schedule {found.name} ({found.said.when}), backfilled over {BACKFILL[0]} to {BACKFILL[1]}:")
        self._voice.say(f"  {done.state}, {len(spans)} runs; late were {told}")

    def _sweep(self, home: House) -> None:
        """Try numbers of leaves, each as a run of its own: what the training has fitted comes from the cache."""
        site, target = home.site, home.settings.pipeline
        planned = sweep_plan.planned(site, sweep_plan.Wanted(target=target, words=LEAVES, goal=GOAL, parallel=2))
        sweep, run = run_sweep(site, planned, on_begin=lambda _run, _again: None, on_trial=lambda _trial: None)
        with site.db.read() as rows:
            done, best = sweeps.counts(rows, run.id)[sweeps.DONE], sweeps.best(rows, sweep)
        given = " ".join(f"{name}={value}" for one in best for name, value in one.arguments().items())
        value = next((one.value for one in best if one.value is not None), float("nan"))
        told = f"{done} trials; best by {sweep.metric}: {given} with {value:.4f}"
        self._voice.say(f"sweep {run.name} {run.state}: {told}")

    def _better(self, home: House) -> None:
        self._voice.act("3. A better model: January to June. It climbs by itself while July flies")
        self._change("retrained")
        self._train(home)
        self._deliver(home)

    def _leaky(self, home: House) -> None:
        self._voice.act("4. A leaky model: great on every held-out row, and worse where it counts")
        self._change("leaky")
        self._train(home)
        fallen = self._deliver(home)
        if fallen is not None:
            raise Unavailable(
                "demo-leak-lived", "The leaky model was not caught.", where=fallen.id, why=f"it is {fallen.state}"
            )
        self._revert()
        self._until_month(9, "August flies on with the champion")

    def _drift(self, home: House) -> None:
        self._voice.act("5. September: fewer flights are late than ever. A monitor notices, a retraining starts")
        self._play(13, lambda: self._alert(home) is not None)
        found = self._alert(home)
        if found is None:
            raise Unavailable("demo-no-drift", "No drift alarm was raised by the end of the year.")
        self._voice.say(f"alarm: {found.monitor}: {found.reason}")
        self._voice.say("the retraining that it started:")
        done = self._retrained(home, found)
        self._voice.say(f"  run {done.name} {done.state} with {done.args}")
        self._deliver(home)
        self._until_month(13, "October to December: the retrained model answers")

    def _ending(self, home: House) -> Ending:
        with home.site.db.read() as rows:
            live = next(one for one in releases.listed(rows, name=ENDPOINT) if one.state == releases.LIVE)
        tally = self._sender.tally
        return Ending(
            prediction=tally.last_id,
            row=self._row,
            champion=live.id,
            predictions=tally.answered,
            lost=sum(tally.refused.values()),
            seconds=self._clock.monotonic() - self._began,
        )

    # ------------------------------------------------------------------------------------------------------ parts
    def _train(self, home: House) -> None:
        """Run the pipeline; its steps are told one by one the first time, and counted from then on."""
        first = not self._sender.tally.answered
        done = house.run(home, on_progress=self._voice.step if first else lambda _progress: None)
        with home.site.db.read() as rows:
            points = {point.key: point.value for point in keep.metrics(rows, done.run.id)}
        told = ", ".join(f"{name} {points[name]:.4f}" for name in ("roc_auc", "brier") if name in points)
        counts = f"{done.total} steps, {done.count('cached')} from the cache"
        self._voice.say(f"run {done.run.name} {done.run.state}: {counts}; on its holdout: {told}")

    def _change(self, name: str) -> None:
        variant = self._variants.apply(name, self._root)
        sha = project.commit(self._root, variant.message)
        self._voice.say(f"commit {sha[:10]} {variant.message}")

    def _revert(self) -> None:
        project.git(self._root, "revert", "--no-edit", "HEAD")
        self._voice.say(f"commit {project.git(self._root, 'rev-parse', 'HEAD')[:10]} takes the leak out again")

    def _deliver(self, home: House) -> Release | None:
        """Ship the newest model; play traffic while it is a canary. Return the release, or None when it fell."""
        climbing, ended = threading.Event(), threading.Event()
        outcome: list[Release | RopewalkError] = []

        def tell(progress: Progress) -> None:
            self._voice.stage(progress)
            if progress.stage == "canary" and progress.state == "waiting":
                climbing.set()

        def ship() -> None:
            try:
                outcome.append(house.ship(home, on_progress=tell))
            except RopewalkError as error:
                outcome.append(error)
            ended.set()
            climbing.set()

        walker = threading.Thread(target=ship, name="demo-ship")
        walker.start()
        climbing.wait()
        if not ended.is_set():
            self._play(13, ended.is_set)
        walker.join()
        found = outcome[0]
        if isinstance(found, Refused) and "canary" in found.what:
            self._voice.say(f"it fell back by itself: {found.why}")
            return None
        if isinstance(found, RopewalkError):
            raise found
        return found

    def _until_month(self, month: int, told: str) -> None:
        if told:
            self._voice.say(told)
        before = self._sender.tally.answered
        self._play(month, None)
        tally = self._sender.tally
        self._voice.say(f"{tally.answered - before:,} predictions answered, {tally.labels:,} labels known so far")

    def _play(self, month: int, until: Callable[[], bool] | None) -> None:
        """Send traffic up to the first of a month (13 is the year's end), or until somebody says that it is enough."""
        self._sender.play(self._before(month), until=until, per_second=PER_SECOND if until else 0.0)

    def _before(self, month: int) -> Iterator[Arrival]:
        while True:
            arrival = self._held or next(self._year, None)
            self._held = None
            if arrival is None:
                return
            if month <= len(MONTHS) and arrival.key[5:7] >= f"{month:02d}":
                self._held = arrival
                return
            self._row = dict(arrival.row)
            yield arrival

    def _arrivals(self, month_from: int, month_to: int) -> Iterator[Arrival]:
        for one in self._traffic.arrivals(month_from, month_to, SHARE):
            yield Arrival(at_us=one.asked_at, key=one.flight_id, row=one.row, label=one.late, known_us=one.known_at)

    def _alert(self, home: House) -> alert.Alert | None:
        """Return the alarm that asks for a retraining, closed again or not."""
        with home.site.db.read() as rows:
            found = [one for one in alert.listed(rows) if one.retrain]
        return found[-1] if found else None

    def _retrained(self, home: House, opened: alert.Alert) -> runs.Run:
        """Wait for the run that the alarm started."""
        end, pause = self._clock.monotonic() + RETRAIN_SECONDS_MAX, threading.Event()
        said = ""
        while self._clock.monotonic() < end:
            with home.site.db.read() as rows:
                said = alert.get(rows, opened.id).run
                done = None if " " in said or not said else runs.get(rows, said)
            if done is not None and done.over:
                return done
            pause.wait(0.1)
        raise Unavailable(
            "demo-no-retraining",
            "The alarm started no retraining that ended in time.",
            where=opened.subject,
            why=said[:200],
            fix=f"cat {self._root.name}/.ropewalk/log/up.log",
        )
