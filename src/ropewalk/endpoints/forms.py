"""The forms of a question: how a body becomes rows, whom they are asked of, and how what is given goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module

from ropewalk.clock import Clock
from ropewalk.endpoints import arrow, plain, protocol, scoring
from ropewalk.endpoints.asking import Patience, ask, pinned
from ropewalk.endpoints.problems import Scope
from ropewalk.endpoints.reply import JSON, OCTETS, Reply
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.switchboard import Route
from ropewalk.errors import Invalid

HEAD_HEADER = protocol.HEAD.lower().encode()
# Mark in the scope of a question that came by gRPC: its body is a message, and so is the answer's.
BY_RPC = "ropewalk.rpc"


class Question:
    """One request for predictions whose body has come, made once per request.

    Attributes:
        route: who answers.
        body: its bytes.
        media: their type, without parameters.
        headers: of the request.
        patience: which release, and how long.
        clock: the time.
    """

    __slots__ = ("body", "clock", "headers", "media", "patience", "route")

    def __init__(
        self,
        route: Route,
        body: bytes,
        *,
        media: bytes,
        headers: dict[bytes, bytes],
        patience: Patience,
        clock: Clock,
    ) -> None:
        self.route = route
        self.body = body
        self.media = media
        self.headers = headers
        self.patience = patience
        self.clock = clock

    @property
    def served(self) -> Served:
        """The release whose columns give the rows their names: the one that the caller named, or the champion."""
        pin = self.patience.pin
        return pinned(self.route, pin).served if pin else self.route.champion.served


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form.

    Attributes:
        takes: media types of its bodies.
        answer: from question to reply.
    """

    takes: tuple[bytes, ...]
    answer: Callable[[Question], Awaitable[Reply]]


async def _plain(question: Question) -> Reply:
    wish = _wish(question.headers)
    if question.media == JSON:
        asked = plain.decode(question.body, question.clock.now_us())
    else:
        asked = plain.decode_arrow(question.body, question.served, question.clock.now_us())
    if wish:
        await asyncio.to_thread(import_module, "polars")  # the first time it takes a while, and nobody else shall wait
    given = await ask(question.route, asked, question.patience, clock=question.clock)
    return plain.encode_arrow(given, wish) if wish else plain.encode(given)


def _wish(headers: dict[bytes, bytes]) -> bytes:
    """Return which of Arrow's formats the caller would rather have, or nothing."""
    accepted = headers.get(b"accept", b"")
    return next((media for media in (arrow.STREAM, arrow.FILE) if media in accepted), b"")


async def _infer(question: Question) -> Reply:
    asked, inference = protocol.decode(question.body, question.served, question.headers.get(HEAD_HEADER))
    given = await ask(question.route, asked, question.patience, clock=question.clock)
    return protocol.encode(given, inference, question.route.traffic.endpoint)


async def _score(question: Question) -> Reply:
    asked, params = scoring.decode(question.body, question.media, question.served)
    given = await ask(question.route, asked, question.patience, clock=question.clock)
    return scoring.encode(given, params)


async def _rpc(question: Question) -> Reply:
    from ropewalk.endpoints import rpcform

    asked, inference = rpcform.decode(question.body, question.served)
    given = await ask(question.route, asked, question.patience, clock=question.clock)
    return rpcform.encode(given, inference, question.route.traffic.endpoint)


PLAIN = Form(takes=(JSON, arrow.STREAM, arrow.FILE), answer=_plain)
# Triton's client names no type; what a page of another site sends without one bears its Origin, and ends at the guard.
INFER = Form(takes=(JSON, OCTETS, b""), answer=_infer)
SCORE = Form(takes=(JSON, scoring.CSV), answer=_score)
RPC = Form(takes=(b"",), answer=_rpc)


def form_of(scope: Scope, form: Form) -> Form:
    """Return the form of an inference request: a message where it came by gRPC."""
    return RPC if BY_RPC in scope else form


def media_of(headers: dict[bytes, bytes], form: Form) -> bytes:
    """Return the type of a body; a page of another site cannot send these unasked, a form's it can.

    Raises:
        Invalid: the form does not take it.
    """
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    kind = kind.strip().lower()
    charset = parameters.lower().partition(b"charset=")[2].strip(b"\"' ")
    if kind in form.takes and (charset in (b"", b"utf-8", b"utf8") or form is not SCORE):
        return kind
    taken = ", ".join(media.decode() for media in form.takes if media)
    raise Invalid(
        "media-type-unsupported",
        "The body is not of a type that is read here.",
        where="Content-Type",
        why=f"found {headers.get(b'content-type', b'').decode('latin-1')[:80]!r}; it takes {taken}, in UTF-8",
        fix="send the header Content-Type: application/json",
    )
