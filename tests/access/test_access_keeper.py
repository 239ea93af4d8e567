from __future__ import annotations

from dataclasses import replace

import pytest

from access.conftest import PASSWORD
from ropewalk.access import tokens, users
from ropewalk.access.attempts import FAILURES_MAX
from ropewalk.access.keeper import Keeper
from ropewalk.access.roles import Grant
from ropewalk.errors import Refused
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def kinds(site: Site) -> list[str]:
    with site.db.read() as rows:
        return [str(row["kind"]) for row in rows.rows("ledger.from", seq=1, count=1000)]


def test_a_token_speaks_for_its_user_within_its_scope(ask, token) -> None:
    _, wide = token()
    _, narrow = token(role="viewer")

    assert ask(wide).name == "ann"
    assert (ask(wide).may("write", "dev"), ask(wide).may("write", "prod")) == (True, False)
    assert (ask(narrow).may("read", "dev"), ask(narrow).may("write", "dev")) == (True, False)


@pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "secret", [b"", b"rw_", b"rw_" + b"A" * 43, b"rw_" + b"A" * 42, b"rw_" + b"\xff" * 43, b"x" * 9999]
)
def test_what_is_no_token_of_ours_is_nobody(ask, ann, secret) -> None:
    assert ask(secret) is None


def test_a_token_ends_when_its_time_is_over_even_from_memory(ask, token, clock: SetClock) -> None:
    _, secret = token(days=1)
    assert ask(secret) is not None

    clock.advance(86_399)
    before = ask(secret)
    clock.jump(1)

    assert before is not None
    assert ask(secret) is None


def test_a_clock_that_goes_back_does_not_end_a_token(ask, token, clock: SetClock) -> None:
    _, secret = token()

    clock.jump(-3600)

    assert ask(secret) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda tx, site, made: tokens.revoke(tx, site, made.id),
        lambda tx, site, _: users.disable(tx, site, "ann"),
        lambda tx, site, _: users.set_password(tx, site, "ann", PASSWORD + "2"),
    ],
    ids=["revoked", "user disabled", "password set"],
)
def test_what_ends_a_token_ends_it_within_a_second_in_every_process(
    site: Site, opened, ask, token, clock, change
) -> None:
    made, secret = token()
    assert ask(secret) is not None
    other = replace(site, db=opened())

    other.db.write(lambda tx: change(tx, other, made))
    clock.advance(0.99)
    found = ask(secret)
    other.db.close()

    assert found is None


def test_a_role_that_is_taken_away_is_gone_from_tokens_within_a_second(site: Site, ask, token, clock) -> None:
    _, secret = token()
    assert ask(secret).may("write", "dev")

    site.db.write(lambda tx: users.revoke(tx, site, "ann", Grant(role="developer", environment="dev")))
    clock.advance(0.99)

    assert not ask(secret).may("read", "dev")


def test_an_answer_read_before_a_change_is_not_remembered_after_it(site: Site, keeper: Keeper, token) -> None:
    made, secret = token()
    keeper.look()
    assert keeper.token(secret) is not None

    site.db.write(lambda tx: tokens.revoke(tx, site, made.id))
    keeper.look()

    assert keeper.remembered(secret) is None
    assert keeper.token(secret) is None


def test_other_writes_do_not_make_it_forget(site: Site, keeper: Keeper, token) -> None:
    _, secret = token()
    keeper.look()
    keeper.token(secret)
    site.db.write(lambda tx: site.record(tx, "test.noted", "test:1", {}))

    keeper.look()

    assert keeper.remembered(secret) is not None


def test_the_last_use_is_written_once_a_minute_at_most(site: Site, ask, token, clock: SetClock) -> None:
    made, secret = token()

    def used() -> int | None:
        site.db.write(lambda tx: None)
        with site.db.read() as rows:
            return tokens.listed(rows)[0].used_us

    first_us = clock.now_us()
    ask(secret)
    first = used()
    clock.advance(59)
    ask(secret)
    second = used()
    clock.advance(1)
    ask(secret)

    assert made.used_us is None
    assert (first, second, used()) == (first_us, first_us, first_us + 60_000_000)


def test_a_password_is_proved_once_a_minute_and_remembered_between(keeper: Keeper, ann, clock: SetClock) -> None:
    keeper.look()
    mark = keeper.mark_of("Ann", PASSWORD)

    proved = keeper.password("Ann", PASSWORD, "127.0.0.1")
    known = keeper.remembered(mark)
    clock.advance(60)

    assert proved is not None
    assert known == proved
    assert keeper.remembered(mark) is None
    assert keeper.password("ann", PASSWORD + "x", "127.0.0.1") is None
    assert keeper.remembered(keeper.mark_of("ann", PASSWORD + "x")) is None


@pytest.mark.parametrize("spread", ["account", "address"])
def test_the_sixth_wrong_password_is_not_looked_at(site: Site, keeper: Keeper, ann, clock, spread: str) -> None:
    for number in range(FAILURES_MAX):
        name = "ann" if spread == "account" else f"somebody-{number}"
        address = "10.0.0.9" if spread == "address" else f"10.0.0.{number}"
        assert keeper.password(name, "wrong wrong wrong", address) is None

    with pytest.raises(Refused) as error:
        keeper.password("ann", PASSWORD, "10.0.0.9")
    clock.advance(15 * 60)

    assert error.value.code == "login-locked"
    assert keeper.password("ann", PASSWORD, "10.0.0.9") is not None
    assert kinds(site).count("access.login-failed") == FAILURES_MAX
    assert kinds(site)[-1] == "access.login"


def test_who_has_shown_the_right_password_is_not_locked_out_by_somebody_else(keeper: Keeper, ann, clock) -> None:
    keeper.password("ann", PASSWORD, "10.0.0.1")
    for number in range(FAILURES_MAX):
        keeper.password("ann", "wrong wrong wrong", f"10.0.1.{number}")
    clock.advance(61)

    assert keeper.password("ann", PASSWORD, "10.0.0.1") is not None


def test_a_session_ends_at_logout_with_the_password_and_with_its_time(site: Site, keeper: Keeper, ann, clock) -> None:
    first = keeper.login("ann", PASSWORD, "127.0.0.1")
    second = keeper.login("ann", PASSWORD, "127.0.0.1", old=first)
    third = keeper.login("ann", PASSWORD, "127.0.0.1")

    rotated = keeper.session(first.encode())
    here = keeper.session(second.encode())
    keeper.logout(here, second.encode())
    gone = keeper.session(second.encode())
    before = keeper.session(third.encode())
    clock.advance(13 * 3600)
    over = keeper.session(third.encode())
    fourth = keeper.login("ann", PASSWORD, "127.0.0.1")
    site.db.write(lambda tx: users.set_password(tx, site, "ann", PASSWORD + "2"))

    assert first != second
    assert (rotated, gone, over, keeper.session(fourth.encode())) == (None, None, None, None)
    assert here.name == before.name == "ann"
    assert kinds(site).count("access.session-ended") == 1
    assert keeper.login("ann", PASSWORD, "127.0.0.1") is None
