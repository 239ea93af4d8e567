"""A real Prometheus scrapes a real server: its rules fire when they should, and every query of the board has data."""

from __future__ import annotations

import json
import math
import subprocess

import pytest
import yaml

from ropewalk.cli import main
from ropewalk.settings import read_settings
from telemetry.scraping import exported, program, scraping, until

pytestmark = [pytest.mark.xdist_group("watched"), pytest.mark.timeout(180)]
TRACE, SPAN = "d" * 32, "00f067aa0ba902b7"
ANSWERS = 'ropewalk_http_answers_total{{endpoint="churn",status="{}"}}'
ROWS = 'ropewalk_predictions_total{{endpoint="churn",release="churn/2",role="{}",status="{}"}}'
BUCKET = 'ropewalk_prediction_seconds_bucket{{endpoint="churn",release="churn/2",le="{}"}}'
OPEN = 'ropewalk_alert_open{{endpoint="churn",monitor="seen",kind="{}"}}'
WHOLE = '{endpoint="",release=""}'
CHURN, PAGE, TICKET = {"endpoint": "churn"}, {"severity": "page"}, {"severity": "ticket"}
# Alert, series with which it fires, series with which it is quiet, labels, summary; all after a quarter of an hour.
CASES = [
    (
        "RopewalkErrors",
        {ANSWERS.format(200): "0+95x20", ANSWERS.format(500): "0+5x20"},
        {ANSWERS.format(200): "0+995x20", ANSWERS.format(500): "0+5x20"},
        CHURN | PAGE,
        "churn: 5% of the answers are errors of the server",
    ),
    (
        "RopewalkModelErrors",
        {ROWS.format("champion", "ok"): "0+90x20", ROWS.format("champion", "error"): "0+10x20"},
        {ROWS.format("champion", "ok"): "0+90x20", ROWS.format("shadow", "error"): "0+10x20"},
        CHURN | PAGE | {"release": "churn/2"},
        "churn/2: 10% of the rows have no valid answer",
    ),
    (
        "RopewalkSlow",
        {BUCKET.format(1): "0x20", BUCKET.format(5): "0+100x20", BUCKET.format("+Inf"): "0+100x20"},
        {BUCKET.format(1): "0+100x20", BUCKET.format(5): "0+100x20", BUCKET.format("+Inf"): "0+100x20"},
        CHURN | PAGE,
        "churn: one answer of a hundred takes longer than 4.96s",
    ),
    (
        "RopewalkNoWorker",
        {'ropewalk_workers{endpoint="churn",release="churn/2"}': "1x9 0x20"},
        {'ropewalk_workers{endpoint="churn",release="churn/2"}': "1x9 0x4 1x20"},
        CHURN | PAGE | {"release": "churn/2"},
        "churn/2 has no process that answers at churn",
    ),
    (
        "RopewalkTooBusy",
        {ANSWERS.format(503): "0+1x20"},
        {ANSWERS.format(503): "7x20"},
        CHURN | TICKET,
        "churn sends callers away",
    ),
    (
        "RopewalkDrift",
        {OPEN.format("drift"): "0x9 1x20"},
        {OPEN.format("drift"): "1x9 0x20", OPEN.format("quality"): "1x20"},
        CHURN | TICKET | {"monitor": "seen", "kind": "drift"},
        "churn: the monitor seen sees what the training did not",
    ),
    (
        "RopewalkQuality",
        {OPEN.format("calibration"): "1x20"},
        {OPEN.format("output"): "1x20"},
        CHURN | PAGE | {"monitor": "seen", "kind": "calibration"},
        "churn: the monitor seen (calibration) is open",
    ),
    (
        "RopewalkCanaryFell",
        {'ropewalk_rollouts{endpoint="churn",state="fallen"}': "0x9 1x20"},
        {
            'ropewalk_rollouts{endpoint="churn",state="fallen"}': "3x30",
            'ropewalk_rollouts{endpoint="churn",state="live"}': "0+1x30",
        },
        CHURN | TICKET | {"state": "fallen"},
        "churn: a canary was rolled back",
    ),
    (
        "RopewalkWorkFailed",
        {'ropewalk_jobs{kind="run",state="failed"}': "2x9 3x20"},
        {'ropewalk_jobs{kind="run",state="failed"}': "2x30", 'ropewalk_jobs{kind="run",state="finished"}': "0+1x30"},
        TICKET | {"kind": "run", "state": "failed"},
        "Work failed: run",
    ),
    (
        "RopewalkDown",
        {'up{job="ropewalk",instance="ml:8470"}': "1x9 0x20"},
        {'up{job="ropewalk",instance="ml:8470"}': "1x30", 'up{job="other",instance="ml:1"}': "0x30"},
        PAGE | {"job": "ropewalk", "instance": "ml:8470"},
        "ml:8470 does not answer /metrics",
    ),
    (
        "RopewalkDiskFull",
        {"ropewalk_disk_free_bytes": "5x30", "ropewalk_disk_bytes": "100x30"},
        {"ropewalk_disk_free_bytes": "5x9 50x30", "ropewalk_disk_bytes": "100x40"},
        TICKET,
        "5% of the disk is left where the records lie",
    ),
    (
        "RopewalkCaptureRefused",
        {f"ropewalk_capture_refused_rows{WHOLE}": "0x12 40x20"},
        {f"ropewalk_capture_refused_rows{WHOLE}": "40x30"},
        PAGE,
        "40 predictions were not answered, for their rows could not be written",
    ),
    (
        "RopewalkCaptureFailing",
        {f"ropewalk_capture_failing{WHOLE}": "0x9 1x20"},
        {f"ropewalk_capture_failing{WHOLE}": "1x9 0x20"},
        TICKET,
        "Captured rows cannot be sealed; nothing is lost yet, they wait on the disk",
    ),
]


