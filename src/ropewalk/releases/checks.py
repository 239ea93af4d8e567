"""Stage 3, test: the project's pytest, the generated tests and the quality gate, on one bundle."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.data import contract, frames
from ropewalk.models.golden import read_golden
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.releases import traffic
from ropewalk.releases.generated import run_generated
from ropewalk.releases.outcome import StageOutcome
from ropewalk.releases.pytests import run_pytest
from ropewalk.releases.quality import Judged, judge
from ropewalk.releases.release import get
from ropewalk.releases.walk import Found, Walk, failed, passed
from ropewalk.source import snapshot

if TYPE_CHECKING:
    import polars as pl

STAGE = "test"
SHOWN = 3


def run(walk: Walk) -> Found:
    """Run all three, so that one walk tells everything that is wrong."""
    bundle = walk.bundle()
    manifest = read_manifest(walk.site.blobs, bundle.manifest)
    evidence: dict[str, Any] = {"bundle": walk.release.bundle, "manifest": bundle.manifest}
    said: list[str] = []
    problems: list[str] = []
    for part in (_own_tests, _generated_tests, _quality):
        text, wrong, found = part(walk, manifest)
        said.append(text)
        problems += wrong
        evidence |= found
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        fix = "mend the code or the gate in ropewalk.toml, then: ropewalk run && ropewalk ship"
        return failed("; ".join(problems[:SHOWN]) + more, {**evidence, "problems": problems}, fix)
    return passed(", ".join(said), evidence)


def is_stale(walk: Walk, outcome: StageOutcome) -> bool:
    """Say whether the quality gate held the model against a champion that is none any more."""
    judged = json.loads(walk.site.blobs.get(outcome.evidence))["found"].get("quality", {})
    return "champion" in judged and judged["champion"] != _champion_bundle(walk)


def _own_tests(walk: Walk, manifest: Manifest) -> tuple[str, list[str], dict[str, Any]]:
    """Run the project's pytest in the very code that trained the model."""
    walk.doing(STAGE, "the project's pytest")
    code, blobs, tests = walk.bundle().code, walk.site.blobs, walk.settings.tests
    with tempfile.TemporaryDirectory(prefix="ropewalk-") as folder:
        into = snapshot.materialize(blobs, code, Path(folder) / "code")
        tested = run_pytest(into, tests.paths, timeout_seconds=tests.timeout_seconds)
    problems = [f"{one.name}: {one.message}" for one in tested.failures]
    problems += [f"pytest: {tested.problem}"] if tested.problem else []
    evidence = {
        "code": code,
        "model_libraries": manifest.libraries,
        "paths": list(tests.paths),
        "total": tested.total,
        "skipped": tested.skipped,
        "failures": [[one.name, one.message] for one in tested.failures],
        "junit": blobs.put(tested.junit),
        "output": blobs.put(tested.output),
    }
    said = f"{tested.total - tested.skipped} tests of the project" if tested.total else "the project has no tests"
    return said, problems, {"pytest": evidence}


def _generated_tests(walk: Walk, manifest: Manifest) -> tuple[str, list[str], dict[str, Any]]:
    """Run the generated tests through the sandboxed worker."""
    walk.doing(STAGE, "generated tests")
    site, bundle = walk.site, walk.bundle()
    answers: list[pl.DataFrame] = []

    def predict(rows: pl.DataFrame) -> pl.DataFrame:
        answers.append(walk.doors.predict(walk.release.bundle, rows))
        return answers[-1]

    tried = run_generated(
        manifest,
        contract.from_json(site.blobs.get(bundle.contract)),
        read_golden(site.blobs, manifest),
        predict,
    )
    problems = [f"{one.name}: {one.problem}" for one in tried if one.problem]
    evidence = {
        "contract": bundle.contract,
        "golden": manifest.parts["golden.parquet"],
        "answers": frames.write(site.blobs, answers[0]).digest,  # of the golden rows, for the gate of parity
        "tried": [[one.name, one.problem] for one in tried],
    }
    return f"{len(tried)} generated ones", problems, {"generated": evidence}


def _quality(walk: Walk, manifest: Manifest) -> tuple[str, list[str], dict[str, Any]]:
    """Judge the gates on the holdout rows, the champion on the same rows."""
    gates = walk.settings.gates
    if not gates:
        return "no quality gate in ropewalk.toml", [], {"quality": {"gates": []}}
    walk.doing(STAGE, "quality gate")
    digest = manifest.parts.get("holdout.parquet", "")
    if not digest:
        return "", ["quality gate: the model was logged without holdout rows"], {"quality": {"holdout": ""}}
    holdout = frames.read(walk.site.blobs, digest)
    names = [field.name for field in manifest.signature.inputs]
    candidate = walk.doors.predict(walk.release.bundle, holdout.select(names))
    champion, champion_bundle, missing = _champion(walk, holdout)
    judged = judge(
        gates,
        task=manifest.task,
        classes=manifest.classes,
        holdout=holdout,
        target=manifest.target,
        candidate=candidate,
        champion=champion,
    )
    evidence = {
        "holdout": digest,
        "rows": holdout.height,
        "answers": frames.write(walk.site.blobs, candidate).digest,
        "champion": champion_bundle,
        "champion_answers": "" if champion is None else frames.write(walk.site.blobs, champion).digest,
        "champion_missing": missing,
        "gates": [one.record() for one in judged],
    }
    return _said(judged), [problem for one in judged for problem in one.problems], {"quality": evidence}


def _said(judged: tuple[Judged, ...]) -> str:
    return ", ".join(
        f"{one.metric} {one.estimate.value:.4f} [{one.estimate.low:.4f}, {one.estimate.high:.4f}]" for one in judged
    )


def _champion(walk: Walk, holdout: pl.DataFrame) -> tuple[pl.DataFrame | None, str, str]:
    """Return the champion's outputs on the same rows, its bundle, and why there are none if it cannot score them."""
    bundle = _champion_bundle(walk)
    if not bundle or bundle == walk.release.bundle:
        return None, bundle, "there is no other champion"
    inputs = _inputs_of(walk, bundle)
    absent = [name for name in inputs if name not in holdout.columns]
    if absent:
        return None, bundle, f"the holdout has no {', '.join(absent)}"
    return walk.doors.predict(bundle, holdout.select(inputs)), bundle, ""


def _champion_bundle(walk: Walk) -> str:
    """Return the bundle that answers now where this release is to answer, or an empty text."""
    release = walk.release
    with walk.site.db.read() as reader:
        now = traffic.current(reader, traffic.endpoint_name(release.name, release.environment))
        return "" if now is None else get(reader, now.champion).bundle


def _inputs_of(walk: Walk, bundle: str) -> list[str]:
    from ropewalk.releases.bundle import read_bundle

    manifest = read_manifest(walk.site.blobs, read_bundle(walk.site.blobs, bundle).manifest)
    return [field.name for field in manifest.signature.inputs]
