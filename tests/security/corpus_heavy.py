"""Published attacks that weigh on a server or make it talk, and the classes that have tests of their own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from security.corpus import API, FILES, JSON, Attack


def heavy() -> Iterator[Attack]:
    """Bodies that are large, deep or slow to read."""
    create = f"{API}/registered-models/create"
    large = frozenset((413,))
    bomb = gzip.compress(bytes(50 << 20))
    boundary = b"--x" + b"-" * (10 << 20)
    form = ("content-type", "multipart/form-data; boundary=x")
    yield Attack(
        source="CVE-2024-9056",
        kind="dos-multipart",
        method="POST",
        target=create,
        body=boundary,
        headers=(form,),
        right=large,
    )
    yield Attack(
        source="CVE-2024-9340",
        kind="dos-multipart",
        method="POST",
        target="/login",
        body=boundary,
        headers=(form,),
        right=frozenset((404, 405, 413)),
    )
    yield Attack(
        source="CVE-2025-0187",
        kind="dos-size",
        method="POST",
        target=create,
        body={"name": "n" * (2 << 20)},
        right=large,
    )
    yield Attack(
        source="dos-size",
        kind="dos-size",
        method="POST",
        target="/v1/traces",
        body=bytes(17 << 20),
        headers=(JSON,),
        right=large,
    )
    yield Attack(
        source="dos-size",
        kind="dos-size",
        method="POST",
        target="/endpoints/x/predict",
        body=bytes(2 << 20),
        headers=(JSON,),
        right=large,
    )
    packed = (("content-encoding", "gzip"), ("x-mlflow-experiment-id", "0"), JSON)
    for target in (create, "/v1/traces", "/endpoints/x/predict"):
        yield Attack(
            source="gzip-bomb", kind="gzip-bomb", method="POST", target=target, body=bomb, headers=packed, right=large
        )
    for target in (create, f"{API}/runs/log-batch", "/endpoints/x/labels"):
        for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"name":"x","more":' + b"[" * 65 + b"]" * 65 + b"}"):
            yield Attack(
                source="dos-recursion",
                kind="dos-recursion",
                method="POST",
                target=target,
                body=body,
                headers=(JSON,),
                right=frozenset((400,)),
            )
    for value in (2**70, -(2**70), 1e400, "9" * 5000):
        body = {"experiment_ids": ["0"], "max_results": value}
        yield Attack(
            source="dos-int",
            kind="dos-int",
            method="POST",
            target=f"{API}/runs/search",
            body=json.dumps(body).replace("Infinity", "1e400").encode(),
            headers=(JSON,),
            right=frozenset((400,)),
        )
    for pattern in ("(a+)+$", "(a|a)*b", "(" * 100, "[", "%" * 5000):
        for word in ("rlike", "like", "ilike"):
            body = {"experiment_ids": ["0"], "filter": f"tags.x {word} '{pattern}'"}
            yield Attack(
                source="redos",
                kind="redos",
                method="POST",
                target=f"{API}/runs/search",
                body=body,
                right=frozenset((200, 400)),
            )
    yield Attack(source="dos-size", kind="dos-size", target="/" + "a" * 60_000, right=frozenset((404,)))


def leaks() -> Iterator[Attack]:
    """Errors that might tell, words that might be taken for others, and doors that others left open."""
    yield Attack(
        source="CVE-2023-25695", kind="err-leak", method="POST", target=f"{API}/runs/create", body=b"{", headers=(JSON,)
    )
    yield Attack(
        source="CVE-2025-0330",
        kind="err-leak",
        method="POST",
        target=f"{API}/runs/log-batch",
        body={"run_id": "{run}", "metrics": [{"key": "a", "value": "secret-canary"}]},
    )
    yield Attack(
        source="CVE-2023-27494",
        kind="xss-refl",
        target="/%3Cscript%3Ealert(1)%3C/script%3E",
        headers=(("accept", "text/html"),),
        right=frozenset((404,)),
    )
    yield Attack(
        source="CVE-2021-45229",
        kind="xss-refl",
        target="/runs?after=javascript:alert(1)%22%3E%3Cscript%3E",
        headers=(("accept", "text/html"),),
        right=frozenset((200, 400)),
    )
    yield Attack(
        source="CVE-2023-6568",
        kind="xss-refl",
        method="POST",
        target=f"{API}/runs/create",
        body=b"{}",
        headers=(("content-type", "<img src=x onerror=alert(1)>"),),
        right=frozenset((400, 415)),
    )
    for target in (
        "/%0d%0aSet-Cookie:%20a=b",
        "/%1b%5b31mred",
        "/api/v1/runs/%0d%0aHTTP/1.1%20200",
        "/api/2.0/mlflow/%0aerror",
    ):
        yield Attack(source="CVE-2024-0095", kind="log-inj", target=target, right=frozenset((404,)))
    for header in (
        ("x-direct-url", "http://{sink}/"),
        ("x-forwarded-host", "{sink}"),
        ("x-original-url", "/metrics"),
        ("x-http-method-override", "DELETE"),
    ):
        yield Attack(
            source="CVE-2024-2206",
            kind="ssrf-hdr",
            target=f"{API}/registered-models/get?name=nobody",
            headers=(header,),
            right=frozenset((404,)),
        )
    for target in (
        "/proxy/127.0.0.1:22",
        "/api/jobs/",
        "/file=/etc/passwd",
        "/component_server",
        "/.git/config",
        "/.env",
        "/ropewalk.toml",
        "/.ropewalk/ropewalk.db",
        "/static/../console/app.py",
        "/debug",
        "/console",
    ):
        yield Attack(source="CVE-2023-48022", kind="authn-gap", target=target, right=frozenset((404,)))
        yield Attack(
            source="CVE-2023-48022",
            kind="authn-gap",
            method="POST",
            target=target,
            body={"entrypoint": "touch {secret}.touched"},
            right=frozenset((404, 405)),
        )
    for name in ("../../x", "a/b", "a;id", "$(id)", "`id`", "|id", "\n", "", "x" * 5000):
        yield Attack(
            source="CVE-2024-0520",
            kind="cmd-inj",
            method="POST",
            target="/endpoints/" + quote(name, safe="") + "/labels",
            body={"labels": []},
            right=frozenset((400, 404)),
        )
    for extra in (
        {"artifact_uri": "file:///etc"},
        {"experiment_id": "999"},
        {"user_id": "root"},
        {"lifecycle_stage": "deleted"},
    ):
        yield Attack(
            source="CVE-2023-40611",
            kind="authz-mass",
            method="POST",
            target=f"{API}/runs/update",
            body={"run_id": "{run}", **extra},
            right=frozenset((200, 400)),
            changes=True,
        )
    yield Attack(
        source="CVE-2024-37052",
        kind="pickle",
        method="PUT",
        target=f"{FILES}/{{place}}/model.pkl",
        body=b"cos\nsystem\n(S'touch {secret}.touched'\ntR.",
        right=frozenset((200,)),
        changes=True,
    )
    yield Attack(
        source="CVE-2025-27520",
        kind="pickle",
        method="POST",
        target="/endpoints/x/predict",
        body=b"cos\nsystem\n(S'id'\ntR.",
        headers=(("content-type", "application/vnd.bentoml+pickle"),),
        right=frozenset((400, 404, 415)),
    )
    yield Attack(
        source="CVE-2024-5751",
        kind="env-inj",
        method="POST",
        target=f"{API}/runs/set-tag",
        body={"run_id": "{run}", "key": "LD_PRELOAD", "value": "x"},
        right=frozenset((200,)),
        changes=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A class whose rows are a test of their own.

    Attributes:
        kind: the class.
        test: file and function.
    """

    kind: str
    test: str


HEAVY = (*heavy(), *leaks())
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
