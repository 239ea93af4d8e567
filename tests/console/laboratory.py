"""A project full of tracking: runs, a model whose champion moved, prompts, traces, and words that look like markup."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from pathlib import Path

from console.payloads import PAYLOADS, as_name
from console.seeded_runs import NAMES, STEPS, a_run, seed
from ropewalk.artifacts import artifact, paths
from ropewalk.batches import batch as batches
from ropewalk.clock import SystemClock
from ropewalk.house import open_house
from ropewalk.models import prompts, registered, versions
from ropewalk.runs import experiments
from ropewalk.runs.states import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.testing.fakes import SetClock
from ropewalk.traces import ingest

RUNS = 320
DAY_S = 86_400
MARCH_US = 1_772_323_200_000_000  # 2026-03-01
# No slash, so that it can be a name in a path too.
EVIL = "\"'><img src=x onerror=window.hit=1><svg onload=window.hit=1>{{7*7}}<script>window.hit=1//"
EVIL_MODEL = EVIL.replace("/", "")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + _chunk(b"IEND", b"")
)
PAGE = b"<script>window.hit=1</script><svg xmlns='http://www.w3.org/2000/svg' onload='window.hit=1'></svg>"
FILES = {
    "report.html": PAGE,
    "drawing.svg": PAGE,
    "plots/roc.png": PNG,
    "plots/not-an-image.png": PAGE,
    "table.csv": b"a,b\n1,<img src=x onerror=window.hit=1>\n",
    "notes/deep/er/readme.md": b"# hello <script>window.hit=1</script>\n",
    "config.json": b'{"lr": 0.1, "evil": "<script>window.hit=1</script>"}',
    "model.bin": b"\x00\x01\x02",
}


def put(site: Site, tx: Transaction, run: Run, name: str, data: bytes) -> None:
    """Keep a file of a run, whatever its name."""
    path = f"{paths.of_uri(run.location)}/{name}"
    artifact.put(tx, site, path, site.blobs.put(data), len(data), "text/html", begun_us=site.clock.now_us())


def write_evil(site: Site) -> str:
    """Write a run in which everything that people can say looks like markup; return its id."""

    def work(tx: Transaction) -> str:
        home = experiments.create(tx, site, EVIL, tags={"note": "x"})
        run = dataclasses.replace(
            a_run(9_000_001, home, "failed"), name=EVIL, error=EVIL, user_name=EVIL, source_name=EVIL, branch=EVIL,
            author=EVIL, commit_sha=EVIL,
        )  # fmt: skip
        row = {field: getattr(run, field) for field in Run.__slots__ if field != "number"}
        number = tx.value("runs.insert", **row)
        own = {"run": number, "node": "", "experiment": home.id, "started_us": run.started_us}
        words = ("mlflow.note.content", "mlflow.source.git.diff", "mlflow.source.git.repoURL", EVIL)
        tx.many("runs.tag", [{**own, "key": key, "value": f"+{EVIL}\njavascript:window.hit=1"} for key in words])
        tx.run("runs.param", **own, key=EVIL, value=EVIL)
        tx.run("runs.latest", **own, key=EVIL, step=1, at_ms=1, value=1.0, is_nan=0)
        points = tx.value("runs.series_insert", run=number, key=EVIL, node="")
        tx.many("runs.point", [{"series": points, "at_ms": at, "step": at, "value": at, "is_nan": 0} for at in (0, 1)])
        told = {"name": EVIL, "digest": EVIL, "source_type": EVIL, "source": EVIL, "schema": EVIL, "profile": EVIL}
        tx.run("inputs.dataset", experiment=home.id, **told)
        found = tx.value("inputs.dataset_id", experiment=home.id, name=EVIL, digest=EVIL)
        tx.run("inputs.read", run=number, dataset=found)
        tx.run("inputs.tag", run=number, dataset=found, key="mlflow.data.context", value=EVIL)
        for name, data in FILES.items():
            put(site, tx, run, name, data)
        for ending in ("", ".html", ".csv", ".json"):
            put(site, tx, run, f"{EVIL_MODEL}{ending}", PAGE)
        return run.id

    return site.db.write(work)


def write_payloads(site: Site) -> None:
    """Write sixty runs, models, prompts and traces of every name that might become markup; the first run has it all."""

    def work(tx: Transaction) -> None:
        home = experiments.create(tx, site, "payloads")
        for number, payload in enumerate(PAYLOADS):
            run = dataclasses.replace(
                a_run(9_100_000 + number, home, "failed"), name=payload, error=payload, user_name=payload,
                source_name=payload, branch=payload, author=payload,
            )  # fmt: skip
            row = {field: getattr(run, field) for field in Run.__slots__ if field != "number"}
            own = {"run": tx.value("runs.insert", **row), "node": "", "experiment": home.id}
            own["started_us"] = run.started_us
            for word in PAYLOADS if number == 0 else (payload,):
                log_payload(tx, own, word)
                put(site, tx, run, as_name(word), word.encode())
        for payload in PAYLOADS:
            name = as_name(payload)
            registered.create(tx, site, name, tags={"note": payload}, description=payload)
            versions.add(tx, site, name=name, source="runs:/x/model", storage=payload, description=payload)
            registered.create(tx, site, f"p {name}", tags={prompts.MARK: "true"}, description=payload)
            for text in (payload, f"{payload}{payload}"):
                marks = {prompts.MARK: "true", prompts.TEXT: text}
                source = {"source": "prompt-template", "storage": "prompt-template"}
                versions.add(tx, site, name=f"p {name}", tags=marks, description=payload, **source)

    site.db.write(work)


def log_payload(tx: Transaction, own: dict[str, object], word: str) -> None:
    """Log a word as the name and the value of everything that a run logs."""
    run, experiment = own["run"], own["experiment"]
    tx.run("runs.param", **own, key=word, value=word)
    tx.run("runs.tag", **own, key=word, value=word)
    tx.run("runs.latest", **own, key=word, step=1, at_ms=1, value=1.0, is_nan=0)
    points = tx.value("runs.series_insert", run=run, key=word, node="")
    tx.many("runs.point", [{"series": points, "at_ms": at, "step": at, "value": at, "is_nan": 0} for at in (0, 1)])
    told = dict.fromkeys(("name", "digest", "source_type", "source", "schema", "profile"), word)
    tx.run("inputs.dataset", experiment=experiment, **told)
    tx.run("inputs.read", run=run, dataset=tx.value("inputs.dataset_id", experiment=experiment, name=word, digest=word))


def write_registry(site: Site, clock: SetClock, run_id: str) -> None:
    """Write a model whose champion moved in March, a prompt with two versions, and the same with names like markup."""
    for name in ("flights", EVIL_MODEL):
        said = {"team": EVIL}
        site.db.write(lambda tx, name=name, said=said: registered.create(tx, site, name, tags=said, description=EVIL))
        for _ in range(3):
            site.db.write(
                lambda tx, name=name: versions.add(
                    tx, site, name=name, source=f"runs:/{run_id}/model", storage="s3://elsewhere/model", run_id=run_id,
                    description=EVIL, tags={"note": EVIL},
                )
            )  # fmt: skip
        for version in (1, 2, 3):
            clock.advance(DAY_S)
            site.db.write(
                lambda tx, name=name, version=version: versions.set_alias(tx, site, name, "champion", version)
            )
        site.db.write(lambda tx, name=name: versions.set_alias(tx, site, name, "challenger", 3))
    for name in ("answer", f"p{EVIL_MODEL}"):
        marks = {prompts.MARK: "true"}
        site.db.write(
            lambda tx, name=name, marks=marks: registered.create(tx, site, name, tags=marks, description=EVIL)
        )
        for text in ("Answer shortly: {{question}}\nNo jokes.", f"Answer well: {{{{question}}}}\nNo jokes.\n{EVIL}"):
            site.db.write(
                lambda tx, name=name, text=text: versions.add(
                    tx, site, name=name, source="prompt-template", storage="prompt-template",
                    tags={prompts.MARK: "true", prompts.TEXT: text},
                )
            )  # fmt: skip


def write_traces(site: Site) -> None:
    """Write a trace of three spans and one whose words look like markup."""
    for number, word in enumerate(("answer", EVIL, *PAYLOADS)):
        start = MARCH_US * 1000
        spans = [
            {
                "traceId": f"{number + 1:032x}",
                "spanId": f"{span + 1:016x}",
                "parentSpanId": f"{span:016x}" if span else "",
                "name": word,
                "startTimeUnixNano": str(start + span * 1_000_000),
                "endTimeUnixNano": str(start + (9 - span) * 1_000_000),
                "status": {"code": 2 if span == 2 else 1, "message": word},
                "attributes": [
                    {"key": "mlflow.spanInputs", "value": {"stringValue": json.dumps({"question": word})}},
                    {"key": word, "value": {"stringValue": word}},
                ],
            }
            for span in range(3)
        ]
        batch = ingest.read({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        site.db.write(lambda tx, batch=batch: ingest.keep(tx, "0", batch))


def write_batch(site: Site) -> None:
    """Write a batch that has failed with words that look like markup."""
    site = dataclasses.replace(site, clock=SystemClock(), actor=EVIL)
    place = {"artifact": f"{EVIL}.csv"}
    told = {"key": EVIL, "release": "flights/1", "bundle": "", "environment": EVIL, "target": EVIL, "policy": "stop"}
    found = site.db.write(lambda tx: batches.begin(tx, site, source=place, **told))
    mine = site.db.write(lambda tx: batches.take(tx, site, found, policy="stop"))
    mine = site.db.write(lambda tx: batches.surveyed(tx, site, mine, {"rows": 7}))
    site.db.write(lambda tx: batches.settle(tx, site, mine, batches.FAILED, note=EVIL))


def build(root: Path) -> str:
    """Make the project; return the id of the run whose words look like markup."""
    root.mkdir(parents=True)
    (root / "ropewalk.toml").write_text('name = "lab"\ngoal = "Say which flights are late."\n')
    clock = SetClock(MARCH_US)
    with open_house(root, clock=clock) as house:
        seed(house.site, RUNS)
        evil = write_evil(house.site)
        write_payloads(house.site)
        write_registry(house.site, clock, evil)
        write_traces(house.site)
        write_batch(house.site)
    return evil


def log_more(root: Path, run_id: str) -> None:
    """Log one more point of a running run, as its client would, from another process than the server's."""
    with open_house(root) as house:

        def work(tx: Transaction) -> None:
            row = tx.row("runs.to_log", id=run_id, key="loss")
            assert row is not None
            at_ms = int(row["started_us"]) // 1000 + STEPS * 1000
            point = {"at_ms": at_ms, "step": STEPS * 2, "value": 7.5, "is_nan": 0}
            tx.run("runs.point", series=row["series"], **point)
            own = {"run": row["number"], "node": "", "experiment": row["experiment"], "started_us": row["started_us"]}
            tx.run("runs.latest", **own, key="loss", **point)

        house.site.db.write(work)


def start_run(root: Path, name: str) -> None:
    """Begin a run in the first experiment, as a client would, from another process than the server's."""
    with open_house(root) as house:

        def work(tx: Transaction) -> None:
            home = experiments.by_name(tx, NAMES[0])
            assert home is not None
            run = dataclasses.replace(a_run(9_500_000, home, "running"), name=name, ended_us=None)
            tx.run("runs.insert", **{field: getattr(run, field) for field in Run.__slots__ if field != "number"})

        house.site.db.write(work)
