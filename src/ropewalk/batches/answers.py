"""Answers to records: the contract that the endpoint checks by, the worker that it asks, and why a row has none."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from ropewalk.batches.pieces import Record, Unread
from ropewalk.endpoints import batch as workers
from ropewalk.endpoints.columnar import ROWS_MIN
from ropewalk.endpoints.items import OK, Columns, statuses
from ropewalk.endpoints.served import Served, columns_of, read_served
from ropewalk.errors import RopewalkError
from ropewalk.site import Site

# A row that ends the model's process is to blame for it; what else is unavailable is the machine's.
_ENDED = frozenset({"worker-died", "worker-gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a row has no answer.

    Attributes:
        place: which of the records, from 0.
        code: as the endpoint would say it: `contract-broken`, `output-invalid`, `model-raised`; `row-unread` where it
            is no row at all.
        field: the column; empty where it is about the whole row.
        message: a sentence for people.
    """

    place: int
    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of some records.

    Attributes:
        places: which of them are answered, in order.
        outputs: their outputs by name, one value for each of `places`.
        faults: why the others are not, in order.
    """

    places: list[int]
    outputs: Columns
    faults: list[Fault]


class Answerer:
    """A release's model in a confined worker; use it in a `with` block.

    Args:
        site: the project.
        release: id of the release.
        bundle: digest of its bundle.
        environment: whose configuration counts.
        allowed: globals that the model may import besides the defaults (`scan.globals`).
    """

    def __init__(
        self, site: Site, release: str, bundle: str, *, environment: str, allowed: tuple[str, ...] = ()
    ) -> None:
        self.served: Served = read_served(site.blobs, release, bundle, environment)
        self._load = workers.load_of(
            site,
            self.served.manifest,
            code=self.served.code,
            allow_pickle=self.served.allow_pickle,
            allowed=allowed,
        )
        self._stack = ExitStack()
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._end()

    def answer(self, records: list[Record | Unread]) -> Answered:
        """Return the answers of some records, 2,048 at a time.

        Raises:
            Unavailable: no worker could be had, or it did not answer in time.
            RopewalkError: the model cannot be loaded.
        """
        places: list[int] = []
        outputs: Columns = {one.name: [] for one in self.served.outputs}
        faults: list[Fault] = []
        for at in range(0, len(records), workers.ROWS_A_MESSAGE):
            some = self._some(records[at : at + workers.ROWS_A_MESSAGE], at)
            places += some.places
            faults += some.faults
            for name, values in some.outputs.items():
                outputs.setdefault(name, []).extend(values)
        return Answered(places=places, outputs=outputs, faults=faults)

    def _some(self, records: list[Record | Unread], first: int) -> Answered:
        places, columns, faults = self._checked(records)
        outputs: Columns = {}
        kept: list[int] = []
        if places:
            kept, outputs, failed = self._asked(columns, list(range(len(places))))
            kept = [places[at] for at in kept]
            faults += [_raised(places[at], error) for at, error in failed]
            kept, outputs, odd = _judged(kept, outputs)
            faults += odd
        moved = sorted((_moved(fault, first) for fault in faults), key=lambda fault: fault.place)
        return Answered(places=[at + first for at in kept], outputs=outputs, faults=moved)

    def _checked(self, records: list[Record | Unread]) -> tuple[list[int], Columns, list[Fault]]:
        """Return which records fit the contract, with their columns, and what is wrong with the others."""
        columnar = self.served.columnar
        if columnar is not None and len(records) >= ROWS_MIN and not any(isinstance(one, Unread) for one in records):
            columns = columnar(records)  # type: ignore[arg-type]
            if columns is not None:
                return list(range(len(records))), columns, []
        places: list[int] = []
        rows: list[Record] = []
        faults: list[Fault] = []
        for place, record in enumerate(records):
            if isinstance(record, Unread):
                faults.append(Fault(place=place, code="row-unread", field="", message=record.why))
                continue
            wrong = next((one for one in self.served.check(record) if one.strict), None)
            if wrong is None:
                places.append(place)
                rows.append(record)
            else:
                said = f"{wrong.field!r} {wrong.message}"
                faults.append(Fault(place=place, code="contract-broken", field=wrong.field, message=said))
        return places, columns_of(self.served, rows) if rows else {}, faults

    def _asked(self, columns: Columns, places: list[int]) -> tuple[list[int], Columns, list[tuple[int, RopewalkError]]]:
        """Return outputs of the rows that the model answers, halving those that it fails on until it is one."""
        given = {name: [values[at] for at in places] for name, values in columns.items()}
        if self._connection is None:
            self._connection = self._stack.enter_context(workers.confined(self._load))
        try:
            return places, _ask(self._connection, given, len(places)), []
        except RopewalkError as error:
            if error.code in _ENDED:
                self._end()
            elif error.kind == "unavailable":
                raise
            if len(places) == 1:
                return [], {}, [(places[0], error)]
        half = len(places) // 2
        low, high = self._asked(columns, places[:half]), self._asked(columns, places[half:])
        outputs = {name: [*low[1].get(name, []), *high[1].get(name, [])] for name in {**low[1], **high[1]}}
        return low[0] + high[0], outputs, low[2] + high[2]

    def _end(self) -> None:
        self._connection = None
        self._stack.close()


def _ask(connection: socket.socket, columns: Columns, rows: int) -> dict[str, list[Any]]:
    try:
        return workers.ask_columns(connection, columns, rows)
    except TimeoutError as error:
        raise workers.too_slow() from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise workers.died() from error


def _moved(fault: Fault, by: int) -> Fault:
    return Fault(place=fault.place + by, code=fault.code, field=fault.field, message=fault.message)


def _raised(place: int, error: RopewalkError) -> Fault:
    return Fault(place=place, code=error.code, field="", message=f"{error.what} {error.why}".strip())


def _judged(places: list[int], outputs: Columns) -> tuple[list[int], Columns, list[Fault]]:
    """Take out the answers that the endpoint would not give: what is not finite, a probability beyond 0 to 1."""
    if not places:
        return places, outputs, []
    words = statuses(outputs, len(places))
    if all(word == OK for word in words):
        return places, outputs, []
    message = "The model's answer is not finite, or a probability outside of 0 to 1."
    faults = [
        Fault(place=place, code="output-invalid", field="", message=message)
        for place, word in zip(places, words, strict=True)
        if word != OK
    ]
    fine = [at for at, word in enumerate(words) if word == OK]
    return [places[at] for at in fine], {name: [values[at] for at in fine] for name, values in outputs.items()}, faults
