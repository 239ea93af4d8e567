"""Published attacks that weigh on a server or make it talk, and the classes that have tests of their own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from security.corpus import API, FILES, JSON, Attack


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A class whose rows are a test of their own.

    Attributes:
        kind: the class.
        test: file and function.
    """

    kind: str
    test: str


CREATE, SEARCH = f"{API}/registered-models/create", f"{API}/runs/search"
FORM = ("content-type", "multipart/form-data; boundary=x")
PAGE = ("accept", "text/html")


def post(source: str, kind: str, target: str, body: object, *headers: tuple[str, str], right: str = "413") -> Attack:
    """Return a POST that changes nothing; `right` names the statuses."""
    statuses = frozenset(map(int, right.split()))
    return Attack(source=source, kind=kind, method="POST", target=target, body=body, headers=headers, right=statuses)


def get(source: str, kind: str, target: str, *headers: tuple[str, str], right: str = "404") -> Attack:
    """Return a GET."""
    return Attack(source=source, kind=kind, target=target, headers=headers, right=frozenset(map(int, right.split())))


def large() -> Iterator[Attack]:
    """Bodies and heads that are large, packed or not."""
    boundary = b"--x" + b"-" * (10 << 20)
    yield post("CVE-2024-9056", "dos-multipart", CREATE, boundary, FORM)
    yield post("CVE-2024-9340", "dos-multipart", "/login", boundary, FORM, right="404 405 413")
    yield post("CVE-2025-0187", "dos-size", CREATE, {"name": "n" * (2 << 20)})
    yield post("dos-size", "dos-size", "/v1/traces", bytes(17 << 20), JSON)
    yield post("dos-size", "dos-size", "/endpoints/x/predict", bytes(2 << 20), JSON)
    yield get("dos-size", "dos-size", "/" + "a" * 60_000)
    bomb = gzip.compress(bytes(50 << 20))
    for target in (CREATE, "/v1/traces", "/endpoints/x/predict"):
        packed = (("content-encoding", "gzip"), ("x-mlflow-experiment-id", "0"), JSON)
        yield post("gzip-bomb", "gzip-bomb", target, bomb, *packed)


def hard() -> Iterator[Attack]:
    """Bodies that are deep, numbers beyond every type, and patterns that take for ever elsewhere."""
    for target in (CREATE, f"{API}/runs/log-batch", "/endpoints/x/labels"):
        for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"name":"x","more":' + b"[" * 65 + b"]" * 65 + b"}"):
            yield post("dos-recursion", "dos-recursion", target, body, JSON, right="400")
    for value in (2**70, -(2**70), 1e400, "9" * 5000):
        told = json.dumps({"experiment_ids": ["0"], "max_results": value}).replace("Infinity", "1e400")
        yield post("dos-int", "dos-int", SEARCH, told.encode(), JSON, right="400")
    for pattern in ("(a+)+$", "(a|a)*b", "(" * 100, "[", "%" * 5000):
        for word in ("rlike", "like", "ilike"):
            body = {"experiment_ids": ["0"], "filter": f"tags.x {word} '{pattern}'"}
            yield post("redos", "redos", SEARCH, body, right="200 400")


def leaks() -> Iterator[Attack]:
    """Errors that might tell, and words that might be taken for markup or for lines of a log."""
    metric = {"run_id": "{run}", "metrics": [{"key": "a", "value": "secret-canary"}]}
    yield post("CVE-2023-25695", "err-leak", f"{API}/runs/create", b"{", JSON, right="400")
    yield post("CVE-2025-0330", "err-leak", f"{API}/runs/log-batch", metric, right="400")
    yield get("CVE-2023-27494", "xss-refl", "/%3Cscript%3Ealert(1)%3C/script%3E", PAGE)
    yield get("CVE-2021-45229", "xss-refl", "/runs?after=javascript:alert(1)%22%3E%3Cscript%3E", PAGE, right="200 400")
    kind = ("content-type", "<img src=x onerror=alert(1)>")
    yield post("CVE-2023-6568", "xss-refl", f"{API}/runs/create", b"{}", kind, right="400 415")
    for target in ("%0d%0aSet-Cookie:%20a=b", "%1b%5b31mred", "api/v1/runs/%0d%0aHTTP/1.1", "api/2.0/mlflow/%0aerror"):
        yield get("CVE-2024-0095", "log-inj", f"/{target}")


