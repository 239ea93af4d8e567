"""Sends a journal's calls in their order, each counted once: what the server has already is found, not made again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from ropewalk.errors import Refused
from ropewalk.refs import name_clause
from ropewalk.tracking import wire
from ropewalk.tracking.journal import Call, Journal, Standing

MARK = "ropewalk.spool_id"
ARTIFACTS = "mlflow-artifacts:/"
API = "/api/2.0/mlflow"
JSON = {"Content-Type": "application/json"}
SHELF = "spooled/"
WORDS_MAX = 500
# What is escaped, in an address or in JSON, is none of the word that follows; a folder stands as one word.
_WORD = re.compile(rf"%[0-9A-Fa-f]{{2}}|\\u[0-9A-Fa-f]{{4}}|\\.|{SHELF}[0-9A-Za-z-]+/artifacts|[0-9A-Za-z-]+")
Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a sending came to.

    Attributes:
        sent: calls that the server took now.
        refused: calls that it refused now.
        waiting: calls that are left, because the server went away.
        away: why it did not go on; empty when all was sent.
    """

    sent: int
    refused: int
    waiting: int
    away: str = ""


def replay(
    journal: Journal, *, url: str = "", on_call: Callable[[Standing], None] | None = None, seconds: float = wire.SECONDS
) -> Sent:
    """Send what a journal holds; whatever ends it, the next sending goes on where this one stopped.

    Args:
        journal: held by the caller.
        url: the server; the one that the calls were made to when empty.
        on_call: told how far it is after each call.
        seconds: longest wait for one answer.

    Raises:
        Refused: the server does not know who asks, or he may not.
        Corrupt: the journal is damaged.
    """
    server = _Server(url or journal.url, seconds)
    standing = journal.standing()
    first, refused = standing.done, len(standing.refused)
    away = ""
    for call in journal.calls(standing.done):
        try:
            ids, words = _step(server, journal, call, standing.ids)
        except wire.Away as error:
            away = str(error)
            break
        told = {str(call.number): words} if words else {}
        # A body is deleted once it is sure that nobody needs it; whatever else is sent again is counted once.
        standing = journal.stand(call.number + 1, ids=ids, refused=told, settle=bool(call.file or ids or told))
        if not told:
            journal.forget_body(call)
        if on_call is not None:
            on_call(standing)
    now_refused = len(standing.refused) - refused
    return Sent(
        sent=standing.done - first - now_refused,
        refused=now_refused,
        waiting=len(journal) - standing.done,
        away=away,
    )


def renamed(text: str, ids: Mapping[str, str]) -> str:
    """Return a text in which every id that the client was given stands as the server calls it: whole words only."""
    return _WORD.sub(lambda found: ids.get(found[0], found[0]), text) if ids else text


def named(ids: Mapping[str, str]) -> dict[str, str]:
    """Return the server's ids by those that the client was given, without the folders."""
    return {mine: theirs for mine, theirs in ids.items() if not mine.startswith(SHELF)}


class _Server:
    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self.workspace = ""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: object) -> wire.Answer:
        data = body if not isinstance(body, dict) else json.dumps(body).encode()
        headers = {**headers, wire.WORKSPACE: self.workspace}  # where it was meant then, wherever this process is now
        answer = wire.send(self._url, method, target, headers=headers, body=cast("bytes", data), seconds=self._seconds)
        if answer.status in (401, 403):
            raise Refused(
                "spool-not-allowed",
                "The server does not let these calls in.",
                where=wire.bare(self._url),
                why=_words(answer),
                fix="export MLFLOW_TRACKING_TOKEN=..., then: ropewalk spool sync",
            )
        return answer

    def ask(self, target: str, body: Json | None = None) -> Json:
        """Return the answer to a question; empty when there is none."""
        answer = self.send("GET" if body is None else "POST", API + target, JSON, body if body is not None else b"")
        return answer.read() if answer.fine else {}


