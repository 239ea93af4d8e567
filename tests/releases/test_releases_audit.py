"""pip-audit asks a service only where a project names one; silence is said and is no pass."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.errors import Refused
from ropewalk.releases import outcome
from ropewalk.releases.audit import audit
from ropewalk.releases.line import ship
from ropewalk.site import Site

LOCK = b"old-thing==1.0\nfine-thing==2.0\n"
KNOWN: dict[str, Any] = {
    "id": "GHSA-xxxx-yyyy-zzzz",
    "schema_version": "1.4.0",
    "summary": "Reads any file.",
    "aliases": ["CVE-2020-0001"],
    "affected": [
        {
            "package": {"name": "old-thing", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Service(BaseHTTPRequestHandler):
    """Speaks as much of OSV's query route as pip-audit asks."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"vulns": [KNOWN]} if asked["package"]["name"] == "old-thing" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def test_a_service_that_answers_names_the_vulnerability_and_its_fix(service: str) -> None:
    found = audit(LOCK, service)

    assert (found.answered, found.packages) == (True, 2)
    (one,) = found.vulnerable
    assert (one.package, one.version, one.fixed) == ("old-thing", "1.0", "1.1")
    assert {one.advisory, *one.aliases} == {"GHSA-xxxx-yyyy-zzzz", "CVE-2020-0001"}


def test_a_service_that_cannot_be_reached_is_no_answer_and_says_why() -> None:
    found = audit(LOCK, "http://127.0.0.1:9/v1/query")

    assert not found.answered
    assert found.problem
    assert found.vulnerable == ()


def test_the_scan_says_that_a_service_was_silent_and_refuses_where_somebody_must_have_spoken(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    nobody = {"audit": "http://127.0.0.1:9/v1/query"}

    with pytest.raises(Refused) as caught:
        ship(site, settings_of(scan={**nobody, "require_advisories": True}), doors=Small(site=site).doors())
    done = ship(site, settings_of(scan=nobody), doors=Small(site=site).doors())

    assert "there are no advisories" in caught.value.why
    with site.db.read() as rows:
        said = outcome.last_outcome(rows, done.id, "scan")
    assert said is not None
    assert "gave no answer" in said.summary