@pytest.fixture(scope="module")
def files(watched):
    return exported(watched.root, "prometheus", f"127.0.0.1:{watched.port}")


def rules(files):
    """Return the exported alerts by name."""
    told = yaml.safe_load((files / "ropewalk.rules.yml").read_text())
    return {rule["alert"]: rule for group in told["groups"] for rule in group["rules"]}


def judged(series, name, expected):
    """Return one test of promtool's."""
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": "15m", "alertname": name, "exp_alerts": expected}],
    }


def checked(*words, cwd):
    ran = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_there_is_a_case_for_every_alert_and_the_files_are_current(watched, files):
    assert sorted(rules(files)) == sorted(name for name, *_ in CASES)
    again = ["export", "prometheus", f"127.0.0.1:{watched.port}", "--check"]
    assert main(["--project", str(watched.root), *again]) == 0
    assert main(["--project", str(watched.root), "export", "prometheus", "elsewhere:1", "--dry-run"]) == 1
    budget = read_settings(watched.root).qa.p99_ms / 1000
    assert rules(files)["RopewalkSlow"]["expr"].endswith(f" > {budget:g}")


def test_promtool_takes_configuration_and_metrics_and_each_alert_fires_and_keeps_quiet(watched, files, tmp_path):
    promtool = program("promtool")
    assert "SUCCESS" in checked(promtool, "check", "config", "prometheus.yml", cwd=files)
    tests = []
    for name, fires, quiet, labels, summary in CASES:
        told = {"summary": summary, "description": rules(files)[name]["annotations"]["description"]}
        tests += [judged(fires, name, [{"exp_labels": labels, "exp_annotations": told}]), judged(quiet, name, [])]
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(files / "ropewalk.rules.yml")], "tests": tests}))

    assert "SUCCESS" in checked(promtool, "test", "rules", str(path), cwd=tmp_path)


def test_a_real_prometheus_finds_data_for_every_query_of_the_board_and_the_trace_of_an_example(
    watched, files, tmp_path
):
    board = json.loads((exported(watched.root, "grafana") / "ropewalk.json").read_text())
    queries = {target["expr"] for panel in board["panels"] for target in panel.get("targets", ())}
    missing = {one.replace("$__rate_interval", "10s").replace("$endpoint", ".*") for one in queries}
    assert len(missing) > 20

    with scraping(tmp_path, files) as prometheus:

        def has_data(query: str) -> bool:
            found = prometheus.ask("query", query=query)["result"]
            return any(math.isfinite(float(one["value"][1])) for one in found)

        def found() -> bool:
            watched.predict(traceparent=f"00-{TRACE}-{SPAN}-00")
            missing.difference_update([one for one in missing if has_data(one)])
            return not missing

        try:
            until(found, 200)
        except AssertionError:
            pytest.fail(f"no data: {sorted(missing)}")
        groups = prometheus.ask("rules")["groups"]
        series = until(
            lambda: prometheus.ask(
                "query_exemplars", query="ropewalk_prediction_seconds_bucket", start="0", end="9999999999"
            )
        )
        target = prometheus.ask("targets")["activeTargets"][0]

    assert (target["health"], target["labels"]["project"]) == ("up", "churn")
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    assert not [rule["name"] for group in groups for rule in group["rules"] if rule["state"] == "firing"]
    assert TRACE in {one["labels"].get("trace_id") for each in series for one in each["exemplars"]}


def test_a_board_has_no_two_panels_of_one_number_or_at_one_place(watched):
    panels = json.loads((exported(watched.root, "grafana") / "ropewalk.json").read_text())["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
