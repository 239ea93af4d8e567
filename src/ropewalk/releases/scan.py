"""Stage 4, scan: unsafe pickles, secrets in the code, and libraries with known vulnerabilities."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewalk.models.manifest import ONNX_PART, Manifest, read_manifest
from ropewalk.models.opcodes import Finding
from ropewalk.models.parts import scan_part
from ropewalk.models.trust import project_modules
from ropewalk.releases.advisories import Advisories, Vulnerable, match, read_advisories
from ropewalk.releases.audit import Audited, audit
from ropewalk.releases.leaks import Leak, accepted_lines, find_leaks
from ropewalk.releases.outcome import StageOutcome
from ropewalk.releases.walk import Found, Walk, failed, passed
from ropewalk.source import snapshot

STAGE = "scan"
MODEL_ENDINGS = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill", ".cloudpickle", ".skops", ".npy", ".npz")
SHOWN = 3


def run(walk: Walk) -> Found:
    """Look at every part of the model, every file of the code and every pinned library."""
    site, bundle = walk.site, walk.bundle()
    manifest = read_manifest(site.blobs, bundle.manifest)
    listing = snapshot.read_manifest(site.blobs, bundle.code)
    files = {path: site.blobs.get(digest) for path, digest, _ in listing}
    walk.doing(STAGE, "model files")
    bombs, scanned = _pickles(walk, manifest, bundle.code, files)
    walk.doing(STAGE, "secrets")
    leaks = find_leaks(files)
    walk.doing(STAGE, "advisories")
    known = read_advisories(walk.site.root / walk.settings.scan.advisories)
    lock = _packages(site.blobs.get(bundle.lock))
    asked = None
    if walk.settings.scan.audit:
        walk.doing(STAGE, f"asking {walk.settings.scan.audit}")
        asked = audit(site.blobs.get(bundle.lock), walk.settings.scan.audit)
    found = _together(match(known, lock), asked)
    accepted = frozenset(walk.settings.scan.accept)
    vulnerable = [one for one in found if not accepted.intersection((one.advisory, *one.aliases))]
    evidence: dict[str, Any] = {
        "bundle": walk.release.bundle,
        "parts": scanned,
        "code": bundle.code,
        "files": len(files),
        "lines_accepted": accepted_lines(files),
        "lock": bundle.lock,
        "inputs": _inputs(walk, known),
        "pickles": [[where, one.part, one.name, one.why] for where, one in bombs],
        "secrets": [[one.path, one.line, one.kind] for one in leaks],
        "vulnerable": [[one.package, one.version, one.advisory, one.fixed] for one in found],
        "audit": None if asked is None else [asked.service, asked.answered, asked.problem, asked.packages],
    }
    problems = [
        *_pickle_problems(bombs),
        *_engine_problems(walk, manifest),
        *_leak_problems(leaks),
        *_advisory_problems(walk, vulnerable, silent=not known.files and not (asked and asked.answered)),
    ]
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        summary = "; ".join(text for text, _ in problems[:SHOWN]) + more
        return failed(summary, evidence, problems[0][1])
    return passed(_said(scanned, files, known, lock) + _heard(asked), evidence)


def _together(found: tuple[Vulnerable, ...], asked: Audited | None) -> tuple[Vulnerable, ...]:
    """Return what files and a service say, each vulnerability once, by whichever of its names."""
    named = {(one.package, name) for one in found for name in _names(one)}
    more = asked.vulnerable if asked else ()
    return (*found, *(one for one in more if not named.intersection((one.package, name) for name in _names(one))))


def _names(one: Vulnerable) -> tuple[str, ...]:
    return (one.advisory, *one.aliases)


def _heard(asked: Audited | None) -> str:
    """Return what a service said, for people; its silence is no pass and is said."""
    if asked is None:
        return ""
    if not asked.answered:
        return f"; {asked.service} gave no answer ({asked.problem})"
    return f"; {asked.service} answered for {asked.packages}"


def is_stale(walk: Walk, outcome: StageOutcome) -> bool:
    """Say whether what the scan looked at beside the bundle, the advisories above all, has changed since."""
    looked_at = json.loads(walk.site.blobs.get(outcome.evidence))["found"].get("inputs")
    return bool(looked_at != _inputs(walk, read_advisories(walk.site.root / walk.settings.scan.advisories)))


def _inputs(walk: Walk, known: Advisories) -> dict[str, Any]:
    scan = walk.settings.scan
    return {
        "advisories": dict(known.files),
        "accept": sorted(scan.accept),
        "globals": sorted(scan.globals),
        "required": scan.require_advisories,
        "audit": scan.audit,
    }


def _pickles(
    walk: Walk, manifest: Manifest, code: str, files: Mapping[str, bytes]
) -> tuple[list[tuple[str, Finding]], dict[str, str]]:
    """Return what is not allowed in the model's parts and in model files among the code, and what was looked at."""
    blobs = walk.site.blobs
    with tempfile.TemporaryDirectory(prefix="ropewalk-") as folder:
        own = project_modules(snapshot.materialize(blobs, code, Path(folder) / "code"))
    allowed = (*walk.settings.scan.globals, *own)
    found = [
        (name, finding)
        for name, digest in sorted(manifest.parts.items())
        for finding in scan_part(name, blobs.get(digest), allowed)
    ]
    found += [
        (path, finding)
        for path, data in sorted(files.items())
        if path.endswith(MODEL_ENDINGS)
        for finding in scan_part(path, data, allowed)
    ]
    return found, dict(manifest.parts)


