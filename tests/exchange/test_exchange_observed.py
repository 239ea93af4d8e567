"""Traces, what is thought of them, data for evaluation and webhooks come in too, from each source that has them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.cli import main
from ropewalk.demo.server import Server, free_port
from ropewalk.exchange.arrive import Arrival
from ropewalk.exchange.opened import open_source
from ropewalk.house import open_house
from ropewalk.runs import experiments
from ropewalk.site import Site
from ropewalk.store.sqlitefile import SqliteFile
from ropewalk.traces import evaluation, records, search, whole
from ropewalk.tracking import wire
from ropewalk.webhooks import webhook
from runs.stores import STORES, site_on

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exchange"), pytest.mark.timeout(180)]
COUNTS = {"traces": 2, "spans": 3, "assessments": 2}
MORE = {"evaluation datasets": 1, "evaluation records": 3, "webhooks": 1}


def take(site: Site, text: Path | str, *, dry: bool = False):
    return Arrival(site, open_source(str(text)), dry=dry, on_step=lambda _: None).run()


def told(site: Site) -> dict[str, object]:
    """What the project holds of traces, by name."""
    with site.db.read() as reader:
        first = experiments.by_name(reader, "first")
        page = search.search(reader, [str(first.id)]) if first else None
        found = whole.several(reader, [one.trace.id for one in page.traces] if page else [])
    return {
        one.info.trace.name: {
            "id": one.info.trace.id,
            "times": (one.info.trace.start_ms, one.info.trace.duration_ms, one.info.trace.state),
            "previews": (one.info.trace.request_preview, one.info.trace.response_preview),
            "tags": {key: value for key, value in one.info.tags.items() if not key.startswith("mlflow.")},
            "judged": sorted(
                (
                    each.id,
                    each.name,
                    each.kind,
                    each.value,
                    each.source_id,
                    each.rationale,
                    each.metadata,
                    each.created_ms,
                )
                for each in one.info.assessments
            ),
            "spans": sorted(
                json.dumps({key: value for key, value in each.items() if key != "links"}, sort_keys=True)
                for each in one.spans
            ),
        }
        for one in found
    }


@pytest.mark.parametrize("store", STORES)
def test_a_database_gives_traces_judgements_data_and_webhooks_with_their_ids(store, tmp_path, sqlite_file):
    theirs = SqliteFile(sqlite_file)
    with site_on(store, tmp_path) as site:
        tally = take(site, sqlite_file)
        again = take(site, sqlite_file)
        found = told(site)
        with site.db.read() as reader:
            (hook,), _ = webhook.listed(reader)
            events = [one.kind for one in webhook.events(reader, hook.id)]
            (data,) = evaluation.search(reader, ["1"]).evaluations
            tags = evaluation.tags_of(reader, data.id)
            kept, _ = records.page(reader, data.id, 10, "")

    assert tally.refused == {}
    assert tally.differing == []
    assert {kind: tally.moved[kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    assert {kind: again.known[kind] for kind in ("traces", "evaluation datasets", "webhooks")} == {
        "traces": 2,
        "evaluation datasets": 1,
        "webhooks": 1,
    }
    assert not any(again.moved[kind] for kind in (*COUNTS, *MORE))
    assert {one["id"] for one in found.values()} == {
        row["request_id"] for row in theirs.rows("select request_id from trace_info")
    }
    asked, outer = found["asked"], found["outer"]
    assert asked["tags"] == {"colour": "red"}
    assert [(one[1], one[2], one[3], one[4]) for one in sorted(asked["judged"], key=lambda one: one[1])] == [
        ("answer", "expectation", {"text": "A"}, "ann"),
        ("good", "feedback", True, "ann"),
    ]
    assert len(outer["spans"]) == 2
    assert any('"seen"' in one and '"two"' in one for one in outer["spans"])
    assert (hook.name, hook.url, hook.status, hook.secret, events) == (
        "hook",
        "https://1.1.1.1/hook",
        "DISABLED",
        None,
        ["model_version.created"],
    )
    assert hook.id == theirs.rows("select webhook_id from webhooks")[0]["webhook_id"]
    assert "cannot be read" in tally.notes["webhook hook"]
    assert (data.name, tags["team"]) == ("golden", "north")
    # Records of one millisecond have no order there.
    held = sorted((one.inputs["q"], one.expectations) for one in kept)
    assert held == [(str(place), {"a": place}) for place in range(3)]
    assert {one.id for one in kept} == {
        row["dataset_record_id"] for row in theirs.rows("select dataset_record_id from evaluation_dataset_records")
    }


def test_a_folder_and_a_server_give_the_same(tmp_path, mlruns, sqlite_file):
    labs = {}
    for name in ("lab", "third"):
        labs[name] = tmp_path / name
        labs[name].mkdir()
        (labs[name] / "ropewalk.toml").write_text(f'name = "{name}"\n')
    with site_on("sqlite", tmp_path / "of-folder") as site:
        from_folder = take(site, mlruns)
        dry = take(site, mlruns, dry=True)
    with open_house(labs["lab"]) as house:
        take(house.site, sqlite_file)
        wanted = told(house.site)
    with Server(labs["lab"], 0) as server, open_house(labs["third"]) as house:
        tally = take(house.site, server.url)
        found = told(house.site)

    assert {kind: from_folder.moved[kind] for kind in COUNTS} == COUNTS
    assert from_folder.refused == {}
    assert dry.known["traces"] == 2
    assert {kind: tally.moved[kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    assert tally.refused == {}
    assert found == wanted


def test_a_dry_run_counts_traces_too_and_writes_none(tmp_path, sqlite_file, capsys):
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')

    assert main(["--project", str(tmp_path), "import", "mlflow", str(sqlite_file), "--dry-run", "--json"]) == 0

    counts = json.loads(capsys.readouterr().out)["result"]["counts"]
    assert {kind: counts[kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    with open_house(tmp_path) as house:
        assert told(house.site) == {}


def lab_of(sqlite_file: Path, root: Path) -> Path:
    """A project that holds what the file holds."""
    root.mkdir()
    (root / "ropewalk.toml").write_text(f'name = "{root.name}"\n')
    with open_house(root) as house:
        take(house.site, sqlite_file)
    return root


def sent(lab: Path, to: str, capsys) -> dict[str, dict[str, int]]:
    assert main(["--project", str(lab), "export", "mlflow", to, "--json"]) == 0, capsys.readouterr()
    return json.loads(capsys.readouterr().out)["result"]


def test_they_go_out_again_once_and_come_back_the_same(tmp_path, sqlite_file, capsys):
    lab = lab_of(sqlite_file, tmp_path / "lab")
    other = tmp_path / "other"
    other.mkdir()
    (other / "ropewalk.toml").write_text('name = "other"\n')

    with Server(other, 0) as server:
        first, again = sent(lab, server.url, capsys), sent(lab, server.url, capsys)
    folder = sent(lab, str(tmp_path / "out"), capsys)
    with site_on("sqlite", tmp_path / "of-folder") as site:
        back = take(site, tmp_path / "out")
        from_folder = told(site)
    with open_house(lab) as one, open_house(other) as two:
        wanted, found = told(one.site), told(two.site)
        with two.site.db.read() as reader:
            (hook,), _ = webhook.listed(reader)

    assert {kind: first["counts"][kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    assert {kind: again["counts"][kind] for kind in (*COUNTS, *MORE)} == dict.fromkeys((*COUNTS, *MORE), 0)
    assert found == wanted == from_folder
    assert (hook.status, hook.secret) == ("DISABLED", None)
    assert "no webhooks" in folder["notes"]["webhook hook"]
    assert {kind: back.moved[kind] for kind in COUNTS} == COUNTS


@pytest.mark.skipif(not os.environ.get("ROPEWALK_TEST_MLFLOW_SERVER"), reason="ROPEWALK_TEST_MLFLOW_SERVER=1 runs it")
def test_mlflows_own_server_takes_them_and_gives_them_back(tmp_path, sqlite_file, capsys):
    lab = lab_of(sqlite_file, tmp_path / "lab")
    with theirs(tmp_path) as url:
        first, again = sent(lab, url, capsys), sent(lab, url, capsys)
        with site_on("sqlite", tmp_path / "third") as site:
            back = take(site, url)
            found = told(site)
    with open_house(lab) as house:
        wanted = told(house.site)

    assert {kind: first["counts"][kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    assert {kind: again["counts"][kind] for kind in (*COUNTS, *MORE)} == dict.fromkeys((*COUNTS, *MORE), 0)
    assert {kind: back.moved[kind] for kind in (*COUNTS, *MORE)} == {**COUNTS, **MORE}
    for name, one in wanted.items():
        for part in ("id", "times", "previews", "judged"):
            assert found[name][part] == one[part], (name, part)
        assert len(found[name]["spans"]) == len(one["spans"])


@contextmanager
def theirs(folder: Path) -> Iterator[str]:
    """Run MLflow's own server."""
    surroundings = stock.surroundings("", {"MLFLOW_DISABLE_AGENT_SETUP_HINT": "true"})
    del surroundings["MLFLOW_TRACKING_URI"]
    port = free_port()
    words = [str(stock.python("mlflow").with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/theirs.db", "--artifacts-destination", str(folder / "theirs")]
    with subprocess.Popen([*words, "--workers", "1"], cwd=folder, env=surroundings) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    for _ in range(600):
        with suppress(wire.Away):
            if wire.send(url, "GET", "/health").fine:
                return
        threading.Event().wait(0.2)
    pytest.fail("MLflow's server did not come up")


@pytest.mark.fault
def test_an_import_that_is_killed_again_and_again_goes_on_and_doubles_nothing(tmp_path, sqlite_file, capsys):
    chance = random.Random(5)
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')
    words = [sys.executable, str(Path(__file__).parent / "importing.py"), str(tmp_path), str(sqlite_file)]
    for _ in range(3):
        stop = chance.randrange(2, 12)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for number, _line in enumerate(process.stdout, 1):
                if number == stop:
                    process.kill()
        assert process.returncode != 0

    assert main(["--project", str(tmp_path), "import", "mlflow", str(sqlite_file), "--json"]) == 0
    rest = json.loads(capsys.readouterr().out)["result"]
    assert main(["--project", str(tmp_path), "import", "mlflow", str(sqlite_file), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["result"]

    assert rest["known"]["runs"] > 0
    assert rest["counts"]["runs"] + rest["known"]["runs"] == again["known"]["runs"] == 5
    assert rest["differing"] == []
    assert again["known"]["traces"] == 2
    assert not any(again["counts"][kind] for kind in again["counts"])
    assert main(["--project", str(tmp_path), "verify"]) == 0
