"""Every block of the guide is typed, in its order, and says what the guide says that it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ropewalk.errors import RopewalkError
from ropewalk.evidence.replay import replay
from ropewalk.evidence.trace import trace
from ropewalk.evidence.verify import verify
from ropewalk.house import open_house
from ropewalk.releases import release
from scripts.serving import Served, serve

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "any-script.md"
PORT = "http://127.0.0.1:8470"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def typed() -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the console blocks with the lines that it is to print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip().splitlines()
            yield command, [line for line in lines if line]


def plain(line: str) -> str:
    """Return a line without what differs from run to run: figures, ids, ports."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\.\d+)?(e-?\d+)?", "N", line.rstrip())


@pytest.mark.slow
@pytest.mark.timeout(600)  # whole libraries are imported, by several processes
def test_the_guide_says_what_happens(tmp_path):
    root = tmp_path / "irises"
    root.mkdir()
    (root / "train.py").write_text(blocks("python")[0])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    answers: list[dict] = []

    with ExitStack() as stack:
        server: Served | None = None
        for command, wanted in typed():
            if command == "ropewalk serve":
                server = stack.enter_context(serve(root))
                said, page = server.said.replace(server.url, PORT), server.get("/endpoints/irises.unreleased")
                assert "has walked no stage" in page
            else:
                words = shlex.split(command.replace(PORT, server.url if server else PORT))
                done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
                said = done.stdout
            if command.startswith("curl"):
                answers.append(json.loads(said))
            found = [plain(line) for line in said.splitlines()]
            assert [line for line in map(plain, wanted) if line not in found] == [], f"{command}\n{said}"
        assert server is not None
        assert 'release="irises.unreleased/1"' in server.get("/metrics")

    with open_house(root) as house:
        site, prediction = house.site, answers[0]["predictions"][0]["id"]
        links = trace(site, prediction).links
        with site.db.read() as rows:
            assert release.get(rows, "irises/1").state == "live"
        with pytest.raises(RopewalkError, match="no bundle"):
            replay(site, prediction, lambda _bundle, frame: frame)
    assert [link.kind for link in links] == ["observation", "release", "model", "run", "data", "commit"]
    assert links[1].title == "No release: irises/1"
    with open_house(root) as house:
        assert verify(house.site).findings == ()