def _pickle_problems(bombs: list[tuple[str, Finding]]) -> list[tuple[str, str]]:
    return [
        (
            f"{where}{' (' + one.part + ')' if one.part else ''}: {one.name or 'its pickle'} {one.why}",
            f"if you know {one.name} to be safe, add it to [scan] globals in ropewalk.toml"
            if one.name
            else "train the model again and log it with ropewalk.log_model",
        )
        for where, one in bombs
    ]


def _engine_problems(walk: Walk, manifest: Manifest) -> list[tuple[str, str]]:
    release = walk.release
    if walk.bundle().environment(release.environment).allow_pickle or not manifest.needs_pickle:
        return []
    if ONNX_PART in manifest.parts:
        return []
    return [
        (
            f"{release.environment} takes no pickles and the model has only {manifest.native_part}",
            "use a model that converts to ONNX or skops, or set allow_pickle = true for the environment",
        )
    ]


def _leak_problems(leaks: tuple[Leak, ...]) -> list[tuple[str, str]]:
    return [
        (
            f"{one.path} line {one.line}: {one.kind}",
            f"revoke it, take it out of {one.path}, then: ropewalk run && ropewalk ship",
        )
        for one in leaks
    ]


def _advisory_problems(walk: Walk, vulnerable: list[Vulnerable], *, silent: bool) -> list[tuple[str, str]]:
    problems = [
        (
            f"{one.package} {one.version} has {one.advisory}"
            + (f", fixed in {one.fixed}" if one.fixed else ", not fixed yet"),
            f'pip install "{one.package}>={one.fixed}", then: ropewalk run && ropewalk ship'
            if one.fixed
            else f'replace {one.package}, or accept the risk: [scan] accept = ["{one.advisory}"] in ropewalk.toml',
        )
        for one in vulnerable
    ]
    if walk.settings.scan.require_advisories and silent:
        folder = walk.settings.scan.advisories
        problems.append((f"there are no advisories in {folder}/", f"put OSV files into {folder}/"))
    return problems


def _packages(lock: bytes) -> tuple[tuple[str, str], ...]:
    """Return name and version of each line of a lock."""
    lines = [line.strip() for line in lock.decode().splitlines() if "==" in line]
    return tuple((line.partition("==")[0], line.partition("==")[2]) for line in lines)


def _said(
    parts: Mapping[str, str], files: Mapping[str, bytes], known: Advisories, lock: tuple[tuple[str, str], ...]
) -> str:
    against = f"{len(lock)} libraries against {len(known.records)} advisories"
    if not known.files:
        against = "no advisories here, so no library was checked"
    return f"{len(parts)} model files, {len(files)} code files, {against}"
