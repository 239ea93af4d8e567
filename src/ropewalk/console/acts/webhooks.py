"""Webhooks are created, changed, tried out, paused and deleted."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.store.database import Reader, Transaction
from ropewalk.webhooks import delivery as deliveries
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.events import EXAMPLES, Event, event_of
from ropewalk.webhooks.send import Ways, try_out
from ropewalk.webhooks.target import target_of
from ropewalk.webhooks.webhook import Webhook, Wish

HOME = "/webhooks/{webhook}/do"
ANSWER_LETTERS = 160
SECRET = Field(
    name="secret",
    label="Secret",
    kind="password",
    hint="Messages are signed with it (X-MLflow-Signature). It is never shown again.",
    size=webhooks.SECRET_LETTERS_MAX,
)


def _found(given: Given, rows: Reader) -> Webhook:
    return webhooks.get(rows, given.path["webhook"])


def _home(hook: Webhook) -> str:
    return f"/webhooks/{hook.id}"


def _sheet(hook: Webhook, title: str, button: str, *told: str) -> Sheet:
    return Sheet(title=f"{title} {hook.name}", button=button, back=_home(hook), back_word=hook.name, told=told)


def _fields(hook: Webhook | None, events: tuple[Event, ...]) -> tuple[Field, ...]:
    said = {} if hook is None else {"name": hook.name, "url": hook.url, "description": hook.description}
    own = {name: (value,) if value else () for name, value in said.items()}
    return (
        Field(name="name", label="Name", values=own.get("name", ()), required=True, size=63),
        Field(
            name="url",
            label="Address",
            values=own.get("url", ()),
            hint="https://…; looked up now and at each message, and no address inside this network unless allowed",
            required=True,
            size=2000,
        ),
        Field(
            name="events",
            label="Told of",
            kind="boxes",
            options=tuple((kind, kind.replace("_", " ").replace(".", ": ")) for kind in EXAMPLES),
            values=tuple(event.kind for event in events),
        ),
        Field(
            name="description",
            label="Description",
            values=own.get("description", ()),
            kind="area",
            size=webhooks.DESCRIPTION_LETTERS_MAX,
        ),
    )


def _create(_given: Given, _rows: Reader) -> Sheet:
    return Sheet(
        title="New webhook",
        button="Create",
        back="/webhooks",
        back_word="Webhooks",
        told=("It is told of what happens in the registry from now on.",),
        fields=(*_fields(None, ()), SECRET),
    )


def _wish(given: Given) -> Wish:
    """Return what a form wishes; where it leads is looked up here, outside of any transaction."""
    url = given.word("url")
    ways = _ways(given)
    target_of(url, ways.allow, ways.resolve)
    return Wish(
        name=given.word("name"),
        url=url,
        events=[event_of(kind) for kind in given.many("events")],
        description=given.word("description"),
        secret=given.text("secret") or None,
    )


def _ways(given: Given) -> Ways:
    return Ways(allow=given.house.settings.webhooks.allow)


def create(given: Given) -> Done:
    """Create a webhook."""
    wish, site = _wish(given), given.site

    def work(tx: Transaction) -> object:
        made = webhooks.create(tx, site, wish)
        return msgspec.to_builtins(Done(told=f"Webhook {made.name} is there. Try it out.", address=_home(made)))

    return msgspec.convert(site.db.write(work, key=given.key), Done)


def _edit(given: Given, rows: Reader) -> Sheet:
    hook = _found(given, rows)
    kept = "Leave it empty to keep the one that is there." if hook.secret else SECRET.hint
    return Sheet(
        title=f"Change webhook {hook.name}",
        button="Save",
        back=_home(hook),
        back_word=hook.name,
        fields=(
            *_fields(hook, webhooks.events(rows, hook.id)),
            replace(SECRET, label="New secret", hint=kept),
            *((Field(name="unsigned", label="Sign no more", kind="check"),) if hook.secret else ()),
        ),
    )


def edit(given: Given) -> Done:
    """Change a webhook."""
    wish, site = _wish(given), given.site
    if given.text("unsigned") == "1" and not wish.secret:
        wish = replace(wish, secret="")

    def work(tx: Transaction) -> Done:
        return Done(
            told="The webhook is changed.", address=_home(webhooks.update(tx, site, given.path["webhook"], wish))
        )

    return site.db.write(work)


def _test(given: Given, rows: Reader) -> Sheet:
    hook = _found(given, rows)
    known = webhooks.events(rows, hook.id)
    field = Field(name="event", label="Example of", kind="select", options=tuple((one.kind, one.kind) for one in known))
    return replace(
        _sheet(hook, "Try out", "Send an example", "An example is sent now; nothing in the registry changes."),
        fields=(field,),
    )


def test(given: Given) -> Done:
    """Send a webhook an example."""
    with given.site.db.read() as rows:
        hook = _found(given, rows)
        known = webhooks.events(rows, hook.id)
    event = event_of(given.text("event")) if given.text("event") else known[0]
    found = try_out(given.site, hook, event, _ways(given))
    if "error_message" in found:
        told = f"It did not work. {found['error_message']}"
    else:
        word = "It answered" if found["success"] else "It refused:"
        told = f"{word} {found['response_status']} {str(found['response_body'])[:ANSWER_LETTERS]}".strip()
    return Done(told=told, address=_home(hook))


def _pause(given: Given, rows: Reader) -> Sheet:
    told = "It is told nothing until it goes on; what waits for it is given up."
    return _sheet(_found(given, rows), "Pause", "Pause", told)


def pause(given: Given, tx: Transaction) -> Done:
    """Tell a webhook nothing for now."""
    hook = webhooks.update(tx, given.site, given.path["webhook"], Wish(status=webhooks.DISABLED))
    return Done(told=f"{hook.name} is paused.", address=_home(hook), undo=f"{_home(hook)}/do/resume")


def _resume(given: Given, rows: Reader) -> Sheet:
    return _sheet(_found(given, rows), "Go on with", "Go on", "It is told of what happens from now on.")


def resume(given: Given, tx: Transaction) -> Done:
    """Tell a webhook again."""
    hook = webhooks.update(tx, given.site, given.path["webhook"], Wish(status=webhooks.ACTIVE))
    return Done(told=f"{hook.name} goes on.", address=_home(hook))


def _delete(given: Given, rows: Reader) -> Sheet:
    told = "It goes with its secret; what still waits for it is given up."
    return replace(
        _sheet(_found(given, rows), "Delete webhook", "Delete webhook", told),
        undo="Not possible. Create it anew, with its secret.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete a webhook."""
    hook = _found(given, tx)
    webhooks.delete(tx, given.site, hook.id)
    return Done(told=f"Webhook {hook.name} is deleted.", address="/webhooks")


