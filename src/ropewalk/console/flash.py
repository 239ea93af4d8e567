"""The sentence that a person reads after what he did: carried to the next page by his browser, signed by the server."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from ropewalk.console.forms import Done
from ropewalk.ledger.sign import Signer

COOKIE = "ropewalk-told"
SECONDS = 60
LETTERS_MAX = 300
# Nothing else that this key signs begins so, and the signature itself never leaves the server.
PURPOSE = b"ropewalk console: key of what is told on the next page"
SIZE_MAX = 3000
_DIGEST_LETTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is read once.

    Attributes:
        told: the sentence.
        undo: address of the form that takes it back, without what stands before all addresses; empty for none.
    """

    told: str
    undo: str


class Flash:
    """Writes and reads the cookie; what another server on this host wrote does not count.

    Args:
        base: below which path of the server the pages lie.
        signer: of the project, from whose key ours is made: each of several servers reads what another one wrote.
    """

    def __init__(self, base: str, signer: Signer) -> None:
        self._path = f"{base}/"
        self._signer = signer

    @cached_property
    def _key(self) -> bytes:
        return sha256(bytes.fromhex(self._signer.sign(PURPOSE))).digest()

    def put(self, request: Request, response: Response, done: Done) -> None:
        """Hand a sentence to the browser for the next page."""
        text = quote(json.dumps([done.told[:LETTERS_MAX], done.undo]), safe="")
        if len(text) > SIZE_MAX:
            text = quote(json.dumps([done.told[: LETTERS_MAX // 4], ""]), safe="")
        self._set(request, response, f"{self._sign(text)}{text}", SECONDS)

    def take(self, request: Request, response: Response) -> None:
        """Let the browser forget the sentence, now that it was shown."""
        if COOKIE in request.cookies:
            self._set(request, response, "", 0)

    def read(self, request: Request) -> Told | None:
        """Return the sentence that this page is to show, or None."""
        given = request.cookies.get(COOKIE, "")
        signature, text = given[:_DIGEST_LETTERS], given[_DIGEST_LETTERS:]
        if not text or not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        told, undo = json.loads(unquote(text))
        return Told(told=str(told), undo=str(undo))

    def _sign(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def _set(self, request: Request, response: Response, value: str, seconds: int) -> None:
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, value, max_age=seconds, path=self._path, secure=secure, httponly=True, samesite="strict"
        )