def doors() -> Iterator[Attack]:
    """Doors that others left open, and headers that others believed."""
    for header in (
        ("x-direct-url", "http://{sink}/"),
        ("x-forwarded-host", "{sink}"),
        ("x-original-url", "/metrics"),
        ("x-http-method-override", "DELETE"),
    ):
        yield get("CVE-2024-2206", "ssrf-hdr", f"{API}/registered-models/get?name=nobody", header)
    for target in (
        *("/proxy/127.0.0.1:22", "/api/jobs/", "/file=/etc/passwd", "/component_server", "/.git/config", "/.env"),
        *("/ropewalk.toml", "/.ropewalk/ropewalk.db", "/static/../console/app.py", "/debug", "/console"),
    ):
        yield get("CVE-2023-48022", "authn-gap", target)
        yield post("CVE-2023-48022", "authn-gap", target, {"entrypoint": "touch {secret}.touched"}, right="404 405")
    for name in ("../../x", "a/b", "a;id", "$(id)", "`id`", "|id", "\n", "", "x" * 5000):
        target = "/endpoints/" + quote(name, safe="") + "/labels"
        yield post("CVE-2024-0520", "cmd-inj", target, {"labels": []}, right="400 404")


def kept() -> Iterator[Attack]:
    """What is kept as it came and never run, and fields that nobody may set by the way."""
    for extra in (
        {"artifact_uri": "file:///etc"},
        {"experiment_id": "999"},
        {"user_id": "root"},
        {"lifecycle_stage": "deleted"},
    ):
        body = {"run_id": "{run}", **extra}
        yield replace(post("CVE-2023-40611", "authz-mass", f"{API}/runs/update", body, right="200 400"), changes=True)
    evil = b"cos\nsystem\n(S'touch {secret}.touched'\ntR."
    put = post("CVE-2024-37052", "pickle", f"{FILES}/{{place}}/model.pkl", evil, right="200")
    yield replace(put, method="PUT", changes=True)
    kind = ("content-type", "application/vnd.bentoml+pickle")
    yield post("CVE-2025-27520", "pickle", "/endpoints/x/predict", evil, kind, right="400 404 415")
    tag = {"run_id": "{run}", "key": "LD_PRELOAD", "value": "x"}
    yield replace(post("CVE-2024-5751", "env-inj", f"{API}/runs/set-tag", tag, right="200"), changes=True)


HEAVY = (*large(), *hard(), *leaks(), *doors(), *kept())
ELSEWHERE = (
    Elsewhere(kind="authn", test="tests/api/test_api_gate_matrix.py::test_no_address_lets_in_who_is_not_known"),
    Elsewhere(
        kind="authz",
        test="tests/api/test_api_gate_matrix.py::test_every_role_gets_what_the_table_of_roles_says_and_no_more",
    ),
    Elsewhere(
        kind="idor", test="tests/api/test_api_approvals.py::test_an_approver_of_another_environment_does_not_count_here"
    ),
    Elsewhere(
        kind="four eyes",
        test="tests/api/test_api_approvals.py::test_not_even_an_administrator_approves_what_he_shipped",
    ),
    Elsewhere(kind="brute", test="tests/api/test_api_gate.py::test_the_sixth_wrong_password_is_told_to_wait"),
    Elsewhere(
        kind="default password",
        test="tests/access/test_access_users.py::test_a_password_too_short_or_too_long_is_refused",
    ),
    Elsewhere(
        kind="session-fix",
        test="tests/api/test_api_gate.py::test_logging_out_ends_the_session_and_logging_in_never_keeps_the_cookie",
    ),
    Elsewhere(kind="redirect", test="tests/api/test_api_gate.py::test_the_login_leads_to_this_server_only"),
    Elsewhere(
        kind="dos-hang",
        test="tests/endpoints/test_endpoints_connection.py::test_a_body_that_trickles_a_byte_at_a_time_ends_with_408",
    ),
    Elsewhere(
        kind="secret-log",
        test="tests/cli/test_cli_access.py::test_a_server_with_tls_asks_everybody_and_leaves_no_secret_in_its_log",
    ),
    Elsewhere(kind="bind-all", test="tests/cli/test_cli_access.py::test_what_cannot_be_is_refused_and_nothing_listens"),
    Elsewhere(
        kind="local-perm", test="tests/cli/test_cli_access.py::test_files_with_secrets_are_for_their_owner_alone"
    ),
)
