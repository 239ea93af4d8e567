"""Webhooks from the terminal and the native API: who is told, what became of it, an example, another try."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.access.roles import everything
from ropewalk.api import hooks
from ropewalk.api.routes import Ask
from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.loops.deliver import Deliver
from ropewalk.models import registered
from ropewalk.webhooks import webhook
from ropewalk.webhooks.events import event_of
from ropewalk.webhooks.send import Ways
from ropewalk.webhooks.webhook import Wish
from webhooks.listener import FINE, Listener, answer

Type = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener(answers=[answer(404), FINE]) as one:
        yield one


@pytest.fixture
def root(tmp_path: Path, listener: Listener) -> Path:
    """A project whose webhook was told of one model, in vain."""
    (tmp_path / "ropewalk.toml").write_text(f'name = "lab"\n[webhooks]\nallow = ["{listener.host}"]\n')
    with open_house(tmp_path) as house:
        site = house.site
        wish = Wish(name="ci-hook", url=listener.url, events=[event_of("registered_model.created")])
        site.db.write(lambda tx: webhook.create(tx, site, wish))
        site.db.write(lambda tx: registered.create(tx, site, "churn"))
        Deliver(site, Ways(allow=[listener.host])).turn()
    return tmp_path


@pytest.fixture
def typed(root: Path, capsys: pytest.CaptureFixture[str]) -> Type:
    def typing(*words: str) -> tuple[int, dict[str, Any]]:
        status = main(["--project", str(root), "--json", "webhook", *words])
        return status, json.loads(capsys.readouterr().out)

    return typing


def test_what_was_given_up_is_seen_and_tried_once_more(typed: Type, root: Path, listener: Listener) -> None:
    _, listed = typed()
    status, told = typed("deliveries", "ci-hook", "--state", "failed")
    delivery = told["result"]["deliveries"][0]
    _, repeated = typed("retry", delivery["id"])
    with open_house(root) as house:
        Deliver(house.site, Ways(allow=[listener.host])).turn()
    _, after = typed("deliveries", listed["result"][0]["id"])

    assert listed["result"][0]["deliveries"] == {"waiting": 0, "delivered": 0, "failed": 1, "dropped": 0}
    assert status == 0
    assert [one["status"] for one in delivery["attempts"]] == [404]
    assert told["next"] == [f"ropewalk webhook retry {delivery['id']}"]
    assert repeated["result"]["state"] == "waiting"
    assert [one["status"] for one in after["result"]["deliveries"][0]["attempts"]] == [404, 200]


def test_an_example_is_sent_and_its_answer_is_the_status(typed: Type, listener: Listener) -> None:
    good, told = typed("test", "ci-hook")
    listener.answers[1] = answer(500)
    bad, refused = typed("test", "ci-hook", "--event", "prompt.created")

    assert (good, told["result"]["response_status"]) == (0, 200)
    assert (bad, refused["result"]["response_status"], refused["result"]["event"]) == (1, 500, "prompt.created")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["deliveries"], "usage"),
        (["list", "ci-hook"], "usage"),
        (["deliveries", "nobody"], "webhook-not-found"),
        (["deliveries", "ci-hook", "--state", "lost"], "status-unknown"),
        (["deliveries", "ci-hook", "--count", "0"], "count-invalid"),
        (["deliveries", "ci-hook", "--after", "x"], "token-invalid"),
        (["test", "ci-hook", "--event", "x"], "webhook-event-unknown"),
        (["retry", "nothing"], "delivery-not-found"),
    ],
)
def test_what_is_not_there_is_said_with_a_code(typed: Type, words: list[str], code: str) -> None:
    status, told = typed(*words)

    assert status != 0
    assert told["error"]["code"] == code


def test_a_name_that_two_webhooks_have_asks_for_an_id(typed: Type, root: Path, listener: Listener) -> None:
    with open_house(root) as house:
        wish = Wish(name="ci-hook", url=listener.url, events=[event_of("prompt.created")])
        house.site.db.write(lambda tx: webhook.create(tx, house.site, wish))

    _, told = typed("deliveries", "ci-hook")

    assert told["error"]["code"] == "webhook-name-shared"


def test_programs_read_deliveries_with_their_tries(root: Path) -> None:
    def ask(house: Any, path: dict[str, str], query: dict[str, str]) -> Ask:
        return Ask(house=house, caller=everything("ann"), path=path, query=query, body=None)

    with open_house(root) as house, house.site.db.read() as rows:
        hook = webhook.find(rows, "ci-hook")
        page = hooks.list_deliveries(ask(house, {"webhook": hook.id}, {"state": "failed"}))
        shown = hooks.show_delivery(ask(house, {"delivery": page.deliveries[0].id}, {}))
        again = hooks.retry_delivery(ask(house, {"delivery": page.deliveries[0].id}, {}))

    assert (page.counts["failed"], page.next) == (1, "")
    assert [one.status for one in shown.attempts] == [404]
    assert again.state == "waiting"
