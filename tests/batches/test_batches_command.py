"""`ropewalk batch` as people and programs type it, on a project that was really shipped."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from observations.captured import sealed
from ropewalk.batches.pieces import records_of
from ropewalk.cli import main
from ropewalk.endpoints.staging import serve_bundle
from ropewalk.house import House, open_house, score
from ropewalk.models.golden import read_golden
from ropewalk.models.manifest import read_manifest
from ropewalk.refs import digest_of_file, uuid7
from ropewalk.releases import release
from ropewalk.releases.bundle import read_bundle
from ropewalk.releases.caller import Caller
from ropewalk.store.sqlitefile import SqliteFile

pytest.importorskip("sklearn")
KILLS = int(os.environ.get("ROPEWALK_KILLS", "0"))


def golden(root: Path) -> pl.DataFrame:
    with open_house(root) as house:
        with house.site.db.read() as rows:
            bundle = read_bundle(house.site.blobs, release.get(rows, "churn/1").bundle)
        return read_golden(house.site.blobs, read_manifest(house.site.blobs, bundle.manifest)).inputs


def say(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    main(["--project", str(root), *words, "--json"])
    return json.loads(capsys.readouterr().out)


def test_a_query_gives_the_bits_that_the_endpoint_gives_and_verify_is_content(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    rows = golden(project).head(40)
    names = rows.columns
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join(f":{name}" for name in names)
    inserts = [(f"insert into t ({columns}) values ({marks})", record) for record in records_of(rows, names)]
    SqliteFile(project / "app.db").change([(f"create table t ({columns})", {}), *inserts])

    answer = say(project, capsys, "batch", "--query", "select * from t", "--database", "app.db", "--into", "o.parquet")

    out = pl.read_parquet(project / "o.parquet")
    with open_house(project) as house:
        with house.site.db.read() as reader:
            bundle = release.get(reader, "churn/1").bundle
        with serve_bundle(house.site, bundle) as url, Caller(url) as caller:
            one = [
                caller.ask("POST", "/endpoints/churn/predict", {"records": [row]}) for row in records_of(rows, names)
            ]
    online = [reply.value()["predictions"][0] for reply in one]
    outputs = [name for name in out.columns if name not in {*names, "prediction_id", "release", "bundle"}]
    assert outputs
    for name in outputs:
        assert out[name].to_list() == [found[name] for found in online]
    assert answer["result"]["output"] == digest_of_file(project / "o.parquet")
    assert say(project, capsys, "batch", "--list")["result"]["batches"][0]["state"] == "done"
    assert main(["--project", str(project), "verify"]) == 0


def test_a_query_that_is_refused_leaves_nothing_and_secrets_stay_out_of_the_ledger(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    with closing(__import__("sqlite3").connect(project / "app.db")) as db:
        db.execute("create table t (x)")

    for words, code in (
        (["--query", "drop table t", "--database", "app.db"], "batch-query-refused"),
        (["--query", "select 1", "--database", "postgresql://a:b@h/d"], "batch-database-secret"),
        (["--query", "select 1", "--database", "gone.db"], "data-file-not-found"),
        (["--query", "select 1"], "batch-source-missing"),
    ):
        answer = say(project, capsys, "batch", *words, "--into", "o.parquet")
        assert answer["error"]["code"] == code

    assert not (project / "o.parquet").exists()
    assert SqliteFile(project / "app.db").rows("select count(*) as found from t") == [{"found": 0}]


def test_the_guide_says_what_happens(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    rows = golden(project).head(40)
    rows.write_parquet("customers.parquet")
    rows.with_columns(
        pl.when(pl.arange(40) == 7).then(None).otherwise(pl.col(rows.columns[0])).alias(rows.columns[0])
    ).write_csv("broken.csv")
    text = (Path(__file__).parents[2] / "docs" / "guides" / "batch.md").read_text()
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *wanted = part.rstrip().splitlines()
            failed = next(iter(say(project, capsys, "batch", "--list")["result"]["batches"]), {"batch": ""})
            main(shlex.split(command.replace("ID", str(failed["batch"])))[1:])
            said = capsys.readouterr()
            found = [" ".join(line.split()) for line in (said.out + said.err).splitlines()]
            assert [line for line in wanted if " ".join(line.split()) not in found] == [], f"{command}\n{said}"


def test_the_guide_on_rehearsals_says_what_happens(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    text = (Path(__file__).parents[2] / "docs" / "guides" / "rehearsal.md").read_text()
    (console,) = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (settings,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    command, *wanted = console.removeprefix("$ ").rstrip().splitlines()
    assert main(shlex.split(command)[1:]) == 1
    assert "error[rehearsal-empty]" in capsys.readouterr().err

    rows = golden(project).head(3)
    with open_house(project) as house:
        outputs = score(house)(_bundle(house), rows).to_dict(as_series=False)
        frame = {
            "id": [uuid7(house.site.clock.now_us()) for _ in range(3)],
            "at_us": [house.site.clock.now_us() + at * 1000 for at in range(3)],
            "endpoint": "churn",
            "release": "churn/1",
            "role": "champion",
            "pair": None,
            "key": None,
            "status": "ok",
            "event_us": 1,
            "error": None,
            "latency_us": 10_000_000,
            "generation": 1,
            "warnings": 0,
            "in": {name: [record[name] for record in records_of(rows, rows.columns)] for name in rows.columns},
            "out": outputs,
        }
        sealed(house.site, frame, 3, "churn")
    toml = project / "ropewalk.toml"
    toml.write_text(toml.read_text().replace("[qa]", settings))
    status = main(shlex.split(command)[1:])

    said = capsys.readouterr().out
    found = [" ".join(line.split()) for line in said.splitlines()]
    assert status == 0, said
    assert all(any(line.startswith(one) for line in found) for one in wanted), said
    assert "Passed" in (project / "rehearsal.html").read_text()


def _bundle(house: House) -> str:
    with house.site.db.read() as rows:
        return release.get(rows, "churn/1").bundle


def test_the_guide_on_clients_says_what_happens(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    text = (Path(__file__).parents[2] / "docs" / "guides" / "clients.md").read_text()
    (console,) = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (python,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *wanted = part.rstrip().splitlines()
        capsys.readouterr()
        assert main(shlex.split(command)[1:]) == 0
        assert wanted[0] in capsys.readouterr().out

    with open_house(project) as house:
        with house.site.db.read() as reader:
            bundle = release.get(reader, "churn/1").bundle
        with serve_bundle(house.site, bundle) as url:
            ran = subprocess.run(
                [sys.executable, "-c", python.replace("http://127.0.0.1:8470", url)],
                cwd=project, capture_output=True, text=True, check=False,
            )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"[0-9a-f-]{36} \d\n422 contract-broken \w+\n", ran.stdout), ran.stdout


@pytest.mark.fault
@pytest.mark.skipif(not KILLS, reason="ROPEWALK_KILLS=10 says how often")
def test_killed_again_and_again_the_same_command_ends_with_every_row_once(project, tmp_path):
    many = pl.concat([golden(project).head(50)] * 3000).with_row_index("row")
    many.write_parquet(tmp_path / "many.parquet")
    command = [sys.executable, "-m", "ropewalk", "--project", str(project), "--json", "batch"]
    command += [str(tmp_path / "many.parquet"), "--into", str(tmp_path / "out.parquet")]

    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stderr is not None
        for _ in range(2):  # how far it was, then a part more
            process.stderr.readline()
        os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
        killed += process.wait() == -signal.SIGKILL
        assert not (tmp_path / "out.parquet").exists() or not killed
    last = subprocess.run(command, capture_output=True, text=True, check=False)

    assert last.returncode == 0, last.stderr
    assert killed > 1
    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out["row"].to_list() == many["row"].to_list()
    assert out["prediction_id"].n_unique() == many.height
