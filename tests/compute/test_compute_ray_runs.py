"""Whole runs on a Ray cluster: the guide as it stands, a killed driver, a node that shares nothing, refused nodes."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from pipelines_project import Project
from ropewalk.blobs.objects import ObjectBucket
from ropewalk.compute import cluster as clusters
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.pipelines import elsewhere, outcomes
from ropewalk.pipelines.elsewhere import described_for
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.runs import run as runs
from ropewalk.settings import Compute
from ropewalk.testing.blobs_objects import s3_server

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.slow, pytest.mark.fault]
MORE = int(os.environ.get("ROPEWALK_KILLS", "1")) > 1
fault = pytest.mark.skipif(not MORE, reason="make fault")
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ray.md"
PIPELINE = """
import os
from pathlib import Path
from ropewalk import log_metric, pipeline, step


@step
def first(n: int) -> int:
    with open("notes.txt", "a") as file:
        file.write("first\\n")
    log_metric("first", n)
    return n


@step
def second(n: int) -> int:
    with open("notes.txt", "a") as file:
        file.write("second\\n")
    if Path("gate").exists():
        Path("told").write_text(str(os.getpid()))
        Path("gate").read_text()
    return n + 1


@pipeline
def train(n: int = 1):
    return second(first(n))
"""


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "ropewalk", "--project", str(root), *words]


# As it stands with `make fault`; in the gate on the cluster that is there, for one of the run's own costs most.
@pytest.mark.parametrize("address", [pytest.param("local", marks=fault), ""])
@pytest.mark.timeout(200)
def test_every_command_of_the_guide_prints_what_the_guide_says(cluster, tmp_path, address):
    blocks = dict(re.findall(r"```(python|console|toml)\n(.*?)```", GUIDE.read_text(), re.DOTALL))
    (tmp_path / "pipeline.py").write_text(blocks["python"])
    environ = {**os.environ, "COLUMNS": "200"}
    said = ""

    for line in blocks["console"].splitlines():
        words = shlex.split(
            line.removeprefix("$ ").replace("--address local", f"--address {address or cluster.address}")
        )
        if line.startswith("$ export "):
            name, _, value = words[1].partition("=")
            environ[name] = value
        elif line.startswith("$ "):
            asked = command(tmp_path, *words[1:])
            done = subprocess.run(asked, capture_output=True, text=True, check=False, env=environ, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            said = done.stdout + done.stderr
        else:
            assert line in said, said
    (tmp_path / "ropewalk.toml").write_text('name = "guided"\n' + blocks["toml"])
    done = subprocess.run(
        command(tmp_path, "run", "horizon=4", "--address", "127.0.0.1:1"), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "No Ray cluster answers at '127.0.0.1:1'" in done.stderr


def test_a_killed_driver_is_gone_on_with_and_no_finished_step_runs_again(cluster, tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "ropewalk.toml").write_text(f'name = "p"\n[compute]\npool = "ray"\naddress = "{cluster.address}"\n')
    os.mkfifo(tmp_path / "gate")
    os.mkfifo(tmp_path / "told")
    driver = subprocess.Popen(command(tmp_path, "run"), stdout=subprocess.DEVNULL)
    watched = os.pidfd_open(int((tmp_path / "told").read_text()))

    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert select.select([watched], [], [], 30)[0], "the step outlived the run"
    os.close(watched)
    (tmp_path / "gate").unlink()
    done = subprocess.run(command(tmp_path, "--json", "run"), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert (result["resumed"], result["metrics"]) == (True, {"first": 1.0})
    assert [step["state"] for step in result["steps"]] == ["done", "done"]
    assert (tmp_path / "notes.txt").read_text().split() == ["first", "second", "second"]
    ledger = subprocess.run(command(tmp_path, "--json", "verify"), capture_output=True, text=True, check=False)
    assert ledger.returncode == 0, ledger.stdout


def test_a_run_on_a_node_that_shares_nothing_fetches_code_and_values(cluster, site, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "make_token", lambda folder: (folder / "none", "text"))
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("REGION", "here")
        far = replace(site, blobs=ObjectBucket("s3://kept/far", tmp_path / "objects"))
        project = Project(far)
        project.write("words.txt", "from the project\n")
        project.write(
            "pipeline.py",
            """
            import os
            from pathlib import Path
            from ropewalk import pipeline, step

            @step(reads=["words.txt"])
            def read() -> list[str]:
                print("reads")
                return [Path("words.txt").read_text().strip(), os.environ["REGION"], os.getcwd()] * 200

            @step
            def last(words: list[str]) -> list[str]:
                return words[:3]

            @pipeline
            def train():
                return last(read())
            """,
        )
        compute = Compute(pool="ray", address=cluster.address, environ=tuple(environment))
        done = run_pipeline(far, target="pipeline.py:train", args={}, compute=compute)
        text, region, folder = project.value(done, "last")

    assert (text, region) == ("from the project", "here")
    assert not folder.startswith(str(tmp_path))
    assert not Path(folder).exists(), "it goes with its worker"
    assert (far.hidden / "logs" / done.run.id / "read.log").read_text() == "reads\n"


def test_a_cluster_that_is_lost_leaves_a_run_that_the_same_command_goes_on_with(cluster, site, monkeypatch):
    project = Project(site)
    project.write("pipeline.py", PIPELINE)
    compute = Compute(pool="ray", address=cluster.address)
    pools = []
    made = clusters.RayPool.connect
    monkeypatch.setattr(clusters.RayPool, "connect", lambda pool: (pools.append(pool), made(pool))[1])

    def lose(progress) -> None:
        if (progress.node, progress.state) == ("first", "done"):
            pools[-1]._link.process.kill()

    with pytest.raises(RopewalkError) as caught:
        run_pipeline(site, target="pipeline.py:train", args={}, compute=compute, on_progress=lose)
    with site.db.read() as rows:
        (left,) = rows.all(runs.Run, "runs.of_state", state=runs.INTERRUPTED)
    done = run_pipeline(site, target="pipeline.py:train", args={})

    assert (caught.value.code, done.run.id, done.resumed) == ("ray-lost", left.id, True)
    with site.db.read() as rows:
        stored = Counter(one.node for one in rows.all(outcomes.Outcome, "pipelines.outcomes"))
    assert stored == {"first": 1, "second": 1}


def test_a_node_with_another_version_of_a_library_runs_no_step_that_counts_on_it(cluster, site, monkeypatch):
    project = Project(site)
    project.write(
        "pipeline.py",
        """
        import msgspec
        from ropewalk import pipeline, step

        @step
        def read() -> str:
            return msgspec.json.encode([1]).decode()

        @pipeline
        def train():
            return read()
        """,
    )
    monkeypatch.setattr(elsewhere, "libraries_of", lambda graph: {"msgspec": "0.0.1"})

    with pytest.raises(Invalid) as caught:
        run_pipeline(site, target="pipeline.py:train", args={}, compute=Compute(pool="ray", address=cluster.address))

    assert "A node of the cluster has another msgspec" in caught.value.what
    assert "0.0.1" in caught.value.why
    assert "every node" in caught.value.fix


@pytest.mark.parametrize("address", ["", "10.0.0.5", "http://10.0.0.5:6379", "host:port", "auto "])
def test_an_address_that_is_none_is_refused_before_anything_else(site, address):
    with (
        pytest.raises(Invalid) as caught,
        described_for(site, "pipeline.py:train", {}, Compute(pool="ray", address=address)),
    ):
        pass

    assert caught.value.code == "ray-address-invalid"


def test_an_address_for_a_pool_that_has_none_is_a_mistyped_command(tmp_path):
    (tmp_path / "pipeline.py").write_text(dedent(PIPELINE))

    done = subprocess.run(
        command(tmp_path, "run", "--address", "10.0.0.5:6379"), capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "add --pool ray --address 10.0.0.5:6379" in done.stderr
