"""Who asks is known before anything else happens: tokens, passwords, cookies, and what each of them may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.asked import HOST, PASSWORD, PORT, Asked, basic, bearer, person
from ropewalk.access import tokens, users
from ropewalk.access.roles import Grant
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

SERVER_INFO = "/api/3.0/mlflow/server-info"


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    server = Asked(site, enabled=True)
    yield server
    server.close()


@pytest.fixture
def local(site: Site) -> Iterator[Asked]:
    server = Asked(site)
    yield server
    server.close()


@pytest.fixture
def ann(site: Site) -> str:
    return person(site, "ann", Grant(role="developer", environment="dev"))


def kinds(site: Site) -> list[str]:
    with site.db.read() as rows:
        return [str(row["kind"]) for row in rows.rows("ledger.from", seq=1, count=1000)]


def test_without_authentication_this_machine_is_served_and_no_other(local: Asked) -> None:
    here = local.ask("GET", "/api/v1/runs")
    there = local.ask("GET", "/api/v1/runs", client="10.0.0.7")

    assert (here.status, there.status) == (200, 401)


@pytest.mark.parametrize("path", ["/api/v1/runs", SERVER_INFO, "/", "/metrics", "/openapi.json", "/nothing", "/v2"])
def test_whoever_says_not_who_he_is_is_asked(asked: Asked, path: str) -> None:
    answer = asked.ask("GET", path)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"  # the last of both
    assert {"code", "error_code"} & set(answer.json())


def test_a_refusal_is_told_in_the_words_of_the_paths_protocol(asked: Asked, ann: str) -> None:
    inference = asked.ask("POST", "/v2/models/churn/infer", b"{}")
    scoring = asked.ask("POST", "/invocations", b"{}")
    load = asked.ask("POST", "/v2/repository/models/churn/load", authorization=bearer(ann))

    assert (inference.status, bool(inference.json()["error"])) == (401, True)
    assert (scoring.status, scoring.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert (load.status, "error" in load.json()) == (403, True)  # ann may look at dev, and endpoints are of production


@pytest.mark.parametrize("path", ["/health", "/ping", "/login", "/static/console.css", "/v2/health/live"])
def test_a_few_addresses_are_public(asked: Asked, path: str) -> None:
    assert asked.ask("GET", path).status == 200


@pytest.mark.parametrize(
    "path", ["/static/../ropewalk.toml", "/static/%2e%2e/x.css", "/static/", "//health", "/health/"]
)
def test_addresses_that_look_like_public_ones_are_not(asked: Asked, path: str) -> None:
    assert asked.ask("GET", path).status == 401


def test_a_token_is_taken_as_bearer_and_as_the_password_of_basic(asked: Asked, ann: str) -> None:
    answers = [
        asked.ask("GET", SERVER_INFO, authorization=given)
        for given in (bearer(ann), f"bearer  {ann}", basic("ann", ann), basic("", ann), basic("token", ann))
    ]

    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer rw_",
        "Bearer x y",
        "Basic",
        "Basic !!!",
        "Basic 4pyT",
        "Basic YW5u",
        "Digest x",
        "Negotiate",
        basic("ann", "wrong wrong wrong"),
        basic("", PASSWORD),
        basic("nobody", PASSWORD),
        basic("ann\x00", PASSWORD),
    ],
)
def test_what_proves_nothing_is_nobody(asked: Asked, ann: str, given: str) -> None:
    assert asked.ask("GET", SERVER_INFO, authorization=given).status == 401


def test_two_headers_that_say_who_asks_count_as_none(asked: Asked, ann: str) -> None:
    answer = asked.ask("GET", SERVER_INFO, authorization=bearer(ann), headers=[("Authorization", bearer(ann))])

    assert answer.status == 401


def test_name_and_password_enter_and_a_new_password_shuts_the_old_one_out(site: Site, asked: Asked, ann, clock) -> None:
    before = asked.ask("GET", SERVER_INFO, authorization=basic("ann", PASSWORD))
    site.db.write(lambda tx: users.set_password(tx, site, "ann", PASSWORD + "2"))
    clock.advance(0.99)

    after = asked.ask("GET", SERVER_INFO, authorization=basic("ann", PASSWORD))
    new = asked.ask("GET", SERVER_INFO, authorization=basic("ann", PASSWORD + "2"))

    assert (before.status, after.status, new.status) == (200, 401, 200)


def test_the_sixth_wrong_password_is_told_to_wait(asked: Asked, ann: str) -> None:
    wrong = [asked.ask("GET", SERVER_INFO, authorization=basic("ann", "wrong wrong wrong")).status for _ in range(6)]
    right = asked.ask("GET", SERVER_INFO, authorization=basic("ann", PASSWORD))
    token = asked.ask("GET", SERVER_INFO, authorization=bearer(ann))

    assert wrong == [401] * 5 + [429]
    assert (right.status, right.headers["retry-after"]) == (429, "900")
    assert token.status == 200


def test_a_revoked_token_is_worth_nothing_within_a_second(site: Site, asked: Asked, ann: str, clock: SetClock) -> None:
    before = asked.ask("GET", SERVER_INFO, authorization=bearer(ann)).status
    with site.db.read() as rows:
        made = tokens.listed(rows)[0].id
    site.db.write(lambda tx: tokens.revoke(tx, site, made))
    clock.advance(0.99)

    assert (before, asked.ask("GET", SERVER_INFO, authorization=bearer(ann)).status) == (200, 401)


@pytest.mark.parametrize("what", ["disabled", "revoked", "narrowed", "nothing"])
def test_what_somebody_was_still_sending_when_he_was_shut_out_is_not_kept(site, asked, ann, clock, what) -> None:
    file = f"/api/2.0/mlflow-artifacts/artifacts/0/{'a' * 32}/artifacts/x"

    def shut() -> None:
        if what == "disabled":
            site.db.write(lambda tx: users.disable(tx, site, "ann"))
        elif what == "revoked":
            with site.db.read() as rows:
                made = tokens.listed(rows)[0].id
            site.db.write(lambda tx: tokens.revoke(tx, site, made))
        elif what == "narrowed":
            site.db.write(lambda tx: users.revoke(tx, site, "ann", Grant(role="developer", environment="dev")))
        clock.advance(0.99)

    sent = asked.ask("PUT", file, b"secret", authorization=bearer(ann), before_end=shut)

    admin = person(site, "root", Grant(role="admin"))
    found = asked.ask("GET", file, authorization=bearer(admin)).status
    assert (sent.status, found) == ((200, 200) if what == "nothing" else (401, 404))
    assert bool(list(site.blobs.digests())) == (what == "nothing")


def test_a_role_in_one_environment_is_none_in_another(site: Site, asked: Asked, ann: str) -> None:
    operator = person(site, "olga", Grant(role="operator", environment="production"))

    def status(token: str, method: str, path: str) -> int:
        return asked.ask(method, path, {}, authorization=bearer(token)).status

    assert status(ann, "GET", "/api/v1/runs") == 200
    assert status(ann, "GET", "/api/v1/endpoints") == 403
    assert status(ann, "POST", "/endpoints/churn/labels") == 403
    assert status(operator, "GET", "/api/v1/runs") == 403
    assert status(operator, "GET", "/api/v1/endpoints") == 200
    assert status(operator, "POST", "/endpoints/churn/labels") == 400


def test_an_unknown_change_wants_an_administrator_and_the_refusal_is_written_down(
    site: Site, asked: Asked, ann
) -> None:
    refused = [asked.ask("DELETE", "/nothing", authorization=bearer(ann)).status for _ in range(3)]

    assert refused == [403] * 3
    assert kinds(site).count("access.denied") == 1


def test_a_browser_is_shown_the_login_and_led_back(asked: Asked, ann: str) -> None:
    shown = asked.ask("GET", "/runs", accept="text/html,*/*")
    form = f"user=ann&password={PASSWORD.replace(' ', '+')}&next=/runs".encode()
    kind = {"content_type": "application/x-www-form-urlencoded", "origin": f"http://{HOST}"}
    wrong = asked.ask("POST", "/login", form.replace(b"horse", b"house"), **kind)
    right = asked.ask("POST", "/login", form, **kind)
    cookie = right.headers["set-cookie"].partition(";")[0]
    page = asked.ask("GET", "/runs", accept="text/html", cookie=cookie)

    assert shown.status == 401
    assert b'name="next" value="/runs"' in shown.body
    assert "script-src" not in shown.headers["content-security-policy"]
    assert wrong.status == 401
    assert b"wrong" in wrong.body
    assert (right.status, right.headers["location"]) == (303, "/runs")
    assert page.status == 200


def test_the_cookie_is_for_this_host_tls_and_no_script(asked: Asked, ann: str) -> None:
    body = {"user": "ann", "password": PASSWORD}

    plain = asked.ask("POST", "/login", body)
    tls = asked.ask("POST", "/login", body, scheme="https", origin=f"https://{HOST}")

    assert plain.headers["set-cookie"].startswith("ropewalk=rs_")
    assert tls.headers["set-cookie"].startswith("__Host-ropewalk=rs_")
    for answer in (plain, tls):
        assert "; Path=/; HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert tls.headers["set-cookie"].endswith("; Secure")
    assert "strict-transport-security" in tls.headers
    assert "strict-transport-security" not in plain.headers


def test_a_cookie_alone_changes_nothing_without_an_origin(asked: Asked, site: Site) -> None:
    person(site, "root", Grant(role="admin"))
    entered = asked.ask("POST", "/login", {"user": "root", "password": PASSWORD})
    cookie = entered.headers["set-cookie"].partition(";")[0]

    bare = asked.ask("POST", "/endpoints/churn/labels", {"labels": []}, cookie=cookie)
    own = asked.ask("POST", "/endpoints/churn/labels", {"labels": []}, cookie=cookie, origin=f"http://{HOST}")
    foreign = asked.ask("POST", "/endpoints/churn/labels", {"labels": []}, cookie=cookie, origin="http://evil.example")

    assert (bare.status, own.status, foreign.status) == (403, 404, 403)


def test_logging_out_ends_the_session_and_logging_in_never_keeps_the_cookie(asked: Asked, ann: str, clock) -> None:
    body = {"user": "ann", "password": PASSWORD}
    first = asked.ask("POST", "/login", body).headers["set-cookie"].partition(";")[0]
    second = asked.ask("POST", "/login", body, cookie=first).headers["set-cookie"].partition(";")[0]
    clock.advance(0.99)
    old = asked.ask("GET", "/runs", cookie=first).status
    left = asked.ask("POST", "/logout", cookie=second, origin=f"http://{HOST}")
    clock.advance(0.99)

    assert first != second
    assert old == 401
    assert (left.status, left.headers["location"]) == (303, "/login")
    assert asked.ask("GET", "/runs", cookie=second).status == 401


@pytest.mark.parametrize(
    "after", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "", "/a\nb"]
)
def test_the_login_leads_to_this_server_only(asked: Asked, ann: str, after: str) -> None:
    answer = asked.ask("POST", "/login", {"user": "ann", "password": PASSWORD, "next": after})

    assert (answer.status, answer.json()["code"]) == (400, "redirect-foreign")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"user": "ann"}', b'{"user": 1, "password": 2}', b"\xff", b"x" * 9000]
)
def test_a_login_that_says_nothing_sensible_is_refused(asked: Asked, body: bytes) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        assert asked.ask("POST", "/login", body, content_type=kind).status in (400, 413)


def test_every_answer_has_an_id_by_which_the_log_speaks_of_it(asked: Asked, local: Asked) -> None:
    ids = {server.ask("GET", "/health").headers["x-request-id"] for server in (asked, local) for _ in range(3)}

    assert len(ids) == 6


def test_a_proxy_is_believed_and_nobody_else(site: Site) -> None:
    person(site, "ann", Grant(role="viewer"))
    server = Asked(site, enabled=True, proxies=("10.0.0.2",), hosts=("ml.example.org",))
    said = {"x_forwarded_for": "1.2.3.4, 203.0.113.9", "x_forwarded_proto": "https", "host": "ml.example.org"}
    body = {"user": "ann", "password": "wrong wrong wrong"}

    by_proxy = server.ask("POST", "/login", body, client="10.0.0.2", origin="https://ml.example.org", **said)
    by_other = server.ask("POST", "/login", body, client="10.0.0.3", origin="https://ml.example.org", **said)
    server.close()

    with site.db.read() as rows:
        actors = [row["actor"] for row in rows.rows("ledger.of_kind", kind="access.login-failed")]
    assert by_proxy.status == 401
    assert "strict-transport-security" in by_proxy.headers
    assert by_other.status == 403
    assert actors == ["address:203.0.113.9"]


def test_what_is_made_is_recorded_under_its_callers_name(site: Site, asked: Asked, ann: str) -> None:
    asked.ask("GET", SERVER_INFO, authorization=basic("ann", PASSWORD))

    with site.db.read() as rows:
        entry = rows.rows("ledger.newest", count=1)[0]
    assert (entry["kind"], entry["actor"]) == ("access.login", "ann")


def test_a_run_is_its_callers_whatever_the_client_claims(asked: Asked, local: Asked, ann: str) -> None:
    body = {"experiment_id": "0", "user_id": "root"}

    known = asked.ask("POST", "/api/2.0/mlflow/runs/create", body, authorization=bearer(ann)).json()
    unasked = local.ask("POST", "/api/2.0/mlflow/runs/create", body).json()

    assert known["run"]["info"]["user_id"] == "ann"
    assert unasked["run"]["info"]["user_id"] == "root"


@pytest.mark.parametrize("host", [f"ml.example.org:{PORT}", "ml.example.org:443", f"localhost:{PORT}"])
def test_the_names_of_the_server_are_those_that_were_given(site: Site, host: str) -> None:
    server = Asked(site, hosts=("ml.example.org", "other.example:443"))

    known, other = server.ask("GET", "/health", host=host), server.ask("GET", "/health", host="other.example:443")
    server.close()

    assert known.status == (403 if host.endswith(":443") else 200)
    assert other.status == 200