def _retry(given: Given, rows: Reader) -> Sheet:
    hook = _found(given, rows)
    found = deliveries.get(rows, given.text("delivery"))
    told = f"{found.entity}.{found.action} was tried {found.attempts} times; it is tried once more now."
    field = Field(name="delivery", kind="hidden", values=(found.id,))
    return replace(_sheet(hook, "Tell once more:", "Try again", told), fields=(field,))


def retry(given: Given, tx: Transaction) -> Done:
    """Try once more what was given up."""
    hook = _found(given, tx)
    deliveries.again(tx, given.site, given.text("delivery"))
    return Done(told="It is tried once more now.", address=f"{_home(hook)}#deliveries")


ACTS = (
    Act(path="/webhooks/do/create", action="operate", sheet=_create, alone=create),
    Act(path=f"{HOME}/edit", action="operate", sheet=_edit, alone=edit),
    Act(path=f"{HOME}/test", action="operate", sheet=_test, alone=test),
    Act(path=f"{HOME}/pause", action="operate", sheet=_pause, work=pause),
    Act(path=f"{HOME}/resume", action="operate", sheet=_resume, work=resume),
    Act(path=f"{HOME}/retry", action="operate", sheet=_retry, work=retry),
    Act(path=f"{HOME}/delete", action="operate", sheet=_delete, work=delete),
)
