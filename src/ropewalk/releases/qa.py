"""Stages 5 and 7, staging and qa: the bundle answers, answers rightly, fast enough, and to real traffic."""

from __future__ import annotations

from typing import Any

from ropewalk.data import frames
from ropewalk.models.golden import read_golden
from ropewalk.models.manifest import read_manifest
from ropewalk.refs import digest_of
from ropewalk.releases.caller import Caller
from ropewalk.releases.described import describe
from ropewalk.releases.functional import predictions, run_functional
from ropewalk.releases.load import run_load
from ropewalk.releases.parity import run_parity
from ropewalk.releases.records import records_of
from ropewalk.releases.rehearsal import rehearse
from ropewalk.releases.traffic import endpoint_name
from ropewalk.releases.walk import STAGING, Found, Walk, failed, passed

STAGE = "qa"
SHOWN = 3
OK = 200
LOAD_BODIES = 64


def staging_stage(walk: Walk) -> Found:
    """Start the bundle on the staging endpoint and let it answer its own example."""
    bundle = walk.bundle()
    evidence: dict[str, Any] = {"bundle": walk.release.bundle, "environment": STAGING}
    with Caller(walk.url()) as caller:
        ready = caller.ask("GET", "/v2/health/ready")
        if ready.status != OK:
            return failed(f"/v2/health/ready answers {ready.status}", evidence, "ropewalk serve shows why")
        described, problem = describe(caller, bundle.model)
        if described is None:
            return failed(problem, evidence, "ropewalk serve shows why")
        reply = caller.ask("POST", described.path, described.example)
        found, problem = predictions(reply, len(described.example["records"]))
    evidence |= {"example": described.example, "answer": digest_of(reply.body), "status": reply.status}
    if problem:
        return failed(f"the example is not answered: {problem}", evidence, "ropewalk serve shows why")
    return passed(f"answers {len(found)} example row at {described.path}", evidence)


def qa_stage(walk: Walk) -> Found:
    """Run functional tests, load and rehearsal, each against its budget."""
    bundle, plan, url = walk.bundle(), walk.settings.qa, walk.url()
    manifest = read_manifest(walk.site.blobs, bundle.manifest)
    golden = read_golden(walk.site.blobs, manifest)
    evidence: dict[str, Any] = {"bundle": walk.release.bundle, "golden": manifest.parts["golden.parquet"]}
    with Caller(url) as caller:
        described, problem = describe(caller, bundle.model)
        if described is None:
            return failed(problem, evidence, "ropewalk serve shows why")
        walk.doing(STAGE, "functional")
        tried = (
            *run_functional(caller, described, manifest, golden),
            run_parity(walk.site, walk.release.id, caller, described, golden.inputs),
        )
    problems = [f"{one.name}: {one.problem}" for one in tried if one.problem]
    walk.doing(STAGE, f"load, {plan.load_connections} connections for {plan.load_seconds:g} s")
    bodies: list[object] = [{"records": [record]} for record in records_of(golden.inputs.head(LOAD_BODIES))]
    loaded = run_load(url, described.path, bodies, plan)
    problems += loaded.problems
    walk.doing(STAGE, "rehearsal")
    endpoint = endpoint_name(walk.release.name, walk.release.environment)
    recorded = walk.doors.recorded(endpoint, plan.rehearsal_rows)
    rehearsed = rehearse(url, described.path, recorded, manifest, plan.rehearsal_speed, plan=plan)
    problems += rehearsed.problems
    evidence |= {
        "functional": [[one.name, one.problem] for one in tried],
        "budget": {"p50_ms": plan.p50_ms, "p99_ms": plan.p99_ms},
        "load": loaded.record(),
        "rehearsal": rehearsed.record(),
        "recorded": "" if recorded.is_empty() else frames.write(walk.site.blobs, recorded).digest,
    }
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        return failed("; ".join(problems[:SHOWN]) + more, evidence, "mend the model or [qa] in ropewalk.toml")
    played = f"{rehearsed.rows} recorded rows at {rehearsed.speed:g}x" if rehearsed.rows else rehearsed.skipped
    return passed(
        f"{len(tried)} functional tests, {loaded.requests} requests with p50 {loaded.p50_ms:.1f} ms and "
        f"p99 {loaded.p99_ms:.1f} ms, {played}",
        evidence,
    )
