"""A request whose line PostgreSQL ends at any statement is done whole or not at all, and the next one is well."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from fault.request_scene import KINDS, client_at, holdings, prepared
from fault.store_scene import place_for
from ropewalk.store import postgreslink

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
WHOLE = "ROPEWALK_KILLS" in os.environ
STRIDE = 1 if WHOLE else 3


class Hand:
    """Ends the server's side of a line before the k-th statement from now on."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        self._admin = psycopg.connect(url, autocommit=True)
        self.asked, self.at = 0, 0
        whole = postgreslink.PostgresSession.execute

        def execute(session, where, sql, values):
            self.asked += 1
            if self.asked == self.at:
                # It waits until the backend is gone, so that the statement surely meets a broken line.
                pid = session.connection.info.backend_pid
                assert self._admin.execute("select pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)
            return whole(session, where, sql, values)

        patch.setattr(postgreslink.PostgresSession, "execute", execute)

    def close(self) -> None:
        self._admin.close()


@pytest.mark.parametrize("kind", KINDS if WHOLE else KINDS[1:2])
def test_it_is_told_and_healed_whichever_statement_the_server_ends(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses, whole, k = Counter[int](), 0, 1
    with place_for("postgres", tmp_path) as url, client_at(url, tmp_path) as (client, store):
        hand = Hand(url, monkeypatch)
        while True:
            asked = prepared(client, kind, k)
            before = holdings(store)
            hand.asked, hand.at = 0, k
            status, body = asked.of(client)
            met, hand.at = hand.asked >= k, 0
            broken = holdings(store)
            again = [asked.of(client) for _ in range(2)]
            after = holdings(store)

            statuses[status] += 1
            assert status in (200, 503), body
            assert status == 200 or body["error_code"] == "TEMPORARILY_UNAVAILABLE"
            assert "select" not in str(body).lower()
            assert again[0] == again[1]
            assert again[0][0] == 200
            assert broken in (before, after)
            assert status != 200 or (broken == after and again[0] == (status, body))
            whole += broken == after
            if not met:
                break
            k += STRIDE
        hand.close()
    print(f"postgres, {kind}: line ended at 1..{k} by {STRIDE}: answers {dict(statuses)}, {whole} times whole, 0 torn")  # noqa: T201 - the figures
    assert statuses[503]
