"""A bundle: one content-addressed manifest that names everything a release needs to serve."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt
from ropewalk.refs import canonical
from ropewalk.settings import Environment

SCHEMA = 1


class SqlStep(msgspec.Struct, frozen=True, kw_only=True):
    """One migration of the project's database.

    Attributes:
        number: position, from 1.
        name: file name without its ending.
        up: digest of the SQL that goes forward.
        down: digest of the SQL that goes back.
    """

    number: int
    name: str
    up: str
    down: str


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a bundle; every value that starts with `sha256:` is a blob.

    Attributes:
        schema: number of this format.
        project: the project's name.
        model: the model's name.
        version: the model's version.
        manifest: digest of the model's manifest.
        flavor: the model's library, such as `sklearn`.
        task: `binary`, `multiclass` or `regression`.
        code: digest of the code snapshot that trained it.
        commit: git commit of that code, empty without git.
        wheel: file name of the code wheel.
        wheel_digest: the wheel.
        lock: pinned packages, one `name==version` a line.
        contract: what an input must look like.
        sbom: CycloneDX 1.6, JSON.
        provenance: in-toto statement in a DSSE envelope.
        migrations: SQL steps of the project's database, in order.
        config: what `ropewalk.toml` says of each environment, so that configuration ships with the release.
        created_us: when the model version was made, so that building twice gives the same bytes.
    """

    schema: int = SCHEMA
    project: str
    model: str
    version: int
    manifest: str
    flavor: str
    task: str
    code: str
    commit: str
    wheel: str
    wheel_digest: str
    lock: str
    contract: str
    sbom: str
    provenance: str
    migrations: tuple[SqlStep, ...] = ()
    config: dict[str, Environment] = {}
    created_us: int

    def environment(self, name: str) -> Environment:
        """Return the configuration that this release brings for an environment."""
        return self.config.get(name, Environment())

    def parts(self) -> Iterator[tuple[str, str]]:
        """Yield name and digest of each blob that the bundle names itself (the model's manifest names more)."""
        yield "model", self.manifest
        yield "code", self.code
        yield self.wheel, self.wheel_digest
        yield "requirements.lock", self.lock
        yield "contract.json", self.contract
        yield "sbom.cdx.json", self.sbom
        yield "provenance.dsse.json", self.provenance
        for step in self.migrations:
            yield f"migrations/{step.name}.up.sql", step.up
            yield f"migrations/{step.name}.down.sql", step.down


def write_bundle(blobs: Bucket, bundle: Bundle) -> str:
    """Keep the bundle as canonical JSON; its digest names the bundle from now on."""
    return blobs.put(canonical(msgspec.to_builtins(bundle)))


def read_bundle(blobs: Bucket, digest: str) -> Bundle:
    """Return a bundle by its digest, verified.

    Raises:
        NotFound: there is no such blob.
        Corrupt: the bytes do not match the digest, or are no bundle.
    """
    try:
        return msgspec.json.decode(blobs.get(digest), type=Bundle)
    except msgspec.DecodeError as error:
        raise Corrupt("bundle-malformed", "This blob is no bundle.", where=digest, why=str(error)) from error
