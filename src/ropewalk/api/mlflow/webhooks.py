"""Routes of webhooks: create, list, change, try out and delete."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.verbs import reads, writes
from ropewalk.errors import Invalid
from ropewalk.store.database import Reader, Transaction
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.events import Event, event_of
from ropewalk.webhooks.send import Ways, try_out
from ropewalk.webhooks.target import target_of
from ropewalk.webhooks.webhook import Webhook, Wish

# Protocol buffers' numbers for what their JSON form writes as words.
_ENTITIES = (
    "", "registered_model", "model_version", "model_version_tag", "model_version_alias", "prompt", "prompt_version",
    "prompt_tag", "prompt_version_tag", "prompt_alias", "budget_policy",
)  # fmt: skip
_ACTIONS = ("", "created", "updated", "deleted", "set", "exceeded")
_STATUSES = ("", *webhooks.STATUSES)


class EventWord(Message, frozen=True, kw_only=True):
    """What happens to what."""

    entity: str | int = ""
    action: str | int = ""


class Created(Message, frozen=True, kw_only=True):
    """A new webhook."""

    name: str = ""
    url: str = ""
    events: list[EventWord] = []
    description: str = ""
    secret: str = ""
    status: str | int = ""


class Updated(Message, frozen=True, kw_only=True):
    """What is to change."""

    name: str = ""
    url: str = ""
    events: list[EventWord] = []
    description: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    status: str | int = ""


class Listed(Message, frozen=True, kw_only=True):
    """Which page."""

    max_results: int = 100
    page_token: str = ""


class Tried(Message, frozen=True, kw_only=True):
    """An example of which event."""

    event: EventWord | None = None


class WebhookWord(Message, frozen=True, kw_only=True):
    """One webhook; its secret is never told."""

    webhook_id: str
    name: str
    url: str
    events: list[EventWord]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""


class Answer(Message, frozen=True, kw_only=True):
    """An answer with one webhook."""

    webhook: WebhookWord


class ListAnswer(Message, frozen=True, kw_only=True):
    """A page of webhooks."""

    webhooks: list[WebhookWord] = []
    next_page_token: str = ""


class TestWord(Message, frozen=True, kw_only=True, omit_defaults=False):
    """What became of a trial."""

    success: bool
    response_status: int | UnsetType = UNSET
    response_body: str | UnsetType = UNSET
    error_message: str | UnsetType = UNSET


class TestAnswer(Message, frozen=True, kw_only=True):
    """An answer with what became of a trial."""

    result: TestWord


def create(call: Call) -> Answer:
    """Make a webhook."""
    asked: Created = call.body
    wish = Wish(
        name=asked.name,
        url=_checked(call, asked.url),
        events=_events(asked.events),
        description=asked.description,
        secret=asked.secret or None,
        status=_status(asked.status),
    )
    return call.site.db.write(lambda tx: _answer(tx, webhooks.create(tx, call.site, wish)))


def update(call: Call) -> Answer:
    """Change a webhook."""
    asked: Updated = call.body
    wish = Wish(
        name=asked.name or None,
        url=_checked(call, asked.url) if asked.url else None,
        events=_events(asked.events) or None,
        description=None if asked.description is UNSET else asked.description,
        secret=None if asked.secret is UNSET else asked.secret,
        status=_status(asked.status),
    )
    return call.site.db.write(lambda tx: _answer(tx, webhooks.update(tx, call.site, call.path["webhook_id"], wish)))


def get(reader: Reader, call: Call) -> Answer:
    """Return a webhook."""
    return _answer(reader, webhooks.get(reader, call.path["webhook_id"]))


def list_all(reader: Reader, call: Call) -> ListAnswer:
    """Return webhooks, newest first."""
    asked: Listed = call.body
    found, token = webhooks.listed(reader, count=asked.max_results or 100, token=asked.page_token)
    return ListAnswer(webhooks=[_word(reader, one) for one in found], next_page_token=token)


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a webhook."""
    webhooks.delete(tx, call.site, call.path["webhook_id"])
    return Nothing()


def test(call: Call) -> TestAnswer:
    """Send a webhook an example, and return what it answered."""
    with call.site.db.read() as reader:
        hook = webhooks.get(reader, call.path["webhook_id"])
        known = webhooks.events(reader, hook.id)
    wanted = _event(call.body.event) if call.body.event is not None else known[0]
    result = try_out(call.site, hook, wanted, _ways(call))
    return TestAnswer(result=msgspec.convert(result, TestWord))


def _ways(call: Call) -> Ways:
    return Ways(allow=call.house.settings.webhooks.allow)


def _checked(call: Call, url: str) -> str:
    """Return an address that a webhook may have: looked up here, and once more whenever something is sent."""
    ways = _ways(call)
    target_of(url, ways.allow, ways.resolve)
    return url


def _events(words: list[EventWord]) -> list[Event]:
    return [_event(one) for one in words]


def _event(word: EventWord) -> Event:
    return event_of(f"{_named(word.entity, _ENTITIES)}.{_named(word.action, _ACTIONS)}")


def _named(word: str | int, known: tuple[str, ...]) -> str:
    if isinstance(word, int):
        return known[word] if 0 < word < len(known) else str(word)
    return word.lower()


def _status(word: str | int) -> str | None:
    if word in ("", 0):
        return None
    if isinstance(word, int):
        if not 0 < word < len(_STATUSES):
            raise Invalid("status-unknown", "There is no such status.", where="status", why=f"found {word}")
        return _STATUSES[word]
    return word


def _answer(reader: Reader, hook: Webhook) -> Answer:
    return Answer(webhook=_word(reader, hook))


def _word(reader: Reader, hook: Webhook) -> WebhookWord:
    known = webhooks.events(reader, hook.id)
    return WebhookWord(
        webhook_id=hook.id,
        name=hook.name,
        url=hook.url,
        events=[EventWord(entity=one.entity.upper(), action=one.action.upper()) for one in known],
        status=hook.status,
        creation_timestamp=hook.created_us // 1000,
        last_updated_timestamp=hook.updated_us // 1000,
        description=hook.description,
    )


def _plain(method: str, path: str, work: Any, body: type[Message], result: type[Message]) -> Route:  # noqa: ANN401
    """Return a route that looks up a host or waits for one, which nobody does inside a transaction."""
    summary = str(work.__doc__).partition("\n")[0].removesuffix(".")
    return Route(
        method=method,
        path=path,
        work=work,
        how=How.PLAIN,
        body=body,
        result=result,
        action="operate",
        summary=summary,
    )


_AT = "/mlflow/webhooks"
_ONE = f"{_AT}/{{webhook_id}}"
ROUTES = (
    _plain("POST", _AT, create, Created, Answer),
    reads("GET", _AT, list_all, Listed, ListAnswer),
    reads("GET", _ONE, get, Nothing, Answer),
    _plain("PATCH", _ONE, update, Updated, Answer),
    writes("DELETE", _ONE, delete, Nothing, Nothing, "operate"),
    _plain("POST", f"{_ONE}/test", test, Tried, TestAnswer),
)
