"""A bundle is the same bytes each time, says what is in it in the standards' own words, and installs offline."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from cyclonedx.model.bom import Bom

from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.errors import Corrupt
from ropewalk.ledger.sign import Checker, unseal
from ropewalk.releases.build import assemble, gather, verify_bundle
from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.releases.export import export_bundle
from ropewalk.releases.line import ship
from ropewalk.releases.wheel import build_wheel
from ropewalk.site import Site


def built(site: Site, **parts) -> tuple[str, Bundle]:
    with site.db.read() as reader:
        made = gather(reader, site, "flights", 1)
    digest = assemble(site, settings_of(**parts), made)
    return digest, read_bundle(site.blobs, digest)


def test_building_twice_gives_the_same_digest(site: Site, clock) -> None:
    make_project(site.root)
    make_version(site)

    first, _ = built(site)
    clock.advance(3600)

    assert built(site)[0] == first


def test_configuration_and_migrations_belong_to_the_bundle(site: Site) -> None:
    up, down = "create table t (a integer);", "drop table t;"
    make_project(site.root, {"migrations/0001_first.up.sql": up, "migrations/0001_first.down.sql": down})
    make_version(site)

    plain, _ = built(site)
    digest, bundle = built(site, environments={"production": {"config": {"threshold": 0.4}}})

    assert digest != plain
    assert bundle.environment("production").config == {"threshold": 0.4}
    assert [site.blobs.get(step.down).decode() for step in bundle.migrations] == [down]


def test_the_bill_of_materials_is_cyclonedx_1_6_and_names_every_library_once(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    _, bundle = built(site)

    whole = json.loads(site.blobs.get(bundle.sbom))

    assert (whole["bomFormat"], whole["specVersion"]) == ("CycloneDX", "1.6")
    assert whole["serialNumber"].startswith("urn:uuid:")
    purls = [one["purl"] for one in whole["components"] if one["type"] == "library"]
    assert purls == ["pkg:pypi/numpy@2.1.0", "pkg:pypi/requests@2.31.0"]
    model = next(one for one in whole["components"] if one["type"] == "machine-learning-model")
    assert model["hashes"] == [{"alg": "SHA-256", "content": bundle.manifest.removeprefix("sha256:")}]
    refs = {one["bom-ref"] for one in whole["components"]} | {whole["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in whole["dependencies"]} == refs
    read = Bom.from_json(whole)
    assert len(read.components) == len(whole["components"])


def test_the_bill_of_materials_keeps_the_schema_that_cyclonedx_publishes(site: Site) -> None:
    schemas = pytest.importorskip("jsonschema_rs")
    from cyclonedx.schema import _res

    folder = Path(next(iter(_res.__path__)))
    make_project(site.root)
    make_version(site)
    _, bundle = built(site)
    names = ("bom-1.6", "spdx", "jsf-0.82")
    main, *others = (json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in names)
    place = main["$id"].rpartition("/")[0]
    named = [f"{place}/{name}.SNAPSHOT.schema.json" for name in names[1:]]
    registry = schemas.Registry(list(zip(named, others, strict=True)))

    validator = schemas.Draft7Validator(main, registry=registry)

    assert list(validator.iter_errors(json.loads(site.blobs.get(bundle.sbom)))) == []
    assert list(validator.iter_errors({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 0}))


def test_provenance_is_signed_by_the_project_and_names_code_data_and_environment(site: Site) -> None:
    make_project(site.root)
    version = make_version(site)
    _, bundle = built(site)

    kind, statement = unseal(Checker(site.signer.public), site.blobs.get(bundle.provenance))

    assert kind == "application/vnd.in-toto+json"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: "sha256:" + one["digest"]["sha256"] for one in statement["subject"]}
    assert subjects["model"] == bundle.manifest
    assert subjects[bundle.wheel] == bundle.wheel_digest
    materials = {
        one["name"]: one["digest"] for one in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert {"code", "environment", "train.parquet", "holdout.parquet"} <= materials.keys()
    assert "sha256:" + materials["code"]["sha256"] == bundle.code
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == version.run_id


def test_a_changed_byte_in_any_part_is_found(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    digest, bundle = built(site)
    parts = verify_bundle(site.blobs, digest)
    assert {"model", "model/model.pkl", "code/pipeline.py", "sbom.cdx.json", "provenance.dsse.json"} <= parts.keys()

    for name in ("model/model.pkl", "code/pipeline.py", bundle.wheel, "contract.json"):
        path = site.blobs.path_of(parts[name])
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Corrupt):
            verify_bundle(site.blobs, digest)
        path.write_bytes(whole)

    assert verify_bundle(site.blobs, digest) == parts


def test_a_tampered_part_stops_the_walk(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    _, bundle = built(site)
    path = site.blobs.path_of(json.loads(site.blobs.get(bundle.manifest))["parts"]["golden.parquet"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")

    with pytest.raises(Exception, match="stopped at stage 1, commit") as caught:
        ship(site, settings_of(), doors=Small(site=site).doors())

    assert "no longer holds the bytes" in caught.value.why


def test_a_wheel_has_the_code_but_no_tests_and_a_record_that_fits() -> None:
    files = {
        "pipeline.py": b"x = 1\n",
        "src/lib/__init__.py": b"",
        "src/lib/data.json": b"{}",
        "tests/test_a.py": b"assert 1\n",
        "notes/readme.md": b"no package",
        "migrations/0001_a.up.sql": b"",
        ".hidden/x.py": b"",
    }

    wheel = build_wheel("My.Flights", 3, "sha256:" + "ab" * 32, files)

    assert wheel.name == "my_flights-3+cabababababab-py3-none-any.whl"
    assert wheel.modules == ("lib/__init__.py", "lib/data.json", "pipeline.py")
    with zipfile.ZipFile(BytesIO(wheel.data)) as archive:
        assert archive.testzip() is None
        record = archive.read("my_flights-3+cabababababab.dist-info/RECORD").decode().splitlines()
        for line in record[:-1]:
            path, hashed, size = line.split(",")
            data = archive.read(path)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (hashed, int(size)) == (f"sha256={wanted}", len(data))
    assert build_wheel("My.Flights", 3, "sha256:" + "ab" * 32, dict(reversed(files.items()))).data == wheel.data


@pytest.mark.slow
def test_the_wheel_installs_offline_into_a_fresh_environment(tmp_path: Path) -> None:
    wheel = build_wheel("flights", 3, "sha256:" + "ab" * 32, {"pipeline.py": b"def train():\n    return 'trained'\n"})
    (tmp_path / wheel.name).write_bytes(wheel.data)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"

    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-index", "--disable-pip-version-check", tmp_path / wheel.name],
        check=True,
    )
    said = subprocess.run(
        [python, "-c", "import pipeline; print(pipeline.train())"], cwd=tmp_path, capture_output=True, check=True
    )

    assert said.stdout.decode() == "trained\n"


def test_an_exported_folder_holds_every_part_and_a_file_of_sums(site: Site, tmp_path: Path) -> None:
    make_project(site.root)
    make_version(site)
    digest, bundle = built(site)

    into = export_bundle(site.blobs, digest, tmp_path / "out")

    assert (into / "bundle.json").read_bytes() == site.blobs.get(digest)
    assert (into / "model" / "model.pkl").exists()
    assert (into / bundle.wheel).read_bytes() == site.blobs.get(bundle.wheel_digest)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=into, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    (into / "sbom.cdx.json").chmod(0o600)
    (into / "sbom.cdx.json").write_text("{}")
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=into, capture_output=True, check=False).returncode
