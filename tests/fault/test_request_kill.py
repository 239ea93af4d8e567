"""A request whose server is killed at any of its statements is done whole or not at all, and can be asked again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fault.request_scene import KINDS, ask, client_at, holdings, prepared
from fault.store_scene import ENGINES, in_child, place_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
# Every statement on both engines in `make fault`; in the gate one of so many, and little of PostgreSQL.
WHOLE = "ROPEWALK_KILLS" in os.environ
STRIDE = 1 if WHOLE else 12
CASES = [(engine, kind) for engine in ENGINES for kind in KINDS if WHOLE or engine == "sqlite" or kind == KINDS[0]]


@pytest.mark.parametrize(("engine", "kind"), CASES)
def test_it_is_whole_or_nothing_at_every_statement_and_again_the_same(engine: str, kind: str, tmp_path: Path) -> None:
    whole = nothing = kills = 0
    step, finished = 1, False
    with place_for(engine, tmp_path) as where, client_at(where, tmp_path) as (client, store):
        while not finished:
            for signed in (step, -step):
                asked = prepared(client, kind, 2 * step + (signed < 0))
                before = holdings(store)
                lived, said = in_child(ask, where, signed, str(tmp_path), asked)
                killed = holdings(store)
                again = [asked.of(client) for _ in range(2)]
                after = holdings(store)

                assert again[0] == again[1] == (said[0] if said else again[0])  # type: ignore[index]
                assert again[0][0] == 200, again
                assert killed in (before, after), [name for name in after if killed[name] != after[name]]
                assert after != before
                finished = finished or lived
                kills += not lived
                whole, nothing = whole + (killed == after and not lived), nothing + (killed == before)
            step += STRIDE
    print(f"{engine}, {kind}: {kills} kills at 1..{step - STRIDE} by {STRIDE}: {nothing} nothing, {whole} whole")  # noqa: T201 - the figures
    assert nothing
    assert whole or not WHOLE
