"""The guide to observability is tried on a server: its commands print what it says, its tables name what there is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ropewalk.cli import logline
from ropewalk.exports.watching import RULES, prometheus
from ropewalk.settings import read_settings
from telemetry.scraping import until

pytestmark = [pytest.mark.xdist_group("watched"), pytest.mark.timeout(180)]
GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "observability.md").read_text()
PORT = "127.0.0.1:8470"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def plain(line: str) -> str:
    """Return a line without what differs from run to run."""
    return re.sub(r"\b[0-9a-f]{16}\b|\d+(\.\d+)?(e[+-]?\d+)?", "N", line.rstrip())


def table(heading: str) -> set[str]:
    """Return the names in the first column of the table under a heading."""
    rows = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return {name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_command_of_the_guide_prints_what_the_guide_says(watched):
    shutil.rmtree(watched.root / "exports", ignore_errors=True)
    (watched.root / "row.json").write_text(json.dumps({"records": [watched.row()]}))
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *wanted = part.rstrip().splitlines()
            words = shlex.split(command.replace(PORT, f"127.0.0.1:{watched.port}"))
            if words[:2] == ["ropewalk", "up"]:
                assert words[2:] == ["--log", "json", "--log-requests"]  # as the fixture has started it
                continue
            if words[0] == "promtool" and shutil.which("promtool") is None:
                continue
            if words[0] == "ropewalk":
                words = [sys.executable, "-m", *words]
            done = subprocess.run(words, cwd=watched.root, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            found = {plain(line) for line in (done.stdout + done.stderr).splitlines()}
            assert [line for line in wanted if plain(line) not in found] == [], f"{command}\n{done.stdout}{done.stderr}"


def test_the_line_of_the_guide_has_what_a_line_of_the_log_has(watched):
    headers, _ = watched.predict(traceparent=f"00-{'e' * 32}-00f067aa0ba902b7-00")
    number = headers["x-request-id"]

    line = until(lambda: [one for one in watched.lines() if one.get("request_id") == number])[0]

    told = json.loads(blocks("json")[0])
    assert list(told) == list(line)
    alike = ("level", "logger", "message", "method", "path", "route", "status")
    assert {name: told[name] for name in alike} == {name: line[name] for name in alike}


def test_the_tables_of_the_guide_name_every_metric_and_every_alert(watched):
    watched.predict()
    kinds = re.findall(r"^# TYPE (ropewalk_\w+) (\w+)$", watched.ask("GET", "/metrics")[2].decode(), re.MULTILINE)

    assert table("Metrics") == {name for name, _ in kinds if not name.endswith("_created")}
    rules = yaml.safe_load(prometheus(read_settings(watched.root), "")[RULES])
    named = {rule["alert"]: rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}
    assert dict(re.findall(r"^\| `(Ropewalk\w+)` \| [^|]* \| (\w+) \|$", GUIDE, re.MULTILINE)) == named


def test_the_settings_of_the_guide_are_read(tmp_path):
    (tmp_path / "ropewalk.toml").write_text('name = "churn"\n' + blocks("toml")[0])

    found = read_settings(tmp_path).telemetry

    assert (found.otlp, found.service, found.share) == ("http://127.0.0.1:4318", "churn", 0.1)
    assert logline.VARIABLE in GUIDE
