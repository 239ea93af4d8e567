"""Delivering: changes of the registry are told to webhooks, again and again until they are heard or given up."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ropewalk.errors import NotFound, RopewalkError
from ropewalk.loops.work import Loop
from ropewalk.site import Site
from ropewalk.webhooks import delivery as deliveries
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.delivery import Delivery, Outcome
from ropewalk.webhooks.send import Ways, said, send

LOOK_SECONDS = 1.0
KEEP_DAYS = 30
PRUNE_SECONDS = 3600.0
SENDERS = 8
AGAIN_US = 10_000_000
_DAY_US = 86_400_000_000


class Deliver:
    """Queues what new events are to be told, and sends what is due.

    A message is claimed before it is sent and noted after, so that two processes send it once; when one is killed in
    between it is sent again, under the same id: at least once. One webhook that answers slowly holds up no other.

    Args:
        site: the project.
        ways: how the world is reached.
        keep_days: for how long it is kept what became of messages.
    """

    def __init__(self, site: Site, ways: Ways, keep_days: int = KEEP_DAYS) -> None:
        self._site = site
        self._ways = ways
        self._keep_days = keep_days
        self._halt = threading.Event()
        self._pruned: float | None = None

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("deliver", self.turn, seconds=seconds, on_stop=self._halt.set)

    def turn(self) -> bool:
        """Queue a page of events, send what is due; return True when there is more to do at once."""
        db, clock = self._site.db, self._site.clock
        with db.read() as reader:
            news = deliveries.has_news(reader)
        more = news and db.write(lambda tx: deliveries.queue(tx, self._site))
        self._prune()
        with db.read() as reader:
            waiting = deliveries.due(reader, clock.now_us())
        if not waiting or self._halt.is_set():
            return more and not self._halt.is_set()
        taken = db.write(lambda tx: deliveries.claim(tx, waiting, clock.now_us()))
        self._send(taken)
        return more or bool(taken)

    def _send(self, taken: Sequence[Delivery]) -> None:
        groups: dict[str, list[Delivery]] = defaultdict(list)
        for one in taken:
            groups[one.webhook].append(one)
        with ThreadPoolExecutor(min(SENDERS, max(1, len(groups))), thread_name_prefix="ropewalk-deliver") as threads:
            list(threads.map(self._tell, groups.values()))

    def _tell(self, messages: Sequence[Delivery]) -> None:
        """Send the messages of one webhook in the order of events; where nobody answers, the others are given back."""
        rest = list(messages)
        while rest := self._held(rest):
            outcome = None if self._halt.is_set() else self._try(rest[0])
            if outcome is None:
                return self._give_back(rest, 0)
            self._settle(outcome)
            rest = rest[1:]
            if not (outcome.status or outcome.dropped):
                return self._give_back(rest, AGAIN_US)
        return None

    def _held(self, rest: list[Delivery]) -> list[Delivery]:
        """Return what is still ours to send: claims that would end meanwhile are renewed first."""
        clock = self._site.clock
        if not rest or not deliveries.is_ending(rest[0], clock.now_us()):
            return rest
        return self._site.db.write(lambda tx: deliveries.renew(tx, rest, clock.now_us()))

    def _give_back(self, rest: Sequence[Delivery], pause_us: int) -> None:
        next_us = self._site.clock.now_us() + pause_us
        self._site.db.write(lambda tx: deliveries.release(tx, rest, next_us))

    def _settle(self, outcome: Outcome) -> None:
        self._site.db.write(lambda tx: deliveries.settle(tx, [outcome], self._site.clock.now_us()))

    def _try(self, one: Delivery) -> Outcome:
        try:
            with self._site.db.read() as reader:
                hook = webhooks.get(reader, one.webhook)
        except NotFound:
            return Outcome(delivery=one, error="the webhook is deleted", dropped=True)
        if hook.status != webhooks.ACTIVE:
            return Outcome(delivery=one, error="the webhook is disabled", dropped=True)
        try:
            found = send(self._site, hook, one.id, one.body, self._ways)
        except RopewalkError as error:
            return Outcome(delivery=one, error=f"{error.code}: {error.why}"[:400])
        except OSError as error:
            return Outcome(delivery=one, error=said(error))
        error = "" if 200 <= found.status < 300 else f"answered {found.status}"  # noqa: PLR2004 - HTTP's success
        return Outcome(delivery=one, status=found.status, error=error, retry_after=found.retry_after)

    def _prune(self) -> None:
        now = self._site.clock.monotonic()
        if self._pruned is not None and now - self._pruned < PRUNE_SECONDS:
            return
        self._pruned = now
        before_us = self._site.clock.now_us() - self._keep_days * _DAY_US
        self._site.db.write(lambda tx: deliveries.prune(tx, before_us))
