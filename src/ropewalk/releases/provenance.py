"""Where a bundle comes from: an in-toto statement with SLSA v1 provenance, signed in a DSSE envelope."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.clock import iso
from ropewalk.ledger.sign import Signer, seal
from ropewalk.refs import PREFIX

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:ropewalk:bundle:1"
BUILDER = "urn:ropewalk:builder"


def make_provenance(
    signer: Signer,
    *,
    subjects: Mapping[str, str],
    materials: Mapping[str, str],
    parameters: Mapping[str, object],
    invocation: str,
    started_us: int,
    finished_us: int,
) -> bytes:
    """Return the signed statement as JSON.

    Args:
        signer: the project's key; Ed25519 signs the same words to the same bytes.
        subjects: digests of the bundle's files by name: what was made.
        materials: digests by name of what it was made from: code, data, environment.
        parameters: what was asked for: pipeline and arguments.
        invocation: id of the run.
        started_us: start of the run, microseconds since the epoch.
        finished_us: end of the run.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": _digest(digest)} for name, digest in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "resolvedDependencies": [
                    {"name": name, "digest": _digest(digest)} for name, digest in sorted(materials.items())
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {
                    "invocationId": invocation,
                    "startedOn": iso(started_us),
                    "finishedOn": iso(finished_us),
                },
            },
        },
    }
    return seal(signer, PAYLOAD_TYPE, statement)


def _digest(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix(PREFIX)}
