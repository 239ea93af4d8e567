"""Exported files as the programs themselves see them; a program that is not installed is said to be missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exports.delivered import answering, asked, written
from ropewalk.demo.server import free_port

pytestmark = pytest.mark.skipif(
    os.environ.get("ROPEWALK_TEST_IMAGE", "") != "1",
    reason="nginx, systemd-analyze, newman, jmeter and hadolint are asked with ROPEWALK_TEST_IMAGE=1",
)


def program(name: str) -> str:
    """Return a program's path; who asked for these tests and has it not is told so."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def root(shipped, tmp_path_factory):
    return shutil.copytree(shipped, tmp_path_factory.mktemp("programs") / "churn")


@pytest.fixture(scope="module")
def port(root):
    with answering(written(root, "bundle"), {"PORT": "{port}", "ROPEWALK_HOST": "127.0.0.1"}) as (number, _):
        yield number


def done(*words: str, cwd: Path | None = None) -> str:
    """Run a program that is to succeed; return what it said."""
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=110, cwd=cwd)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_nginx_takes_the_site_and_answers_through_it(root, port, tmp_path):
    own = free_port()
    site = (written(root, "nginx") / "churn.conf").read_text()
    site = site.replace("listen 80;", f"listen 127.0.0.1:{own};").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    (tmp_path / "churn.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; include {tmp_path}/churn.conf; }}\n"
    )
    words = [program("nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]

    assert "test is successful" in done(*words, "-t")
    with subprocess.Popen(words) as server:
        try:
            answer = None
            for _ in range(200):
                try:
                    answer = asked(own, "GET", "/ping", Host=f"127.0.0.1:{port}")
                    break
                except ConnectionRefusedError:
                    continue
            assert answer is not None
            assert answer.status == 200
            assert asked(own, "POST", "/invocations", b"{}", Host=f"127.0.0.1:{port}").status == 400
        finally:
            server.terminate()


def test_systemd_takes_the_unit(root, tmp_path):
    text = (written(root, "systemd") / "churn.service").read_text()
    unit = tmp_path / "churn.service"
    unit.write_text(text.replace("/opt/ropewalk/venv/bin/ropewalk", "/bin/true"))

    said = done(program("systemd-analyze"), "verify", "--man=no", str(unit))

    assert "churn.service" not in said, said


def test_newman_runs_the_collection_green(root, port):
    collection = written(root, "postman") / "churn.json"

    done(program("newman"), "run", str(collection), "--env-var", f"base=http://127.0.0.1:{port}")


def test_jmeter_loads_the_endpoint_and_no_answer_is_wrong(root, port, tmp_path):
    plan = written(root, "jmeter") / "churn.jmx"
    given = [f"-Jport={port}", "-Jthreads=2", "-Jseconds=2", "-Jjmeter.save.saveservice.output_format=csv"]

    done(program("jmeter"), "-n", "-t", str(plan), "-l", str(tmp_path / "churn.jtl"), *given, cwd=tmp_path)

    lines = (tmp_path / "churn.jtl").read_text().splitlines()
    answers = [line for line in lines if ",predict," in line]
    assert answers
    assert all(",true," in line and ",200," in line for line in answers), answers[:3]


def test_hadolint_finds_nothing_in_the_dockerfile(root):
    done(program("hadolint"), str(written(root, "dockerfile") / "Dockerfile"))
