"""MLflow's clients make, list, change, try out and delete webhooks."""

from __future__ import annotations

import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import webhooks as door
from ropewalk.ledger.chain import Entry
from ropewalk.settings import Settings, Webhooks
from webhooks.listener import Listener, answer

INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
EVENTS = [{"entity": "MODEL_VERSION", "action": "CREATED"}]


@pytest.fixture
def listener():
    with Listener() as listening:
        yield listening


@pytest.fixture
def client(site, listener):
    return Client(site, door.ROUTES, Settings(name="check", webhooks=Webhooks(allow=(listener.host,))))


def _made(client, listener, **more):
    body = {"name": "hook", "url": listener.url, "events": EVENTS, **more}
    return client.send("POST", "webhooks", **body)["webhook"]


def test_a_webhook_is_made_told_and_deleted_without_its_secret(client, listener, site):
    made = _made(client, listener, description="to ops", secret="plant-91c")
    at = f"webhooks/{made['webhook_id']}"

    assert client.get(at)["webhook"] == made
    assert client.get("webhooks")["webhooks"] == [made]
    assert (made["status"], made["events"], made["description"]) == ("ACTIVE", EVENTS, "to ops")
    assert made["creation_timestamp"] == made["last_updated_timestamp"] > 10**12
    assert "plant-91c" not in json.dumps(made)
    with site.db.read() as reader:
        entry = reader.all(Entry, "ledger.of_subject", subject=f"webhook:{made['webhook_id']}")[0]
    assert "plant-91c" not in entry.body
    assert listener.url not in entry.body
    client.send("DELETE", at)
    assert client.get("webhooks") == {}
    for method, path in (("GET", at), ("DELETE", at), ("PATCH", at), ("POST", f"{at}/test")):
        assert client.refused(method, path) == ABSENT


def test_a_change_leaves_alone_what_it_does_not_name(client, listener, clock):
    made = _made(client, listener, description="to ops", secret="x")
    at = f"webhooks/{made['webhook_id']}"
    clock.advance(3)

    changed = client.send("PATCH", at, webhook_id=made["webhook_id"], status="DISABLED")["webhook"]

    assert changed == {**made, "status": "DISABLED", "last_updated_timestamp": made["creation_timestamp"] + 3000}
    events = [{"entity": 5, "action": 1}, {"entity": "PROMPT_TAG", "action": "SET"}]
    again = client.send("PATCH", at, name="other", events=events, description="", status=1)["webhook"]
    assert (again["name"], again["status"], again.get("description", "")) == ("other", "ACTIVE", "")
    assert again["events"] == [{"entity": "PROMPT", "action": "CREATED"}, {"entity": "PROMPT_TAG", "action": "SET"}]
    client.send("POST", f"{at}/test")
    assert "x-mlflow-signature" in listener.heard[-1].headers
    client.send("PATCH", at, secret="")
    client.send("POST", f"{at}/test")
    assert "x-mlflow-signature" not in listener.heard[-1].headers


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "-a"}, {"name": "a b"}, {"name": "x" * 64}, {"url": ""}, {"url": "http://169.254.169.254/"},
        {"url": "https://127.0.0.1/"}, {"url": "http://[::ffff:127.0.0.1]/"}, {"url": "https://user:pass@host/"},
        {"url": "http://localhost:1/"}, {"events": []}, {"events": [{"entity": "MODEL_VERSION", "action": "DELETED"}]},
        {"events": [{"entity": 99, "action": 1}]}, {"events": [{}]}, {"status": "MAYBE"}, {"status": 7},
        {"secret": "x" * 1001}, {"description": "x" * 1001},
    ],
    ids=str,
)  # fmt: skip
def test_what_can_be_no_webhook_changes_nothing(client, listener, body):
    asked = {"name": "hook", "url": listener.url, "events": EVENTS, **body}

    assert client.refused("POST", "webhooks", **asked) == INVALID
    assert client.get("webhooks") == {}
    made = _made(client, listener)
    if next(iter(body.values())) not in ("", []):
        assert client.refused("PATCH", f"webhooks/{made['webhook_id']}", **body) == INVALID
    assert client.get(f"webhooks/{made['webhook_id']}")["webhook"] == made


def test_webhooks_are_listed_newest_first_page_by_page(client, listener, clock):
    names = [f"h{place}" for place in range(5)]
    for place, name in enumerate(names):
        _made(client, listener, name=name)
        clock.advance(place % 2)

    seen, token = [], ""
    while True:
        page = client.get("webhooks", max_results=2, page_token=token)
        seen += [one["name"] for one in page["webhooks"]]
        token = page.get("next_page_token", "")
        if not token:
            break

    assert sorted(seen) == names
    assert seen[0] == "h4"
    for query in ({"max_results": 1001}, {"max_results": -1}, {"page_token": "x"}):
        assert client.refused("GET", "webhooks", **query) == INVALID


def test_a_trial_sends_an_example_and_tells_what_came_back(client, listener):
    made = _made(client, listener, secret="x")
    at = f"webhooks/{made['webhook_id']}/test"

    fine = client.send("POST", at)["result"]
    other = client.send("POST", at, event={"entity": "PROMPT_VERSION", "action": "CREATED"})["result"]
    listener.answers[:] = [answer(404)]
    missing = client.send("POST", at)["result"]

    assert fine == {"success": True, "response_status": 200, "response_body": "ok"}
    assert other["success"]
    assert missing == {"success": False, "response_status": 404, "response_body": ""}
    bodies = [json.loads(one.body) for one in listener.heard]
    assert bodies[0]["data"]["source"].startswith("models:/")
    assert bodies[1]["data"]["template"] == "Hello {{name}}!"
    assert client.refused("POST", at, event={"entity": "PROMPT", "action": "SET"}) == INVALID


def test_a_trial_that_nobody_answers_says_why(client, listener, site):
    made = _made(client, listener)
    with Listener() as free:
        port = free.port
    closed = Settings(name="check", webhooks=Webhooks(allow=(f"127.0.0.1:{port}",)))
    client_of_closed = Client(site, door.ROUTES, closed)
    client_of_closed.send("PATCH", f"webhooks/{made['webhook_id']}", url=f"http://127.0.0.1:{port}/")

    refused = client_of_closed.send("POST", f"webhooks/{made['webhook_id']}/test")["result"]
    forbidden = client.send("POST", f"webhooks/{made['webhook_id']}/test")["result"]

    assert not refused["success"]
    assert "Nobody answered" in refused["error_message"]
    assert "cannot lead there" in forbidden["error_message"]
