"""The Open Inference Protocol over gRPC: each call is put to the same app as a request over HTTP.

Its answer is told in gRPC's words. So whoever calls passes the same gate, caps, quotas, canary and capture; only the
bytes of a prediction are others. A call's message is read when the app has let its caller look around: to gRPC each
method takes a stream, of which one message is read, for of a single one all would be read before we are asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from hashlib import blake2b
from importlib import import_module
from time import monotonic
from typing import Any
from urllib.parse import unquote

import msgspec

from ropewalk.endpoints.forms import BY_RPC
from ropewalk.endpoints.guard import BODY_SECONDS_MAX
from ropewalk.endpoints.problems import App, Message, Receive, Scope, Send
from ropewalk.endpoints.rpchealth import health_servicer
from ropewalk.endpoints.rpclooks import LOOKS, NOT_FOUND, OK, segment
from ropewalk.endpoints.rpcmessages import FILE, METHODS, SERVICE, message, pool
from ropewalk.endpoints.rpcnames import named
from ropewalk.endpoints.server import Tls
from ropewalk.errors import Invalid, missing_extra

log = logging.getLogger(__name__)
CALLS_MAX = 1024
# Whom the app has let in may send messages for so long; each is put to it as a request of its own all the same.
KNOWN_SECONDS = 1.0
KNOWN_MAX = 1000
# What an empty message asks, whoever sends it.
_PUBLIC = frozenset(("ServerLive", "ServerReady"))
# What of a call's metadata the app may see: who calls, on whose behalf, of which workspace, in which trace, and what he
# wishes.
_TRACE = "traceparent"
_PASSED = frozenset(
    ("authorization", _TRACE, "x-forwarded-for", "x-forwarded-proto", "x-mlflow-workspace", "x-ropewalk-release")
)
_DEADLINE = b"x-ropewalk-deadline-ms"
# What each call has for itself, and the app does not judge it by.
_OWN = (_DEADLINE, _TRACE.encode())
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


def require_library() -> None:
    """Pass only where gRPC is installed.

    Raises:
        Missing: it is not; the error says how to get it.
    """
    # Whatever this process starts becomes another program at once: nothing of gRPC has to live on in it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        for library in ("grpc", "grpc_health.v1.health", "grpc_reflection.v1alpha.reflection"):
            _library(library)
    except ImportError:
        raise missing_extra("grpcio", "grpc") from None


def _library(name: str) -> Any:  # noqa: ANN401 - grpcio and its kin ship no types
    return import_module(name)


class RpcDoor:
    """An ASGI app around another one, which answers gRPC on a port of its own as long as the other lives.

    Args:
        app: what is asked, with lifespan.
        host: address to listen at.
        port: its number.
        body_bytes_max: longest message.
        tls: certificate and key; plain text when None.
    """

    def __init__(self, app: App, *, host: str, port: int, body_bytes_max: int, tls: Tls | None = None) -> None:
        self._app = app
        self._at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._port = port
        self._bytes_max = body_bytes_max
        self._tls = tls
        self._server: Any = None
        self._never = asyncio.Event()
        self._known: dict[bytes, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI; what is not the app's own beginning and end is passed on."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self._start()
                except (RuntimeError, OSError, ValueError) as error:
                    message = {"type": "lifespan.startup.failed", "message": f"gRPC at {self._at}: {error}"}
            await send(message)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self._server is not None:
                from ropewalk.endpoints.server import DRAIN_SECONDS_MAX

                await self._server.stop(DRAIN_SECONDS_MAX)  # before the app's own queues are emptied for good
            return message

        await self._app(scope, heard, told)

    async def _start(self) -> None:
        require_library()
        grpc, reflection = _library("grpc"), _library("grpc_reflection.v1alpha.reflection")
        server: Any = grpc.aio.server(
            maximum_concurrent_rpcs=CALLS_MAX,
            options=(
                ("grpc.max_receive_message_length", self._bytes_max),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ),
        )
        handlers = {
            name: grpc.stream_unary_rpc_method_handler(
                self._let_in(self._infer if name == "ModelInfer" else self._looked(name), public=name in _PUBLIC)
            )
            for name in METHODS
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health = _library("grpc_health.v1.health_pb2_grpc")
        health.add_HealthServicer_to_server(health_servicer(self._is_ready), server)
        reflection.enable_server_reflection(
            (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME), server, pool=_described()
        )
        if self._tls is None:
            server.add_insecure_port(self._at)
        else:
            pair = (self._tls.key.read_bytes(), self._tls.certificate.read_bytes())
            server.add_secure_port(self._at, grpc.ssl_server_credentials([pair]))
        await server.start()
        self._server = server

    # ------------------------------------------------------------------------------------------------- calls
    def _let_in(self, answer: Callable[[bytes, Any], Awaitable[bytes]], *, public: bool) -> Callable[..., Any]:
        """Return a handler that reads a call's message once its caller is known, and has it answered."""

        async def handle(messages: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: ANN401 - grpcio's
            if public:
                return await answer(b"", context)
            asked = _mark(context)
            if self._known.get(asked, 0.0) < monotonic():
                status, said = await self._asked("GET", "/v2", b"", context)
                if status != OK:
                    return await _abort(context, status, _said(said))
                if len(self._known) >= KNOWN_MAX:
                    self._known.clear()
                self._known[asked] = monotonic() + KNOWN_SECONDS
            try:
                async with asyncio.timeout(BODY_SECONDS_MAX):
                    body = await anext(messages, b"")
            except TimeoutError:
                return await _abort(context, 408, {"what": "The message did not come.", "where": "message"})
            return await answer(body, context)

        return handle

    async def _infer(self, body: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpcio ships no types
        try:
            name, version = named(body)
            path = f"/v2/models/{segment(name)}" + (f"/versions/{segment(version)}" if version else "") + "/infer"
        except Invalid as error:
            return await _abort(context, 400, error.record())
        status, answer = await self._asked("POST", path, body, context, rpc=True)
        if status == OK:
            return answer
        return await _abort(context, status, _said(answer))

    def _looked(self, name: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """Return the handler of a call that predicts nothing: what HTTP says of it, as a message."""
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError

        request, response, look = message(f"{name}Request"), message(f"{name}Response"), LOOKS[name]

        async def handle(body: bytes, context: Any) -> bytes:  # noqa: ANN401
            try:
                asked = request.FromString(body)
                verb, path, sent = look.address(asked)
            except DecodeError as error:
                return await _abort(context, 400, {"what": "The message cannot be read.", "why": str(error)})
            except Invalid as error:
                return await _abort(context, 400, error.record())
            status, answer = await self._asked(verb, path, sent, context)
            if status not in look.expected:
                return await _abort(context, status, _said(answer))
            told = look.members(status, _said(answer))
            found = json_format.ParseDict(told, response(), ignore_unknown_fields=True, descriptor_pool=pool())
            return found.SerializeToString()

        return handle

    async def _is_ready(self, name: str, context: Any) -> bool | None:  # noqa: ANN401
        """Say whether the server (an empty name, or the service's) or a model stands; None for one that is unknown."""
        try:
            path = "/v2/health/ready" if name in ("", SERVICE) else f"/v2/models/{segment(name)}/ready"
        except Invalid:
            return None
        status, _ = await self._asked("GET", path, b"", context)
        return None if status == NOT_FOUND else status == OK

    async def _asked(
        self,
        method: str,
        path: str,
        body: bytes,
        context: Any,  # noqa: ANN401 - grpcio's
        *,
        rpc: bool = False,
    ) -> tuple[int, bytes]:
        """Put a call to the app as a request; return status and body."""
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await self._never.wait()  # a caller who leaves has his call cancelled, and this with it
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        status, pieces = 500, list[bytes]()

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                pieces.append(message.get("body", b""))

        headers = [(b"host", f"localhost:{self._port}".encode()), (b"content-length", str(len(body)).encode())]
        headers += _metadata(context)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "2",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http" if self._tls is None else "https",
            "headers": headers,
            "client": peer(context.peer()),
            "server": ("localhost", self._port),
        }
        if rpc:
            scope[BY_RPC] = True
        await self._app(scope, receive, send)
        return status, b"".join(pieces)


def _described() -> Any:  # noqa: ANN401 - protobuf's
    """Return a pool of what is served, for clients that ask by reflection."""
    from google.protobuf import descriptor_pool

    found: Any = descriptor_pool.DescriptorPool()
    found.AddSerializedFile(pool().FindFileByName(FILE).serialized_pb)
    for name in ("grpc_health.v1.health_pb2", "grpc_reflection.v1alpha.reflection_pb2"):
        found.AddSerializedFile(_library(name).DESCRIPTOR.serialized_pb)
    return found


def _metadata(context: Any) -> Iterable[tuple[bytes, bytes]]:  # noqa: ANN401 - grpcio's
    for name, value in context.invocation_metadata() or ():
        if name in _PASSED:
            yield name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace")
    seconds = context.time_remaining()
    if seconds is not None:
        yield _DEADLINE, f"{max(seconds * 1000, 1):.3f}".encode()


def _mark(context: Any) -> bytes:  # noqa: ANN401 - grpcio's
    """Return what calls have in common that the app lets in or refuses alike; no secret can be read from it."""
    said = [peer(context.peer())[0], *(pair for pair in _metadata(context) if pair[0] not in _OWN)]
    return blake2b(repr(said).encode(), digest_size=16).digest()


def peer(text: str) -> tuple[str, int]:
    """Return address and port of a caller, as gRPC writes it: `ipv4:127.0.0.1:5001`, `ipv6:%5B::1%5D:5001`."""
    _, _, rest = unquote(text).partition(":")
    address, _, number = rest.rpartition(":")
    return address.strip("[]"), int(number) if number.isdigit() else 0


def _said(body: bytes) -> Any:  # noqa: ANN401 - JSON of ours
    try:
        return msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError:
        return {}


async def _abort(context: Any, status: int, said: dict[str, Any]) -> Any:  # noqa: ANN401 - never returns
    code = str(said.get("code", ""))
    word = "DEADLINE_EXCEEDED" if code == "deadline-passed" else _CODES.get(status, "INTERNAL")
    parts = [str(said.get(name, "")) for name in ("what", "where", "why", "fix")]
    details = str(said.get("error") or " ".join(part for part in parts if part))
    trailing = (("ropewalk-code", code),) if code else ()
    await context.abort(getattr(_library("grpc").StatusCode, word), details, trailing)
