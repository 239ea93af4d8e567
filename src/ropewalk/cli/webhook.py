"""`ropewalk webhook` shows who is told of changes and what became of it, sends an example, tries once more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.store.database import Reader
    from ropewalk.webhooks.webhook import Webhook

EXAMPLE = """
ropewalk webhook list
ropewalk webhook deliveries ci-hook --state failed
ropewalk webhook test ci-hook                  # sends an example now, and says what was answered
ropewalk webhook retry 0198f3a2-7c1e-7a55-9d07-2b1c52f0e1aa
"""
ACTIONS = ("list", "deliveries", "test", "retry")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, with what, and which part of it to show."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    parser.add_argument("what", nargs="?", default="", metavar="ID", help="name or id of a webhook; id of a delivery")
    parser.add_argument("--state", default="", help="only deliveries that are waiting, delivered, failed or dropped")
    parser.add_argument("--event", default="", help="the example to send, such as model_version.created")
    parser.add_argument("--count", type=int, default=50, help="how many deliveries, 1,000 at most")
    parser.add_argument("--after", default="", metavar="TOKEN", help="those that follow a page before")


def handle(options: argparse.Namespace, out: Output) -> int | None:
    """Do it."""
    from ropewalk.cli.project import require_project
    from ropewalk.errors import Invalid
    from ropewalk.house import open_house

    require_project(options.project)
    if bool(options.what) == (options.action == "list"):
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk webhook {options.action}",
            why="deliveries and test take a webhook, retry takes a delivery, list takes nothing",
            fix="ropewalk webhook --help",
        )
    with open_house(options.project) as house:
        if options.action == "list":
            return _list(house, out)
        if options.action == "deliveries":
            return _deliveries(house, options, out)
        if options.action == "test":
            return _test(house, options, out)
        return _retry(house, options.what, out)


def _list(house: House, out: Output) -> None:
    from ropewalk.webhooks import delivery as deliveries
    from ropewalk.webhooks import webhook as webhooks

    with house.site.db.read() as rows:
        found, _ = webhooks.listed(rows, count=webhooks.PAGE_MAX)
        kinds = {one.id: [event.kind for event in webhooks.events(rows, one.id)] for one in found}
        counts = {one.id: deliveries.counts(rows, one.id) for one in found}
    if found:
        out.table(
            ("id", "name", "status", "events", *deliveries.STATES),
            [(one.id, one.name, one.status, ", ".join(kinds[one.id]), *counts[one.id].values()) for one in found],
        )
        out.next(f"ropewalk webhook deliveries {found[0].id}", f"ropewalk webhook test {found[0].id}")
    else:
        out.line("no webhook yet; MLflow's client makes them: MlflowClient().create_webhook(NAME, URL, EVENTS)")
        out.next("ropewalk up")
    out.result(
        [
            {
                "id": one.id,
                "name": one.name,
                "status": one.status,
                "events": kinds[one.id],
                "deliveries": counts[one.id],
            }
            for one in found
        ]
    )


def _found(rows: Reader, text: str) -> Webhook:
    from ropewalk.webhooks import webhook as webhooks

    return webhooks.find(rows, text)


def _deliveries(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.clock import iso
    from ropewalk.webhooks import delivery as deliveries

    with house.site.db.read() as rows:
        hook = _found(rows, options.what)
        found, token = deliveries.of_webhook(
            rows, hook.id, state=options.state, count=options.count, token=options.after
        )
        tries = {one.id: deliveries.attempts(rows, one.id) for one in found}
    lines: list[tuple[object, ...]] = []
    for one in found:
        last = tries[one.id][-1] if tries[one.id] else None
        said = (last.error or f"answered {last.status}") if last else ""
        lines.append((one.id, f"{one.entity}.{one.action}", iso(one.created_us)[:19], one.state, one.attempts, said))
    if lines:
        out.table(("id", "event", "at", "state", "tries", "the last one"), lines)
    else:
        out.line(f"{hook.name} was told nothing yet" if not options.state else f"nothing is {options.state}")
    ended = next((one.id for one in found if one.state in (deliveries.FAILED, deliveries.DROPPED)), "")
    more = f"ropewalk webhook deliveries {hook.id} --after {token}" if token else ""
    out.next(more or (f"ropewalk webhook retry {ended}" if ended else f"ropewalk webhook test {hook.id}"))
    out.result(
        {
            "webhook": hook.id,
            "next": token,
            "deliveries": [
                {
                    "id": one.id,
                    "event": f"{one.entity}.{one.action}",
                    "number": one.event,
                    "state": one.state,
                    "created": iso(one.created_us),
                    "attempts": [
                        {"attempt": each.attempt, "at": iso(each.at_us), "status": each.status, "error": each.error}
                        for each in tries[one.id]
                    ],
                }
                for one in found
            ],
        }
    )


def _test(house: House, options: argparse.Namespace, out: Output) -> int:
    from ropewalk.webhooks import webhook as webhooks
    from ropewalk.webhooks.events import event_of
    from ropewalk.webhooks.send import Ways, try_out

    with house.site.db.read() as rows:
        hook = _found(rows, options.what)
        event = event_of(options.event) if options.event else webhooks.events(rows, hook.id)[0]
    told = try_out(house.site, hook, event, Ways(allow=house.settings.webhooks.allow))
    said = told.get("error_message") or f"answered {told.get('response_status')}"
    out.line(f"{hook.name} was sent an example of {event.kind}: {said}")
    out.result({"webhook": hook.id, "event": event.kind, **told})
    out.next(f"ropewalk webhook deliveries {hook.id}")
    return 0 if told["success"] else 1


def _retry(house: House, delivery: str, out: Output) -> None:
    from ropewalk.webhooks import delivery as deliveries

    found = house.site.db.write(lambda tx: deliveries.again(tx, house.site, delivery))
    out.line(f"{found.entity}.{found.action} waits; the server sends it at once, or when it is up")
    out.result({"id": found.id, "webhook": found.webhook, "state": found.state, "attempts": found.attempts})
    out.next(f"ropewalk webhook deliveries {found.webhook}")