def _step(server: _Server, journal: Journal, call: Call, ids: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Send a call; return the names that it brought, and the server's words if it refused."""
    server.workspace = wire.workspace_of(call.headers) or ""
    target = renamed(call.target, ids)
    body: bytes | Json | object = journal.body(call)
    if call.body:
        body = renamed(call.body, ids).encode()
    made = _found(server, call, body) if call.made else {}
    if not made:
        answer = server.send(call.method, target, call.headers, body)
        if not answer.fine and not _had_already(call, answer):
            return {}, f"{call.method} {target}: {_words(answer)}"
        if call.made:
            made = answer.read() if answer.fine else _found(server, call, body)
    return _names(call.made, made), ""


def _found(server: _Server, call: Call, body: object) -> Json:
    """Return what a call that makes something has made already, as its own answer would say it; empty if nothing."""
    said = cast("Json", json.loads(cast("bytes", body)))
    mark = marked(said)
    kind = call.target.partition("?")[0].partition("/mlflow/")[2]
    if kind == "runs/create":
        wanted: Json = {
            "experiment_ids": [str(said.get("experiment_id", "0"))],
            "filter": f"tags.`{MARK}` = '{mark}'",
            "run_view_type": "ALL",
            "max_results": 1,
        }
        return _first(server.ask("/runs/search", wanted), "runs", "run")
    if kind == "logged-models":
        wanted = {
            "experiment_ids": [str(said.get("experiment_id", "0"))],
            "filter": f"tags.`{MARK}` = '{mark}'",
            "max_results": 1,
        }
        return _first(server.ask("/logged-models/search", wanted), "models", "model")
    if kind == "model-versions/create":
        wanted_text = quote(f"{name_clause(str(said.get('name')))} and tags.`{MARK}` = '{mark}'")
        return _first(server.ask(f"/model-versions/search?filter={wanted_text}"), "model_versions", "model_version")
    if kind == "experiments/create":
        found = server.ask(f"/experiments/get-by-name?experiment_name={quote(str(said.get('name')))}")
        one = cast("Json", found.get("experiment", {}))
        return {"experiment_id": one["experiment_id"]} if one else {}
    return {}


def marked(body: Json) -> str:
    """Return the tag by which what a call makes is found again; empty when it has none."""
    tags = cast("list[Json]", body.get("tags") or [])
    return next((str(one.get("value")) for one in tags if one.get("key") == MARK), "")


def _first(answer: Json, many: str, one: str) -> Json:
    found = cast("list[Json]", answer.get(many) or [])
    return {one: found[0]} if found else {}


def _names(made: str, answer: Json) -> dict[str, str]:
    """Return the server's words for the ids that the client was given, from what the server says that it made."""
    if not made:
        return {}
    names: dict[str, str] = {}
    run = cast("Json", cast("Json", answer.get("run", {})).get("info", {}))
    model = cast("Json", cast("Json", answer.get("model", {})).get("info", {}))
    version = cast("Json", answer.get("model_version", {}))
    for found, key in ((run, "run_id"), (model, "model_id"), (version, "version"), (answer, "experiment_id")):
        if key in found:
            location = str(found.get("artifact_uri", ""))
            # The folder first: it holds the id, which is shorter.
            if location.startswith(ARTIFACTS):
                names[shelf(made)] = location.removeprefix(ARTIFACTS).lstrip("/")
            if str(found[key]) != made:
                names[made] = str(found[key])
            break
    return names


def shelf(made: str) -> str:
    """Return where the artifacts of a run or model lie, as the client is told while the server is away."""
    return f"{SHELF}{made}/artifacts"


def _had_already(call: Call, answer: wire.Answer) -> bool:
    """Say whether a refusal only says that the call was taken before."""
    kind = call.target.partition("?")[0].partition("/mlflow/")[2]
    if answer.code == "RESOURCE_ALREADY_EXISTS":
        return kind in ("experiments/create", "registered-models/create")
    return answer.code == "RESOURCE_DOES_NOT_EXIST" and (kind.endswith("delete-tag") or call.method == "DELETE")


def _words(answer: wire.Answer) -> str:
    said = answer.read()
    words = (
        f"{said.get('error_code', '')} {said.get('message', '')}".strip()
        if said
        else answer.body[:200].decode(errors="replace")
    )
    return f"HTTP {answer.status} {words}"[:WORDS_MAX]
