"""Stages 1 and 2, commit and build: what the code was, and the one bundle that is made from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import RopewalkError
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.models.versions import ModelVersion
from ropewalk.models.versions import get as get_version
from ropewalk.refs import canonical, digest_of, short
from ropewalk.releases import tree
from ropewalk.releases.bundle import Bundle, read_bundle, write_bundle
from ropewalk.releases.provenance import make_provenance
from ropewalk.releases.release import CANARY, LIVE, Release, of_bundle, set_bundle
from ropewalk.releases.sbom import make_sbom
from ropewalk.releases.sqlmigrate import read_steps
from ropewalk.releases.walk import Found, Walk, failed, passed
from ropewalk.releases.wheel import build_wheel
from ropewalk.runs.run import Run
from ropewalk.runs.run import get as get_run
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.source import snapshot
from ropewalk.store.database import Reader, Transaction

ASKED = ("environments", "tests", "gates", "scan", "qa", "canary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """Everything a bundle is made from.

    Attributes:
        version: the model version.
        manifest: the model's manifest.
        run: the run that made the model.
        files: digest and mode of the code's files by path.
        commit: facts of the code snapshot: `sha`, `branch`, `author`, `dirty`, `diff`.
        packages: name and version of every library in the run's environment.
    """

    version: ModelVersion
    manifest: Manifest
    run: Run
    files: dict[str, str]
    commit: dict[str, Any]
    packages: tuple[tuple[str, str], ...]


def gather(reader: Reader, site: Site, name: str, version: int) -> Materials:
    """Return what a model version descends from, every blob of it verified.

    Raises:
        NotFound: a record or a blob is missing.
        Corrupt: a blob does not match its digest.
    """
    found = get_version(reader, name, version)
    run = get_run(reader, found.run_id)
    code = json.loads(site.blobs.get(run.code))
    environment = json.loads(site.blobs.get(run.environment))
    return Materials(
        version=found,
        manifest=read_manifest(site.blobs, found.manifest),
        run=run,
        files={path: digest for path, digest, _ in snapshot.read_manifest(site.blobs, run.code)},
        commit=dict(code["commit"]),
        packages=tuple((str(name), str(release)) for name, release in environment["packages"]),
    )


def commit_stage(walk: Walk) -> Found:
    """Say what the code was, and check that every file of it is still what it was."""
    with walk.site.db.read() as reader:
        made = gather(reader, walk.site, walk.release.model, walk.release.version)
    for digest in sorted({*made.files.values(), made.run.environment, *made.manifest.parts.values()}):
        walk.site.blobs.fetch(digest)
    sha, dirty = str(made.commit["sha"]), bool(made.commit["dirty"])
    evidence = {
        "run": made.run.id,
        "code": made.run.code,
        "files": len(made.files),
        "commit": made.commit,
        "environment": made.run.environment,
        "manifest": walk.release.manifest,
    }
    said = f"commit {sha[:12]} on {made.commit['branch']}" if sha else "no git: the files themselves are the record"
    return passed(f"{said}{', with uncommitted changes' if dirty else ''}, {len(made.files)} files", evidence)


def build_stage(walk: Walk) -> Found:
    """Make the bundle and put it into the dev tree."""
    site = walk.site
    with site.db.read() as reader:
        made = gather(reader, site, walk.release.model, walk.release.version)
    try:
        digest = assemble(site, walk.settings, made)
    except RopewalkError as error:
        if error.code != "migration-invalid":
            raise
        return failed(f"{error.where}: {error.why}", {"code": made.run.code}, f"{error.fix}, then: ropewalk run")
    with site.db.read() as reader:
        serving = [one for one in of_bundle(reader, digest) if one.state in (LIVE, CANARY)]
    for one in serving:
        if one.environment == walk.release.environment and one.id != walk.release.id:
            return failed(
                f"{one.id} is {one.state} with this very bundle", {"bundle": digest}, "nothing to do: ropewalk status"
            )
    bundle = read_bundle(site.blobs, digest)

    def also(tx: Transaction, release: Release) -> None:
        tree.plant(tx, site, set_bundle(tx, release, digest))

    parts = dict(bundle.parts())
    return Found(
        state="passed",
        summary=f"bundle {short(digest)}, {len(parts)} parts, {len(made.packages)} libraries named",
        evidence={"bundle": digest, "parts": parts, "model_parts": made.manifest.parts, "tree": "dev"},
        also=also,
    )


def assemble(site: Site, settings: Settings, made: Materials) -> str:
    """Make every part of the bundle and return the bundle's digest; the same materials give the same digest.

    Raises:
        Invalid: the project's migrations cannot be used.
    """
    blobs, version, run = site.blobs, made.version, made.run
    wheel = build_wheel(
        settings.name, version.version, run.code, {path: blobs.get(digest) for path, digest in made.files.items()}
    )
    steps = read_steps(made.files, blobs.get)
    lock = "".join(f"{name}=={release}\n" for name, release in sorted(made.packages)).encode()
    files = {wheel.name: blobs.put(wheel.data), "requirements.lock": blobs.put(lock)}
    contract = made.manifest.parts["contract.json"]
    sbom = make_sbom(
        project=settings.name,
        version=version.version,
        packages=made.packages,
        files=files,
        model=(version.name, version.manifest),
        at_us=version.created_us,
    )
    subjects = {**files, "model": version.manifest, "contract.json": contract, "sbom.cdx.json": blobs.put(sbom)}
    bundle = Bundle(
        project=settings.name,
        model=version.name,
        version=version.version,
        manifest=version.manifest,
        flavor=made.manifest.flavor,
        task=made.manifest.task,
        code=run.code,
        commit=str(made.commit["sha"]),
        wheel=wheel.name,
        wheel_digest=files[wheel.name],
        lock=files["requirements.lock"],
        contract=contract,
        sbom=subjects["sbom.cdx.json"],
        provenance=blobs.put(_provenance(site, made, subjects)),
        migrations=steps,
        config=settings.environments,
        created_us=version.created_us,
    )
    return write_bundle(blobs, bundle)


def _provenance(site: Site, made: Materials, subjects: dict[str, str]) -> bytes:
    run = made.run
    return make_provenance(
        site.signer,
        subjects=subjects,
        materials=_materials(made),
        parameters={"pipeline": run.pipeline, "args": json.loads(run.args), "commit": str(made.commit["sha"])},
        invocation=run.id,
        started_us=run.started_us,
        finished_us=run.ended_us or run.started_us,
    )


def _materials(made: Materials) -> dict[str, str]:
    """Return digests of code, environment and data by name."""
    data = {name: digest for name, digest in made.manifest.parts.items() if name.endswith(".parquet")}
    return {"code": made.run.code, "environment": made.run.environment, **data}


def intent_of(settings: Settings, version: ModelVersion, environment: str) -> str:
    """Return one digest of all that is asked for: the model version and what `ropewalk.toml` says of releases."""
    asked = {
        "model": version.manifest,
        "run": version.run_id,
        "environment": environment,
        "settings": {part: msgspec.to_builtins(getattr(settings, part)) for part in ASKED},
    }
    return digest_of(canonical(asked))


def verify_bundle(blobs: Bucket, digest: str) -> dict[str, str]:
    """Read every byte that a bundle names, and what its model names; return digests by name.

    Raises:
        NotFound: a blob is missing.
        Corrupt: a blob does not match its digest.
    """
    bundle = read_bundle(blobs, digest)
    found = dict(bundle.parts())
    found |= {f"model/{name}": part for name, part in read_manifest(blobs, bundle.manifest).parts.items()}
    found |= {f"code/{path}": file for path, file, _ in snapshot.read_manifest(blobs, bundle.code)}
    for part in sorted(set(found.values())):
        blobs.fetch(part)
    return found
