"""A turn: the questions that one round of the event loop brought, answered together, or left to the home process.

Only what goes well is answered here. A question that is malformed, breaks the contract or has anything to be warned of,
and one whose model fails, is left untouched: nothing of it is recorded, and the home process answers it as if it had
come there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ropewalk.clock import Clock
from ropewalk.endpoints import plain, protocol, scoring
from ropewalk.endpoints.asking import Asked, Given, ids_of
from ropewalk.endpoints.columnar import Columns
from ropewalk.endpoints.forms import HEAD_HEADER, INFER, PLAIN
from ropewalk.endpoints.goods import Stand
from ropewalk.endpoints.heads import Head
from ropewalk.endpoints.items import OK, statuses
from ropewalk.endpoints.journal import TRACE, framed
from ropewalk.endpoints.reply import Reply
from ropewalk.endpoints.routing import role_of
from ropewalk.endpoints.served import columns_of
from ropewalk.endpoints.tallies import Tallies
from ropewalk.errors import RopewalkError
from ropewalk.releases.traffic import Traffic
from ropewalk.telemetry.context import HEADER, trace_of

# So many rows are looked at column by column rather than one by one.
COLUMNAR_ROWS_MIN = 2


class Asker(Protocol):
    """Whoever asked: a connection."""

    @property
    def asks(self) -> bool:
        """Whether he is still there."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether nothing may be asked after this."""
        ...

    def answered(self, data: bytes) -> int:
        """Send an answer; return how many bytes it has."""
        ...

    def leave(self, question: Question) -> None:
        """Take a question back."""
        ...


class Question:
    """One request whose body is whole, made once per request.

    Attributes:
        head: of the request.
        body: its bytes.
        begun: when its bytes had come, by the monotonic clock.
        asked: its rows.
        wish: what else its form says.
        ids: of its predictions.
        given: its answer so far.
        line: whose it is.
        left: whether the home process has to answer it.
        reply: the answer.
    """

    __slots__ = ("asked", "begun", "body", "given", "head", "ids", "left", "line", "reply", "wish")

    def __init__(self, head: Head, body: bytes, begun: float, line: Asker) -> None:
        self.head = head
        self.body = body
        self.begun = begun
        self.line = line
        self.asked: Asked
        self.wish: Any = None
        self.ids: list[str] = []
        self.given: Given
        self.left = False
        self.reply: Reply | None = None


