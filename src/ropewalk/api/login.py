"""The login: a page without scripts, a cookie that scripts cannot read, and its end."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from ropewalk.api.sender import page_before
from ropewalk.endpoints.guard import decode_json
from ropewalk.endpoints.problems import Headers, Scope, Send, answer, answer_json
from ropewalk.errors import Invalid

SECONDS = 12 * 3600
LOST = "You are no longer logged in, and nothing was changed. Log in, and send the form again."
FORM_BYTES_MAX = 8192
# A page of this server: `//host` and `/\host` are other servers to a browser.
_OWN_PAGE = re.compile(r"/([^/\\\x00-\x20\x7f][^\\\x00-\x20\x7f]*)?")
_FORM = "application/x-www-form-urlencoded"
_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    # With no-referrer a browser says `Origin: null` when it posts the form, and the guard turns it away.
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in - Ropewalk</title><link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/console.css"></head>
<body><main><h1>Log in</h1>{told}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<p><label>Name <input name="user" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>
<p>An administrator makes users: <code>ropewalk user add NAME</code></p></main></body></html>
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a login takes.

    Attributes:
        user: the name.
        password: his.
        next: the page of this server that follows.
    """

    user: str
    password: str
    next: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Who has logged in."""

    user: str


def read(body: bytes, kind: str) -> Entry:
    """Return what a login's body says.

    Raises:
        Invalid: it is neither JSON nor a form, or leads to another server afterwards.
    """
    if len(body) > FORM_BYTES_MAX:
        raise Invalid("body-too-large", "The body is too large.", where="/login", why=f"at most {FORM_BYTES_MAX} bytes")
    try:
        given = (
            dict(parse_qsl(body.decode(), max_num_fields=8, errors="strict")) if kind == _FORM else decode_json(body)
        )
        entry = msgspec.convert(given, Entry)
    except (ValueError, msgspec.ValidationError) as error:
        raise Invalid(
            "request-malformed",
            "A login is a name and a password.",
            where="/login",
            why="the body does not have them" if not isinstance(error, msgspec.ValidationError) else str(error),
            fix='POST {"user": "...", "password": "..."} as application/json',
        ) from None
    if "\0" in entry.user + entry.password:
        raise Invalid("text-with-nul", "A text holds a NUL character.", where="/login", fix="leave it out")
    if not _OWN_PAGE.fullmatch(entry.next):
        raise Invalid(
            "redirect-foreign", "After the login one is led to a page of this server only.", where="next", fix='"/"'
        )
    return entry


def kind_of(scope: Scope) -> str:
    """Return the media type of a request's body."""
    found = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return found.partition(b";")[0].strip().lower().decode("latin-1")


async def page(send: Send, status: int, *, after: str = "/", told: str = "", headers: Headers = ()) -> None:
    """Answer the login's page.

    Args:
        send: ASGI's.
        status: 200 where it was asked for, else why it is shown.
        after: where the caller wanted to go.
        told: what went wrong before.
        headers: besides the page's own.
    """
    target = after if _OWN_PAGE.fullmatch(after) else "/"
    words = f"<p role=alert>{html.escape(told)}</p>" if told else ""
    body = _PAGE.format(told=words, next=html.escape(target, quote=True)).encode()
    await answer(send, status, body, (*_HEADERS, *headers))


async def instead(scope: Scope, send: Send, here: str, *, headers: Headers) -> None:
    """Answer the login's page to who asked for another one, or sent a form when his session was over.

    Args:
        scope: ASGI's.
        send: ASGI's.
        here: the page that was asked for; who sent a form is led to the one that he sent it from.
        headers: besides the page's own.
    """
    formed = scope["method"] == "POST"
    await page(send, 401, after=page_before(scope) if formed else here, told=LOST * formed, headers=headers)


async def entered(send: Send, entry: Entry, secret: str, *, secure: bool, form: bool) -> None:
    """Answer a login that was right: the cookie, and the way on."""
    cookie = cookie_name(secure=secure) + b"=" + secret.encode() + _attributes(SECONDS, secure=secure)
    if form:
        await answer(send, 303, b"", (*_HEADERS, (b"set-cookie", cookie), (b"location", _ascii(entry.next))))
    else:
        await answer_json(send, 200, Entered(user=entry.user), ((b"set-cookie", cookie),))


async def left(send: Send, *, secure: bool) -> None:
    """Answer a logout: an empty cookie."""
    cookie = cookie_name(secure=secure) + b"=" + _attributes(0, secure=secure)
    await answer(send, 303, b"", (*_HEADERS, (b"set-cookie", cookie), (b"location", b"/login")))


def cookie_name(*, secure: bool) -> bytes:
    """Return the cookie's name; browsers keep `__Host-` for this host, its root and TLS alone."""
    return b"__Host-ropewalk" if secure else b"ropewalk"


def cookie_of(scope: Scope, *, secure: bool) -> bytes:
    """Return the secret of the cookie that came along, or nothing; of two with one name neither counts."""
    wanted = cookie_name(secure=secure)
    found = [
        value
        for header, values in scope["headers"]
        if header == b"cookie"
        for name, _, value in (pair.strip().partition(b"=") for pair in values.split(b";"))
        if name == wanted
    ]
    return found[0] if len(found) == 1 else b""


def _attributes(seconds: int, *, secure: bool) -> bytes:
    return b"; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d" % seconds + (b"; Secure" if secure else b"")


def _ascii(path: str) -> bytes:
    from urllib.parse import quote

    return quote(path, safe="/?&=%#:;,+@!$'()*~-._").encode()
