"""What requests add to a workspace, and whether its quota has room: looked up before, reckoned with after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from ropewalk.api.mlflow.metrics import LogBatch
from ropewalk.api.mlflow.route import Call, Route
from ropewalk.api.mlflow.transfer import header
from ropewalk.endpoints.guard import Stop
from ropewalk.endpoints.problems import Message, Receive, Send
from ropewalk.errors import RopewalkError
from ropewalk.store.database import Transaction
from ropewalk.workspaces.account import Account, Level
from ropewalk.workspaces.meter import Meter

_ONE_RUN, _ONE_POINT = Level(runs=1), Level(points=1)


def _of_batch(body: LogBatch) -> Level:
    return Level(points=len(body.metrics))


def _of_run(_body: object) -> Level:
    return _ONE_RUN


def _of_point(_body: object) -> Level:
    return _ONE_POINT


def _of_trace(body: object) -> Level:
    return Level(bytes=len(msgspec.json.encode(body)))


MADE = "/mlflow/runs/create"
# What adds runs, points or bytes; everything else adds none.
ADDS: dict[str, Callable[[Any], Level]] = {
    MADE: _of_run,
    "/mlflow/runs/restore": _of_run,
    "/mlflow/runs/log-metric": _of_point,
    "/mlflow/runs/log-batch": _of_batch,
    "/mlflow/traces": _of_trace,
}
# What brings back as many runs as there are: counted in its transaction.
RESTORES = "/mlflow/experiments/restore"
# What brings files, or spans.
BRINGS = frozenset(
    (
        "/mlflow-artifacts/artifacts/{path:rest}",
        "/mlflow/upload-artifact",
        "/mlflow-artifacts/mpu/part/{upload_id}/{part}",
        "/v1/traces",
    )
)


class Till:
    """Asks the account of one workspace.

    Args:
        account: its levels and quota.
        meter: where runs that are made are counted.
        workspace: its id.
    """

    def __init__(self, account: Account, meter: Meter, workspace: str) -> None:
        self._account = account
        self._meter = meter
        self._workspace = workspace

    @property
    def counts_bytes(self) -> bool:
        """Whether bytes of files are limited."""
        return bool(self._account.quota.bytes_max)

    def asks(self, route: Route) -> bool:
        """Say whether a route adds something that is limited, or counted."""
        limited = self._account.limited
        adds = (route.path in ADDS and route.method != "GET") or route.path == RESTORES
        return route.path == MADE or (limited and adds)

    def require(self, route: Route, tx: Transaction) -> None:
        """Pass only what a transaction has brought back and the quota has room for.

        Raises:
            Unavailable: it has not.
        """
        if route.path == RESTORES:
            self._account.require_runs(tx)

    async def take(self, route: Route, body: Any) -> Level | None:  # noqa: ANN401 - the route's struct
        """Reckon with what a request is about to add; return it, or None where nothing is limited.

        Raises:
            Unavailable: the quota has no room for it.
        """
        if not self._account.limited or route.path == RESTORES:
            return None
        wanted = ADDS[route.path](body)
        await self._take(wanted)
        return wanted

    async def _take(self, wanted: Level) -> None:
        account = self._account
        fits = account.fits(wanted)
        # Before anybody is turned away it is counted: something may have been deleted.
        if not fits and (fits is None or account.stale()):
            await asyncio.to_thread(account.recount)
            fits = account.fits(wanted)
        if not fits:
            raise account.refusal(wanted)
        account.take(wanted)

    def give_back(self, wanted: Level) -> None:
        """Reckon without what was not added after all."""
        self._account.give_back(wanted)

    def done(self, route: Route, user: str, wanted: Level | None) -> None:
        """Note that what a request adds is added."""
        if wanted is not None:
            self._account.settle(wanted)
        if route.path == RESTORES:
            self._account.forget()
        if route.path == MADE:
            self._meter.add_runs(self._workspace, user, 1)

    async def serve(self, route: Route, call: Call, receive: Receive, send: Send) -> None:
        """Run a route that streams; one that brings a file ends it at the quota's edge.

        Raises:
            Unavailable: the length that is said is more than the quota has room for.
        """
        if route.path not in BRINGS or not self._account.quota.bytes_max:
            await route.work(call, receive, send)
            return
        said = header(call.scope, b"content-length")
        taken = Level(bytes=int(said[:19]) if said.isdigit() else 0)
        await self._take(taken)
        left = taken.bytes

        async def counted() -> Message:
            nonlocal taken, left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                more = Level(bytes=-left)
                try:
                    await self._take(more)
                except RopewalkError as error:
                    raise Stop(error) from error
                taken, left = taken.plus(more), 0
            return message

        try:
            await route.work(call, counted, send)
        except BaseException:
            self._account.give_back(taken)
            raise
        self._account.settle(taken)
