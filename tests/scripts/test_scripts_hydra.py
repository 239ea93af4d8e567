"""A project of Hydra's runs as it is: what was composed is recorded, and each job of a multirun is a run of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.cli.run import command_of
from ropewalk.evidence.verify import verify
from ropewalk.house import open_house
from ropewalk.runs import keep, search
from ropewalk.runs.run import Run

TRAIN = """
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def train(cfg):
    if cfg.lr > 5:
        raise ValueError("too fast")
    (Path(HydraConfig.get().runtime.output_dir) / "result.txt").write_text(str(cfg.lr))
    return cfg.lr * cfg.model.depth


if __name__ == "__main__":
    train()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "conf" / "config.yaml").write_text("lr: 0.5\nnote: ${lr}\ndefaults:\n  - _self_\n  - model: small\n")
    (tmp_path / "conf" / "model" / "small.yaml").write_text("depth: 2\n")
    (tmp_path / "conf" / "model" / "big.yaml").write_text("depth: 9\n")
    return tmp_path


def ropewalk(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ropewalk", "run", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=120)


def recorded(root: Path) -> list[tuple[Run, dict[str, str], dict[str, float], dict[str, bytes]]]:
    """Return each run with its parameters, metrics and artifacts, oldest first."""
    found = []
    with open_house(root) as house:
        assert verify(house.site).findings == ()
        with house.site.db.read() as rows:
            for run in sorted(search.search(rows).runs, key=lambda one: one.id):
                params = {fact.key: fact.value for fact in keep.facts(rows, run.id, "param")}
                metrics = {point.key: point.value for point in keep.metrics(rows, run.id)}
                facts = keep.facts(rows, run.id, "artifact")
                files = {fact.key: house.site.blobs.get(fact.content()["digest"]) for fact in facts}
                found.append((run, params, metrics, files))
    return found


def test_overrides_reach_the_script_and_what_was_composed_is_recorded(root):
    done = ropewalk(root, "train.py", "lr=0.1", "model=big", "+db.password=hunter2hunter2")

    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout
    ((run, params, _, files),) = recorded(root)
    assert (run.state, command_of(run)) == (
        "finished",
        "ropewalk run train.py lr=0.1 model=big '+db.password=***'",
    )
    assert params == {"lr": "0.1", "note": "${lr}", "model.depth": "9", "db.password": "***"}
    assert files["ropewalk/config.yaml"] == b"lr: 0.1\nnote: ${lr}\nmodel:\n  depth: 9\ndb:\n  password: ***\n"
    (folder,) = {name.rpartition("/")[0] for name in files if name.endswith("result.txt")}
    assert {f"{folder}/.hydra/config.yaml", f"{folder}/.hydra/overrides.yaml"} <= set(files)


def test_each_job_of_a_multirun_is_a_run_below_the_scripts_own(root):
    done = ropewalk(root, "train.py", "-m", "lr=0.1,0.2,9", "model=big")

    assert done.returncode == 1
    parent, *jobs = recorded(root)
    assert [run.name for run, *_ in (parent, *jobs)] == ["train-1", "train-1-0", "train-1-1", "train-1-2"]
    assert {run.parent for run, *_ in jobs} == {parent[0].id}
    assert [run.state for run, *_ in jobs] == ["finished", "finished", "failed"]
    assert jobs[2][0].error == "ValueError: too fast"
    assert [params["lr"] for _, params, *_ in jobs] == ["0.1", "0.2", "9"]
    assert [metrics.get("returned") for *_, metrics, _ in jobs] == [0.9, 1.8, None]
    assert [files.get("result.txt") for *_, files in jobs] == [b"0.1", b"0.2", None]
    assert command_of(jobs[1][0]) == "ropewalk run train.py lr=0.2 model=big"
    with open_house(root) as house, house.site.db.read() as rows:
        below = search.search(rows, f"tags.mlflow.parentRunId = '{parent[0].id}'").runs
    assert len(below) == 3
