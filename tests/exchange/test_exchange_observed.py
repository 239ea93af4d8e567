"""Traces, what is thought of them, data for evaluation and webhooks come in too, from each source that has them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.exchange.arrive import Arrival
from ropewalk.exchange.opened import open_source
from ropewalk.house import open_house
from ropewalk.runs import experiments
from ropewalk.site import Site
from ropewalk.store.sqlitefile import SqliteFile
from ropewalk.traces import evaluation, records, search, whole
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
