"""gRPC's own health service: whether the server, or a model by its name, stands ready now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

WATCH_SECONDS = 1.0
# Each holds one of the server's places for calls, for as long as its caller likes, and nobody asks who that is.
WATCHERS_MAX = 64
Ready = Callable[[str, Any], Awaitable[bool | None]]


def health_servicer(ready: Ready) -> Any:  # noqa: ANN401 - of grpc_health, which ships no types
    """Return the service.

    Args:
        ready: says of a name whether it stands; None for one that nobody knows.
    """
    from importlib import import_module

    grpc: Any = import_module("grpc")
    pb: Any = import_module("grpc_health.v1.health_pb2")
    of: Any = import_module("grpc_health.v1.health_pb2_grpc")
    words = {True: pb.HealthCheckResponse.SERVING, False: pb.HealthCheckResponse.NOT_SERVING}
    unknown = pb.HealthCheckResponse.SERVICE_UNKNOWN
    watchers = 0

    class Health(of.HealthServicer):
        async def Check(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's name
            found = await ready(request.service, context)
            if found is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.service[:80]!r} is not served here")
            return pb.HealthCheckResponse(status=words[bool(found)])

        async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802 - gRPC's name
            nonlocal watchers
            if watchers >= WATCHERS_MAX:
                told = f"{WATCHERS_MAX} watch already; ask Check now and then"
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, told)
            watchers += 1
            last = None
            try:
                while True:
                    found = await ready(request.service, context)
                    status = unknown if found is None else words[found]
                    if status != last:
                        last = status
                        yield pb.HealthCheckResponse(status=status)
                    await asyncio.sleep(WATCH_SECONDS)
            finally:
                watchers -= 1

    return Health()
