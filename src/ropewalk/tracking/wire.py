"""One request to the tracking server, with nothing but the standard library, as the stock client's settings say."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit, urlunsplit

SECONDS = 30.0
CHUNK = 1 << 20
WORKSPACE = "X-MLFLOW-WORKSPACE"
# Nobody is at home, or asks to come back later: nothing was refused.
AWAY = frozenset((408, 425, 429, 502, 503, 504))


class Away(Exception):
    """The server does not answer now; nothing says whether it took the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said.

    Attributes:
        status: of HTTP.
        body: as it came.
    """

    status: int
    body: bytes

    @property
    def fine(self) -> bool:
        """Whether the server took it."""
        return http.client.OK <= self.status < http.client.MULTIPLE_CHOICES

    def read(self) -> dict[str, object]:
        """Return the body of JSON; empty when it is no object."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return cast("dict[str, object]", found) if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """MLflow's error code; empty when there is none."""
        return str(self.read().get("error_code", ""))


def bare(url: str) -> str:
    """Return an address without what it says of who asks, and without a slash at its end."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def credentials(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the header that says who asks, from the variables that the stock client reads; empty when they are not."""
    name, word = surroundings.get("MLFLOW_TRACKING_USERNAME"), surroundings.get("MLFLOW_TRACKING_PASSWORD")
    if name and word:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}
    token = surroundings.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def workspace_of(headers: Mapping[str, str]) -> str | None:
    """Return the workspace that headers name, empty for the server's own project; None where they say nothing."""
    return next((value for name, value in headers.items() if name.lower() == WORKSPACE.lower()), None)


def _placed(headers: Mapping[str, str], surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the workspace that they name, or else the one that the stock client would name now."""
    said = workspace_of(headers)
    named = surroundings.get("MLFLOW_WORKSPACE", "").strip() if said is None else said
    rest = {name: value for name, value in headers.items() if name.lower() != WORKSPACE.lower()}
    return {**rest, WORKSPACE: named} if named else rest


def send(
    url: str,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Path = b"",
    seconds: float = SECONDS,
    into: IO[bytes] | None = None,
) -> Answer:
    """Send a request and return the answer, whatever it says, unless it says to come back later.

    Args:
        url: the server's address.
        method: of HTTP.
        target: path and query below the address.
        headers: those of the body; a workspace that they name, be it empty, goes before `MLFLOW_WORKSPACE`.
        body: bytes, or the file that holds them, streamed.
        seconds: longest wait for the server's next word.
        into: takes the body of a good answer, piece by piece; the answer's own is empty then.

    Raises:
        Away: it does not answer, or asks to come back later.
    """
    parts = urlsplit(url)
    asked = _connection(parts.scheme, parts.netloc.rpartition("@")[2], seconds)
    size = body.stat().st_size if isinstance(body, Path) else len(body)
    all_headers = {**_placed(headers or {}, os.environ), **credentials(os.environ), "Content-Length": str(size)}
    try:
        if isinstance(body, Path):
            with body.open("rb") as file:
                asked.request(method, parts.path.rstrip("/") + target, file, all_headers)
        else:
            asked.request(method, parts.path.rstrip("/") + target, body or None, all_headers)
        answer = asked.getresponse()
        if into is not None and answer.status == http.client.OK:
            shutil.copyfileobj(answer, into, CHUNK)
        found = Answer(status=answer.status, body=answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Away(str(error) or type(error).__name__) from error
    finally:
        asked.close()
    if found.status in AWAY:
        raise Away(f"HTTP {found.status}")
    return found


def _connection(scheme: str, netloc: str, seconds: float) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(netloc, timeout=seconds)
    trust = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(netloc, timeout=seconds, context=trust)
