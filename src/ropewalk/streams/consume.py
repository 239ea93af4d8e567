"""The consumer: takes messages, has them scored, keeps what came of it, publishes, and only then says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from ropewalk.endpoints.gateway import Doorway
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.endpoints.sources import SiteSource
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.parts import Stream
from ropewalk.releases.traffic import FIRST_ENVIRONMENT, endpoint_name
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.streams import outcome
from ropewalk.streams.message import Broker, Message
from ropewalk.streams.outcome import AGAIN, DEAD, DONE, OVER, TRYING, Outcome, Seen, Taken
from ropewalk.streams.score import Gathered, Scored, answer, score

PAUSE_SECONDS = 0.5
PAUSE_SECONDS_MAX = 5.0
SEEN_US = 2_000_000
DAY_US = 86_400_000_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A message that is to be scored, with its id and how often the model failed on it."""

    message: Message
    id: str
    attempts: int


class Consumer:
    """One consumer of one stream.

    Args:
        site: the project.
        settings: its `ropewalk.toml`.
        stream: what is consumed.
        broker: where it lies.
        command: argv of a worker.
    """

    def __init__(
        self, site: Site, settings: Settings, stream: Stream, broker: Broker, *, command: tuple[str, ...] = COMMAND
    ) -> None:
        self.stop = asyncio.Event()
        self._site = site
        self._stream = stream
        self._broker = broker
        self._endpoint = stream.endpoint or endpoint_name(settings.model_name, FIRST_ENVIRONMENT)
        self._gathered = Gathered(site)
        source = SiteSource(site, "", allowed=settings.scan.globals)
        self._door = Doorway(source, serve=settings.serve, clock=site.clock, capture=self._gathered, command=command)
        self._seen_us = 0

    async def run(self) -> None:
        """Consume until `stop` is set; what was taken by then is finished first."""
        self._gathered.start()
        await self._door.board.start()
        pause = PAUSE_SECONDS
        try:
            while not self.stop.is_set():
                try:
                    await self._consume()
                    pause = PAUSE_SECONDS
                except RopewalkError as error:
                    await self._failed(f"{error.code}: {error.what} {error.why}".strip(), pause)
                except Exception as error:  # noqa: BLE001 - each client has errors of its own; told, and tried again
                    await self._failed(f"{type(error).__name__}: {error}", pause)
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
        finally:
            await self._door.board.stop()

    async def _failed(self, why: str, pause: float) -> None:
        log.warning("stream %s: %s", self._stream.name, why)
        try:
            await asyncio.to_thread(self._tell, None, why[:500])
        except RopewalkError as error:
            log.warning("stream %s: %s", self._stream.name, error.what)
        await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return

    async def _consume(self) -> None:
        """Connect, publish what a killed consumer has left, then take batch after batch."""
        opened = False
        try:
            while not self.stop.is_set():
                if await asyncio.to_thread(self._paused):
                    if opened:  # what was taken and not begun goes to others
                        return await self._rest(PAUSE_SECONDS)
                    await self._rest(PAUSE_SECONDS)
                    continue
                if not opened:
                    await self._broker.open()
                    opened = True
                    await self._publish(await asyncio.to_thread(self._rows, "streams.unpublished"))
                again = await asyncio.to_thread(self._rows, "streams.in_state", state=AGAIN)
                if again:
                    await self._batch([self._revived(one) for one in again], revived=True)
                taken = await self._broker.take(self._stream.batch, self._stream.linger_ms / 1000)
                if taken:
                    await self._batch(taken, revived=False)
                await self._look()
        finally:
            await self._broker.close()

    # -------------------------------------------------------------------------------------------- a batch
    async def _batch(self, messages: Sequence[Message], *, revived: bool) -> None:
        """Bring every message of a batch to its end, then tell the broker that all of it is done."""
        waiting = await self._sorted(messages, revived=revived)
        pause = PAUSE_SECONDS / 5
        while waiting:
            if self.stop.is_set():
                return  # nothing of it is done for the broker: it comes again
            scored = await score(
                self._door.board, self._endpoint, [one.message.body for one in waiting], self._site.clock
            )
            waiting = await self._settled(waiting, scored)
            if waiting:
                await self._rest(pause)
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
        if not revived:
            await self._broker.done(messages)

    async def _sorted(self, messages: Sequence[Message], *, revived: bool) -> list[_Taken]:
        """Return what is to be scored, each id once; publish again what was settled and not published."""
        found: dict[str, _Taken] = {}
        for one in messages:
            try:
                name = one.id if revived else identity(one, self._stream.id)
            except Invalid as error:
                lost = f"unnamed:{one.position or outcome.digest(one.body)}"
                await self._keep(_Taken(message=one, id=lost, attempts=0), error)
                continue
            row = await asyncio.to_thread(self._known, name)
            if row is not None and row.state in OVER:
                if not row.published:
                    await self._publish([row])
                continue
            found.setdefault(name, _Taken(message=one, id=name, attempts=row.attempts if row else 0))
        return list(found.values())

    async def _keep(self, taken: _Taken, error: RopewalkError) -> None:
        """Keep a message as a dead letter without asking anybody."""
        row = await asyncio.to_thread(self._known, taken.id)
        if row is None:
            one = self._outcome(taken, Scored(given=None, error=error), state=DEAD)
            await asyncio.to_thread(outcome.settle, self._site, self._endpoint, [(one, 0)], None, None)
            await self._publish([one])

    async def _settled(self, waiting: list[_Taken], scored: list[Scored]) -> list[_Taken]:
        """Keep what is settled, publish it, and return what has to be asked again."""
        later = [one for one, said in zip(waiting, scored, strict=True) if said.patient]
        ready = [(one, said) for one, said in zip(waiting, scored, strict=True) if not said.patient]
        told = [(self._outcome(one, said), one.attempts) for one, said in ready]
        ids = {name for _, said in ready if said.given is not None for name in said.given.ids}
        if told:
            lost = [one.position for one, _ in told]
            seen = Seen(name=self._stream.name, paused=0, position=lost[-1], lag=None, seen_us=None, problem="")
            rows = self._gathered.take(ids)
            try:
                await asyncio.to_thread(
                    outcome.settle,
                    self._site,
                    self._endpoint,
                    told,
                    rows,
                    replace(seen, seen_us=self._site.clock.now_us()),
                )
            except Taken as error:
                # Another consumer was faster with one of them: the others are asked again, their rows with them.
                log.info("stream %s: %s was settled elsewhere", self._stream.name, error.message)
                return await self._fresh([one for one in waiting if one.id != error.message])
            await self._publish([one for one, _ in told if one.state in OVER])
        failed = [
            replace(one, attempts=said.attempts)
            for (one, _), (said, _) in zip(ready, told, strict=True)
            if said.state == TRYING
        ]
        return later + failed

    async def _fresh(self, waiting: list[_Taken]) -> list[_Taken]:
        """Return what is still to be scored, with the attempts that its row has now."""
        found: list[_Taken] = []
        for one in waiting:
            row = await asyncio.to_thread(self._known, one.id)
            if row is None or row.state not in OVER:
                found.append(replace(one, attempts=row.attempts if row else 0))
        return found

    def _outcome(self, taken: _Taken, said: Scored, *, state: str = "") -> Outcome:
        failed = said.error is not None
        attempts = taken.attempts + int(failed)
        if not state:
            over = said.hopeless or attempts > self._stream.retries
            state = DEAD if failed and over else TRYING if failed else DONE
        error = "" if said.error is None else f"{said.error.code}: {said.error.what} {said.error.why}".strip()
        result = ""
        if state == DONE and self._stream.results and said.given is not None:
            result = answer(taken.id, said.given)
        if state == DEAD and self._stream.dead:
            body = outcome.as_text(taken.message.body)
            result = msgspec.json.encode({"message": taken.id, "error": error, "body": body}).decode()
        return Outcome(
            stream=self._stream.name,
            message=taken.id,
            state=state,
            attempts=attempts,
            prediction=said.given.ids[0] if said.given else "",
            release=said.given.releases[0] if said.given else "",
            position=taken.message.position,
            body="" if state == DONE else outcome.as_text(taken.message.body),
            result=result,
            published=int(not result),
            error=error,
            at_us=self._site.clock.now_us(),
        )

    async def _publish(self, rows: Sequence[Outcome]) -> None:
        """Publish what is not published yet; the same id and the same bytes, whoever does it how often."""
        due = [one for one in rows if not one.published]
        for one in due:
            topic = self._stream.results if one.state == DONE else self._stream.dead
            if topic:
                await self._broker.put(topic, one.result.encode(), f"{one.stream}:{one.message}")
        if due:
            await asyncio.to_thread(outcome.published, self._site, due)

    # --------------------------------------------------------------------------------------------- the rows
    def _paused(self) -> bool:
        with self._site.db.read() as reader:
            found = reader.get(Seen, "streams.stream", name=self._stream.name)
        return found is not None and bool(found.paused)

    def _known(self, message: str) -> Outcome | None:
        with self._site.db.read() as reader:
            return outcome.known(reader, self._stream.name, message)

    def _rows(self, query: str, **more: str) -> list[Outcome]:
        with self._site.db.read() as reader:
            return reader.all(Outcome, query, stream=self._stream.name, count=self._stream.batch, **more)

    def _revived(self, one: Outcome) -> Message:
        return Message(id=one.message, position=one.position, body=outcome.as_bytes(one.body), headers={}, token=None)

    async def _look(self) -> None:
        """Every two seconds: write down how much waits, and forget messages that are too old to come again."""
        now = self._site.clock.now_us()
        if now - self._seen_us >= SEEN_US:
            self._seen_us = now
            await asyncio.to_thread(self._tell, await self._broker.lag(), "")

    def _tell(self, lag: int | None, problem: str) -> None:
        now = self._site.clock.now_us()
        seen = Seen(name=self._stream.name, paused=0, position="", lag=lag, seen_us=now, problem=problem)

        def work(tx: Transaction) -> None:
            outcome.see(tx, seen)
            before_us = now - self._stream.keep_days * DAY_US
            tx.run("streams.old", stream=self._stream.name, before_us=before_us)

        self._site.db.write(work)


def identity(message: Message, wanted: str) -> str:
    """Return what makes a message the same when it comes again.

    Args:
        message: the message.
        wanted: the stream's `id`.

    Raises:
        Invalid: nothing says so.
    """
    found: object = message.id
    if wanted.startswith("header:"):
        found = message.headers.get(wanted.removeprefix("header:"), "")
    elif wanted:
        try:
            said: object = msgspec.json.decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = None
        found = cast("dict[str, Any]", said).get(wanted, "") if isinstance(said, dict) else ""
    name = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not name or len(name) > outcome.ID_LETTERS_MAX:
        raise Invalid(
            "stream-message-unnamed",
            "The message does not say what makes it the same when it comes again.",
            why=f"wanted {wanted or 'message_id'}, at most {outcome.ID_LETTERS_MAX} letters",
            fix="publish it with a message_id, or set id in [[streams]]",
        )
    return name


def serve(consumer: Consumer) -> None:
    """Run a consumer until SIGTERM or SIGINT, which let the batch that was begun be finished."""
    import signal

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, consumer.stop.set)
        await consumer.run()

    asyncio.run(whole())