class Group:
    """The rows of a turn that fall to one release."""

    __slots__ = ("columns", "outputs", "places", "questions", "role", "stand")

    def __init__(self, stand: Stand, role: str) -> None:
        self.stand = stand
        self.role = role
        self.questions: list[Question] = []
        self.places: list[int] = []
        self.columns: Columns = {}
        self.outputs: Columns = {}

    def drop_left(self) -> None:
        """Forget the rows of questions that are left."""
        kept = [at for at, one in enumerate(self.questions) if not one.left]
        self.questions = [self.questions[at] for at in kept]
        self.places = [self.places[at] for at in kept]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows themselves."""
        return [one.asked.rows[place] for one, place in zip(self.questions, self.places, strict=True)]


class Turn:
    """Answers for one endpoint by one generation of its traffic.

    Args:
        traffic: who answers.
        stands: the releases, by name.
        clock: the time.
        write: appends bytes to the journal, before any answer leaves; None where nothing is captured.
        tallies: where it is counted.

    Attributes:
        takes_blocks: whether bodies of many rows may be asked here.
    """

    def __init__(
        self,
        traffic: Traffic,
        stands: dict[str, Stand],
        *,
        clock: Clock,
        write: Callable[[bytes], None] | None,
        tallies: Tallies,
    ) -> None:
        self.traffic = traffic
        self.champion = stands[traffic.champion]
        self.stands = stands
        self.takes_blocks = all(stand.takes_blocks for stand in stands.values())
        self._clock = clock
        self._write = write
        self._tallies = tallies

    def answer(self, questions: Sequence[Question]) -> None:
        """Answer questions, by their `reply`, or leave them."""
        at_us = self._clock.now_us()
        for one in questions:
            self._read(one, at_us)
        groups = self._groups([one for one in questions if not one.left], at_us)
        self._check(groups)
        # A question whose rows fall to two releases is answered by both or by none.
        while any(self._predict(group) for group in groups) or not self._encode(groups):
            pass
        self._record([group for group in groups if group.questions], at_us)

    # -------------------------------------------------------------------------------------------- reading
    def _read(self, one: Question, at_us: int) -> None:
        head, served = one.head, self.champion.served
        try:
            if head.form is PLAIN:
                one.asked = plain.decode(one.body, at_us)
            elif head.form is INFER:
                one.asked, one.wish = protocol.decode(one.body, served, head.headers.get(HEAD_HEADER))
            else:
                one.asked, one.wish = scoring.decode(one.body, head.media, served)
        except RopewalkError:
            one.left = True

    def _groups(self, questions: list[Question], at_us: int) -> list[Group]:
        traffic = self.traffic
        champion = Group(self.champion, "champion")
        canary = Group(self.stands[traffic.canary], "canary") if traffic.canary_weight_bp else None
        for one in questions:
            count = len(one.asked.rows)
            one.ids = ids_of(at_us, count)
            one.given = Given(one.ids, self.champion.warm)
            alone = True
            for place, key in enumerate(one.asked.keys):
                group = champion
                if canary is not None and role_of(traffic, key or one.ids[place]) == "canary":
                    group = canary
                else:
                    alone = False
                group.questions.append(one)
                group.places.append(place)
            if alone and canary is not None:
                one.given.warm = canary.stand.warm
        return [group for group in (champion, canary) if group is not None and group.questions]

    # ----------------------------------------------------------------------------------------- predicting
    def _check(self, groups: list[Group]) -> None:
        """Hold every row against its release's contract; leave the questions of those with a problem."""
        whole = True
        for group in groups:
            rows = group.rows()
            served = group.stand.served
            if served.columnar is not None and len(rows) >= COLUMNAR_ROWS_MIN:
                columns = served.columnar(rows)
                if columns is not None:
                    group.columns = columns
                    continue
            for one, row in zip(group.questions, rows, strict=True):
                if served.check(row):
                    one.left, whole = True, False
        for group in groups:
            if not whole:
                group.drop_left()
                group.columns = {}
            if group.questions and not group.columns:
                group.columns = columns_of(group.stand.served, group.rows())

    def _predict(self, group: Group) -> bool:
        """Ask a release's model; leave all that asked it, and say so, when its answers cannot be given."""
        if any(one.left for one in group.questions):
            group.drop_left()
            group.outputs = {}
            if group.questions:
                group.columns = columns_of(group.stand.served, group.rows())
        if group.outputs or not group.questions:
            return False
        rows = len(group.questions)
        try:
            found = group.stand.predictor.predict(group.columns, rows)
            fine = bool(found) and all(len(values) == rows for values in found.values())
            if fine and _are_ok(found, rows):
                group.outputs = found
                return False
        except Exception:  # noqa: BLE001, S110 - a model may raise anything; the home process finds and says what
            pass
        self._tallies.unfit += 1
        for one in group.questions:
            one.left = True
        return True

    # ------------------------------------------------------------------------------------------- answering
    def _encode(self, groups: list[Group]) -> bool:
        """Make the replies; say whether all that were asked could be made."""
        for group in groups:
            names = tuple(group.outputs)
            release = group.stand.served.release
            values = zip(*group.outputs.values(), strict=True)
            for one, at, row in zip(group.questions, group.places, values, strict=True):
                one.given.rows[at] = dict(zip(names, row, strict=True))
                one.given.releases[at] = release
        whole = True
        for group in groups:
            for one in group.questions:
                if one.reply is None and not one.left:
                    try:
                        one.reply = self._reply(one)
                    except RopewalkError:
                        one.left, whole = True, False
        return whole

    def _reply(self, one: Question) -> Reply:
        if one.head.form is PLAIN:
            return plain.encode(one.given)
        if one.head.form is INFER:
            return protocol.encode(one.given, one.wish, self.traffic.endpoint)
        return scoring.encode(one.given, one.wish)

    def _record(self, groups: list[Group], at_us: int) -> None:
        """Write what was answered down and count it; leave it where the disk refuses it."""
        if not groups:
            return
        now = self._clock.monotonic()
        took = [[int((now - one.begun) * 1_000_000) for one in group.questions] for group in groups]
        traces = [_traces(group) for group in groups]
        if self._write is not None:
            frames = [self._frame(*each, at_us) for each in zip(groups, took, traces, strict=True)]
            try:
                self._write(b"".join(frames))
            except OSError:
                for group in groups:
                    for one in group.questions:
                        one.left, one.reply = True, None
                return
        for group, each, own in zip(groups, took, traces, strict=True):
            self._tallies.batch(
                group.stand.served.release,
                group.role,
                each,
                ids=[one.ids[at] for one, at in zip(group.questions, group.places, strict=True)],
                traces=own,
                at_us=at_us,
            )

    def _frame(self, group: Group, took: list[int], traces: list[str], at_us: int) -> bytes:
        """Return a group as a frame of the journal, which the home process seals like its own."""
        traffic, rows = self.traffic, len(group.questions)
        both = list(zip(group.questions, group.places, strict=True))
        return framed(
            {
                "id": [one.ids[at] for one, at in both],
                "at_us": [at_us] * rows,
                "event_us": [one.asked.events[at] if one.asked.events else at_us for one, at in both],
                "endpoint": traffic.endpoint,
                "release": group.stand.served.release,
                "role": [group.role] * rows,
                "pair": [None] * rows,
                "key": [one.asked.keys[at] for one, at in both],
                "status": [OK] * rows,
                "error": "",
                "latency_us": took,
                "generation": [traffic.generation] * rows,
                "warnings": [0] * rows,
                **({TRACE: traces} if traces else {}),
                "in": group.columns,
                "out": group.outputs,
            }
        )


def _traces(group: Group) -> list[str]:
    """Return the trace of each row, empty for rows without one; nothing where no row has any."""
    headers = [one.head.headers.get(HEADER) for one in group.questions]
    return [trace_of(one) for one in headers] if any(headers) else []


def _are_ok(outputs: Columns, rows: int) -> bool:
    return statuses(outputs, rows).count(OK) == rows
