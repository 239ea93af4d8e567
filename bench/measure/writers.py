"""Many connections that write at once, each to a run of its own, each body with a step that nobody has sent before.

It is a process of its own, `python -m measure.writers PLAN-FILE`, and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from measure.load import WARM_SECONDS, Connection, Load

# Stands in a body where the next step shall be; as many digits, so that the length never changes.
MARK = 1_000_000_000


class Writer(Connection):
    """A connection whose every request has another step."""

    def __init__(self, request: bytes, steps: itertools.count[int], **more: Any) -> None:  # noqa: ANN401 - the connection's own
        super().__init__(request, **more)
        self._template, self._steps = request, steps

    def _ask(self) -> None:
        self._request = self._template.replace(b"%d" % MARK, b"%d" % next(self._steps))
        super()._ask()


async def _drive(url: str, bodies: list[str], seconds: float) -> Load:
    parts = urlsplit(url)
    took: list[float] = []
    statuses: Counter[int] = Counter()
    steps = itertools.count(MARK)
    since = perf_counter() + WARM_SECONDS
    loop = asyncio.get_running_loop()
    made = []
    for body in bodies:
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        made.append(
            await loop.create_connection(
                lambda request=request: Writer(
                    request, steps, since=since, until=since + seconds, took=took, statuses=statuses
                ),
                parts.hostname,
                parts.port,
            )
        )
    await asyncio.wait_for(asyncio.gather(*(one.done for _, one in made)), WARM_SECONDS + seconds + 60)
    took.sort()
    answered = len(took)
    return Load(
        per_second=statuses[200] / seconds,
        p50_ms=took[answered // 2] * 1e3 if took else float("nan"),
        p99_ms=took[answered * 99 // 100] * 1e3 if took else float("nan"),
        answered=answered,
        others=answered - statuses[200],
        whole=statuses[0],
    )


def drive(url: str, bodies: list[object], seconds: float, folder: Path) -> Load:
    """Write from a process of its own: one connection for each body, which holds `MARK` where a new step shall be."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"url": url, "bodies": [json.dumps(body) for body in bodies], "seconds": seconds}))
    said = subprocess.run(
        [sys.executable, "-m", "measure.writers", str(plan)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return Load(**json.loads(said))


if __name__ == "__main__":
    import uvloop

    plan = json.loads(Path(sys.argv[1]).read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_drive(plan["url"], plan["bodies"], plan["seconds"]))
    print(json.dumps(asdict(found)))
