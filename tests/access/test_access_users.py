from __future__ import annotations

import pytest

from access.conftest import PASSWORD
from ropewalk.access import passwords, tokens, users
from ropewalk.access.roles import Grant
from ropewalk.errors import Conflict, Invalid, NotFound, Refused
from ropewalk.site import Site


def ledger(site: Site) -> list[tuple[str, str]]:
    with site.db.read() as rows:
        return [(str(row["kind"]), str(row["subject"])) for row in rows.rows("ledger.from", seq=1, count=1000)]


def test_every_change_of_a_user_is_in_the_ledger(site: Site, ann: str) -> None:
    role = Grant(role="viewer")
    site.db.write(lambda tx: users.grant(tx, site, ann, role))
    site.db.write(lambda tx: users.grant(tx, site, ann, role))
    site.db.write(lambda tx: users.revoke(tx, site, ann, role))
    token, _ = site.db.write(lambda tx: tokens.create(tx, site, ann, scope=role))
    site.db.write(lambda tx: tokens.revoke(tx, site, token.id))
    site.db.write(lambda tx: users.set_password(tx, site, ann, PASSWORD + "!"))
    site.db.write(lambda tx: users.disable(tx, site, ann))
    site.db.write(lambda tx: users.enable(tx, site, ann))

    assert ledger(site) == [
        ("access.user-added", "user:ann"),
        ("access.role-granted", "user:ann"),
        ("access.role-granted", "user:ann"),
        ("access.role-revoked", "user:ann"),
        ("access.token-created", f"token:{token.id}"),
        ("access.token-revoked", f"token:{token.id}"),
        ("access.password-set", "user:ann"),
        ("access.user-disabled", "user:ann"),
        ("access.user-enabled", "user:ann"),
    ]


def test_a_change_that_fails_leaves_neither_row_nor_entry(site: Site) -> None:
    def both(tx) -> None:
        users.add(tx, site, "bob", password=PASSWORD)
        users.add(tx, site, "BOB", password=PASSWORD)

    with pytest.raises(Conflict, match="of this name"):
        site.db.write(both)

    with site.db.read() as rows:
        assert users.listed(rows) == []
    assert ledger(site) == []


@pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["", "-ann", "a:b", "a b", "a\nb", "a/b", "ann" * 50, "änn"])
def test_a_name_that_could_be_read_otherwise_is_refused(site: Site, name: str) -> None:
    with pytest.raises(Invalid) as error:
        site.db.write(lambda tx: users.add(tx, site, name, password=PASSWORD))

    assert error.value.code == "user-name-invalid"


@pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
@pytest.mark.parametrize("password", ["", "short", " " * 20, "x" * 1025])
def test_a_password_too_short_or_too_long_is_refused(site: Site, password: str) -> None:
    with pytest.raises(Invalid) as error:
        site.db.write(lambda tx: users.add(tx, site, "bob", password=password))

    assert error.value.code == "password-unfit"
    assert password[:4] == "" or password[:4] not in error.value.why


@pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
def test_passwords_are_kept_as_argon2id_at_the_setting_that_owasp_names(site: Site, ann: str) -> None:
    with site.db.read() as rows:
        kept = users.get(rows, ann).password

    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in kept
    assert passwords.fits(kept, PASSWORD)
    assert not passwords.fits(kept, PASSWORD + "x")
    assert not passwords.fits("", PASSWORD)


def test_what_is_not_there_is_told(site: Site, ann: str) -> None:
    asked = [
        (lambda tx: users.set_password(tx, site, "nobody", PASSWORD), NotFound, "user-not-found"),
        (lambda tx: users.revoke(tx, site, ann, Grant(role="admin")), NotFound, "role-not-granted"),
        (lambda tx: users.grant(tx, site, ann, Grant(role="king")), Invalid, "role-unknown"),
        (lambda tx: users.grant(tx, site, ann, Grant(role="admin", environment="a b")), Invalid, "role-scope-invalid"),
        (lambda tx: tokens.revoke(tx, site, "nothing"), NotFound, "token-not-found"),
        (lambda tx: tokens.create(tx, site, ann, scope=Grant(role="viewer"), days=91), Invalid, "token-days-invalid"),
        (
            lambda tx: tokens.create(tx, site, ann, scope=Grant(role="viewer"), note="a\nb"),
            Invalid,
            "token-note-invalid",
        ),
    ]

    for work, kind, code in asked:
        with pytest.raises(kind) as error:
            site.db.write(work)
        assert error.value.code == code


def test_a_service_has_no_password_and_a_disabled_user_gets_no_token(site: Site, ann: str) -> None:
    site.db.write(lambda tx: users.add(tx, site, "ci", service=True))
    site.db.write(lambda tx: users.disable(tx, site, ann))

    with pytest.raises(Invalid, match="no password"):
        site.db.write(lambda tx: users.set_password(tx, site, "ci", PASSWORD))
    with pytest.raises(Refused, match="disabled"):
        site.db.write(lambda tx: tokens.create(tx, site, ann, scope=Grant(role="viewer")))


def test_a_token_is_kept_as_its_digest_and_shown_once(site: Site, token) -> None:
    made, secret = token()

    with site.db.read() as rows:
        row = rows.row("access.token_by_digest", digest=tokens.digest(secret))
        entries = "".join(str(one["body"]) for one in rows.rows("ledger.from", seq=1, count=100))
    assert tokens.is_token(secret)
    assert row is not None
    assert row["id"] == made.id
    assert secret.decode() not in f"{row}{entries}"
