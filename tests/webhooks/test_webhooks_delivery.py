"""What a webhook is told: each event once queued, tried until it is heard or given up, and no other is held up."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest

from ropewalk.errors import Conflict, Corrupt, Invalid
from ropewalk.loops.deliver import Deliver
from ropewalk.models import registered, versions
from ropewalk.webhooks import delivery as deliveries
from ropewalk.webhooks import secret, webhook
from ropewalk.webhooks.delivery import DELIVERED, DROPPED, FAILED, PAUSES_SECONDS, WAITING, Delivery, Outcome, after
from ropewalk.webhooks.events import event_of
from ropewalk.webhooks.send import Ways
from ropewalk.webhooks.webhook import Wish
from runs.stores import STORES, site_on
from webhooks.listener import FINE, Listener, answer

CREATED = "registered_model.created"
DAY_SECONDS = 86_400


@pytest.fixture
def site(request, tmp_path):
    with site_on(getattr(request, "param", "sqlite"), tmp_path) as open_:
        yield open_


on_both_stores = pytest.mark.parametrize("site", STORES, indirect=True)


@pytest.fixture
def clock(site):
    return site.clock


def _hook(site, listener, *kinds, **more):
    wish = Wish(name="hook", url=listener.url, events=[event_of(one) for one in kinds or (CREATED,)], **more)
    return site.db.write(lambda tx: webhook.create(tx, site, wish))


def _model(site, name):
    site.db.write(lambda tx: registered.create(tx, site, name))


def _deliver(site, *listeners, seconds=2.0):
    return Deliver(site, Ways(allow=[one.host for one in listeners], seconds=seconds))


def _told(site, hook):
    with site.db.read() as reader:
        found, _ = deliveries.of_webhook(reader, hook.id)
        return [
            (one.state, one.attempts, [try_.status for try_ in deliveries.attempts(reader, one.id)]) for one in found
        ]


def _names(listener):
    return [json.loads(one.body)["data"]["name"] for one in listener.heard]


def test_who_listens_is_told_of_what_happens_after_in_order_and_signed(site, clock):
    with Listener() as listener:
        _model(site, "before")
        hook = _hook(site, listener, secret="s3cret")
        for name in ("a", "b", "c"):
            _model(site, name)
            clock.advance(1)
        turned = _deliver(site, listener)
        while turned.turn():
            pass

    assert _names(listener) == ["a", "b", "c"]
    heard = listener.heard[0]
    body = json.loads(heard.body)
    assert (body["entity"], body["action"]) == ("registered_model", "created")
    assert body["data"] == {"name": "a", "tags": {}, "description": ""}
    delivery, seconds = heard.headers["x-mlflow-delivery-id"], heard.headers["x-mlflow-timestamp"]
    signed = hmac.digest(b"s3cret", f"{delivery}.{seconds}.".encode() + heard.body, "sha256")
    assert heard.headers["x-mlflow-signature"] == f"v1,{base64.b64encode(signed).decode()}"
    assert int(seconds) == clock.now_us() // 1_000_000
    assert _told(site, hook) == [(DELIVERED, 1, [200])] * 3


def test_only_who_asked_for_an_event_is_told_of_it(site):
    with Listener() as models, Listener() as aliases:
        _hook(site, models)
        _hook(site, aliases, "model_version_alias.created", "model_version_alias.deleted")
        site.db.write(lambda tx: versions.register(tx, site, name="late", manifest="sha256:" + "0" * 64, run_id="r"))
        for version in (1, 0):
            site.db.write(lambda tx, to=version: versions.set_alias(tx, site, "late", "best", to))
        _deliver(site, models, aliases).turn()

    assert _names(models) == ["late"]
    assert [json.loads(one.body)["action"] for one in aliases.heard] == ["created", "deleted"]
    assert json.loads(aliases.heard[0].body)["data"] == {"name": "late", "alias": "best", "version": "1"}
    assert "x-mlflow-signature" not in aliases.heard[0].headers


def test_an_event_is_queued_once_however_often_it_is_looked_at(site):
    with Listener() as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        for _ in range(3):
            _deliver(site, listener).turn()

        assert len(listener.heard) == 1
    assert _told(site, hook) == [(DELIVERED, 1, [200])]


@on_both_stores
def test_a_failed_message_is_tried_again_later_under_the_same_id(site, clock):
    with Listener(answers=[answer(500), answer(429, "Retry-After: 100"), FINE]) as listener:
        hook = _hook(site, listener, secret="x")
        _model(site, "a")
        turned = _deliver(site, listener)
        for seconds in (0, PAUSES_SECONDS[0] - 1, 1, 99, 1):
            clock.advance(seconds)
            while turned.turn():
                pass

        assert _told(site, hook) == [(DELIVERED, 3, [500, 429, 200])]
        assert len({one.headers["x-mlflow-delivery-id"] for one in listener.heard}) == 1
        assert len({one.headers["x-mlflow-signature"] for one in listener.heard}) == 3


def test_a_message_that_nobody_takes_is_given_up_in_two_days(site, clock):
    with Listener(answers=[answer(503)]) as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        turned = _deliver(site, listener)
        for _ in range(len(PAUSES_SECONDS) + 3):
            turned.turn()
            clock.advance(DAY_SECONDS / 2)

    tries = len(PAUSES_SECONDS) + 1
    assert _told(site, hook) == [(FAILED, tries, [503] * tries)]
    assert sum(PAUSES_SECONDS) < 2 * DAY_SECONDS


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 501])
def test_what_another_try_would_not_mend_is_not_tried_again(site, clock, status):
    with Listener(answers=[answer(status)]) as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        turned = _deliver(site, listener)
        turned.turn()
        clock.advance(DAY_SECONDS)
        turned.turn()

    assert _told(site, hook) == [(FAILED, 1, [status])]


def test_where_nobody_answers_the_next_messages_wait_and_count_as_not_tried(site, clock):
    with Listener(behave=lambda _connection: time.sleep(0.5)) as silent, Listener() as other:
        slow, quick = _hook(site, silent), _hook(site, other)
        for name in "abc":
            _model(site, name)
        began = time.monotonic()
        _deliver(site, silent, other, seconds=0.2).turn()

        assert time.monotonic() - began < 2
    assert _names(other) == ["a", "b", "c"]
    assert _told(site, quick) == [(DELIVERED, 1, [200])] * 3
    assert _told(site, slow) == [(WAITING, 0, []), (WAITING, 0, []), (WAITING, 1, [0])]


def test_a_killed_sender_loses_nothing(site, clock):
    with Listener() as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        site.db.write(lambda tx: deliveries.queue(tx, site))
        with site.db.read() as reader:
            waiting = deliveries.due(reader, clock.now_us())
        assert len(site.db.write(lambda tx: deliveries.claim(tx, waiting, clock.now_us()))) == 1
        assert site.db.write(lambda tx: deliveries.claim(tx, waiting, clock.now_us())) == []
        turned = _deliver(site, listener)
        turned.turn()
        assert listener.heard == []
        clock.advance(deliveries.CLAIM_SECONDS)
        turned.turn()

    assert _names(listener) == ["a"]
    assert _told(site, hook) == [(DELIVERED, 2, [200])]


@on_both_stores
def test_five_targets_that_take_longer_than_a_claim_are_told_once(site, clock):
    taken_by_another: list[Delivery] = []

    def slow(connection):
        connection.recv(65536)
        # As long as a try can take; meanwhile another process looks for work.
        clock.advance(15)
        with site.db.read() as reader:
            seen = deliveries.due(reader, clock.now_us())
        taken_by_another.extend(site.db.write(lambda tx: deliveries.claim(tx, seen, clock.now_us())))
        connection.sendall(answer(404))

    with Listener(behave=slow) as listener:
        hook = _hook(site, listener)
        for name in "abcde":
            _model(site, name)
        _deliver(site, listener).turn()

        assert listener.taken == 5
    assert taken_by_another == []
    assert _told(site, hook) == [(FAILED, 1, [404])] * 5


def test_a_claim_that_another_has_taken_is_not_sent(site, clock):
    with Listener() as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        site.db.write(lambda tx: deliveries.queue(tx, site))

        def claimed():
            with site.db.read() as reader:
                seen = deliveries.due(reader, clock.now_us())
            return site.db.write(lambda tx: deliveries.claim(tx, seen, clock.now_us()))

        late = claimed()
        clock.advance(deliveries.CLAIM_SECONDS)
        other = claimed()

    assert site.db.write(lambda tx: deliveries.renew(tx, late, clock.now_us())) == []
    assert [one.id for one in site.db.write(lambda tx: deliveries.renew(tx, other, clock.now_us()))] == [late[0].id]
    assert _told(site, hook) == [(WAITING, 2, [])]


@on_both_stores
def test_deliveries_are_listed_by_state_page_by_page_and_tried_once_more(site, clock):
    with Listener(answers=[answer(404), FINE, FINE, answer(410), FINE]) as listener:
        hook = _hook(site, listener)
        for name in "abcd":
            _model(site, name)
        turned = _deliver(site, listener)
        turned.turn()
        with site.db.read() as reader:
            first, token = deliveries.of_webhook(reader, hook.id, count=3)
            rest, end = deliveries.of_webhook(reader, hook.id, count=3, token=token)
            failed, _ = deliveries.of_webhook(reader, hook.id, state=FAILED)
            counts = deliveries.counts(reader, hook.id)
        again = site.db.write(lambda tx: deliveries.again(tx, site, failed[-1].id))
        with pytest.raises(Conflict):
            site.db.write(lambda tx: deliveries.again(tx, site, failed[-1].id))
        turned.turn()

    assert [json.loads(one.body)["data"]["name"] for one in (*first, *rest)] == ["d", "c", "b", "a"]
    assert end == ""
    assert [json.loads(one.body)["data"]["name"] for one in failed] == ["d", "a"]
    assert counts == {WAITING: 0, DELIVERED: 2, FAILED: 2, DROPPED: 0}
    assert again.state == WAITING
    assert _told(site, hook)[-1] == (DELIVERED, 2, [404, 200])
    with site.db.read() as reader, pytest.raises(Invalid):
        deliveries.of_webhook(reader, hook.id, state="lost")


def test_a_deleted_or_disabled_webhook_is_told_nothing_more(site):
    with Listener() as listener:
        gone, off = _hook(site, listener), _hook(site, listener)
        _model(site, "a")
        site.db.write(lambda tx: deliveries.queue(tx, site))
        site.db.write(lambda tx: webhook.delete(tx, site, gone.id))
        site.db.write(lambda tx: webhook.update(tx, site, off.id, Wish(status="DISABLED")))
        _model(site, "b")
        turned = _deliver(site, listener)
        while turned.turn():
            pass

        assert listener.taken == 0
    assert _told(site, gone) == _told(site, off) == [(DROPPED, 1, [0])]


def test_an_address_that_is_not_allowed_any_more_is_not_gone_to(site):
    with Listener() as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        _deliver(site).turn()

        assert listener.taken == 0
    with site.db.read() as reader:
        tried = deliveries.attempts(reader, deliveries.of_webhook(reader, hook.id)[0][0].id)
    assert "webhook-url-refused" in tried[0].error


@on_both_stores
def test_what_ended_long_ago_is_forgotten(site, clock):
    with Listener() as listener:
        hook = _hook(site, listener)
        _model(site, "a")
        _deliver(site, listener).turn()
        clock.advance(29 * DAY_SECONDS)
        _deliver(site, listener).turn()
        assert len(_told(site, hook)) == 1
        clock.advance(2 * DAY_SECONDS)
        _deliver(site, listener).turn()

    assert _told(site, hook) == []


def test_a_thousand_events_for_many_webhooks_are_all_told(site):
    with Listener() as first, Listener() as second:
        hooks = [_hook(site, one) for one in (first, second)]
        site.db.write(lambda tx: [site.announce(tx, CREATED, "model:x", {"name": f"m{place}"}) for place in range(600)])
        assert site.db.write(lambda tx: deliveries.queue(tx, site))
        assert not site.db.write(lambda tx: deliveries.queue(tx, site))
        with site.db.read() as reader:
            due = deliveries.due(reader, site.clock.now_us())
            assert [one.webhook for one in due] == sorted([hook.id for hook in hooks] * deliveries.EACH_MAX)
            assert len(deliveries.of_webhook(reader, hooks[0].id, count=1000)[0]) == 600


def test_the_loop_stops_while_somebody_is_slow(site):
    with Listener(behave=lambda _connection: time.sleep(1)) as silent:
        _hook(site, silent)
        _model(site, "a")
        loop = _deliver(site, silent, seconds=0.5).loop(0.05)
        loop.start()
        began = time.monotonic()
        time.sleep(0.2)
        loop.stop()

        assert time.monotonic() - began < 2
        assert loop.problem is None


@on_both_stores
def test_secrets_lie_encrypted_and_bound_to_their_webhook(site):
    with Listener() as listener:
        hook = _hook(site, listener, secret="plant-7f3a")

    key = site.hidden / secret.FILE
    assert key.stat().st_mode & 0o777 == 0o600
    assert webhook.secret_of(site, hook) == "plant-7f3a"
    assert b"plant-7f3a" not in b"".join(path.read_bytes() for path in site.hidden.rglob("*") if path.is_file())
    with pytest.raises(Corrupt):
        secret.decrypt(site, "another", hook.secret)
    with pytest.raises(Corrupt):
        secret.decrypt(site, hook.id, hook.secret[:-1] + bytes([hook.secret[-1] ^ 1]))
    key.unlink()
    with pytest.raises(Corrupt):
        webhook.secret_of(site, hook)


def test_what_a_try_makes_of_a_delivery_is_decided_from_its_words():
    one = Delivery(
        id="d", webhook="w", event=1, entity="e", action="a", body="", state=WAITING, attempts=0, next_us=0,
        created_us=0, ended_us=None,
    )  # fmt: skip

    assert after(Outcome(delivery=one, status=204), 5) == (DELIVERED, 5)
    assert after(Outcome(delivery=one), 0) == (WAITING, PAUSES_SECONDS[0] * 1_000_000)
    for header, seconds in (("", 10), ("5", 10), ("60", 60), ("999999", 3600), ("Wed, 21 Oct", 10), ("-1", 10)):
        assert after(Outcome(delivery=one, status=503, retry_after=header), 0) == (WAITING, seconds * 1_000_000)
