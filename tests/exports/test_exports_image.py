"""An image without a daemon: a valid layout, digests that are right, the same bytes every time, nobody's root."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile

import pytest

from exports.delivered import read_shipped
from ropewalk.cli import main
from ropewalk.errors import Invalid, NotFound, RopewalkError
from ropewalk.exports.foundation import read_base
from ropewalk.exports.image import Image, build
from ropewalk.house import open_house

OURS = f"usr/bin/python3.{sys.version_info.minor}"


def tarred(path, names, mode="w"):
    """Write an archive with files of these names; return it."""
    with tarfile.open(path, mode) as tar:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def without_pip(found, pinned, into):
    """Bring one library, with the notes of who installed it."""
    assert "numpy" in pinned
    for name in ("numpy/__init__.py", "numpy-1.dist-info/METADATA", "numpy-1.dist-info/RECORD", "bin/f2py"):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(name)


def built(root, base, path, **words) -> Image:
    with open_house(root, create=False) as house:
        return build(house.site.blobs, read_shipped(root, "image"), base, path, install=without_pip, **words)


@pytest.fixture(scope="module")
def made(shipped, tmp_path_factory):
    """An image upon a base of one file, and what lies in it."""
    folder = tmp_path_factory.mktemp("image")
    base = tarred(folder / "base.tar", {f"./{OURS}": b"a program"})
    image = built(shipped, base, folder / "churn.tar")
    with tarfile.open(image.path) as tar:
        return image, base, {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}


def blob(files, digest):
    return files["blobs/sha256/" + digest.removeprefix("sha256:")]


def parts(files):
    """Return manifest and configuration of the only image."""
    (said,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, said["digest"]))
    return manifest, json.loads(blob(files, manifest["config"]["digest"]))


def test_every_blob_has_the_digest_and_the_size_that_it_is_named_by(made):
    image, _, files = made
    manifest, config = parts(files)

    for name, data in files.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(files["index.json"])["manifests"][0]["digest"] == image.built.digest
    assert [one["size"] for one in manifest["layers"]] == [
        len(blob(files, one["digest"])) for one in manifest["layers"]
    ]
    unpacked = [gzip.decompress(blob(files, one["digest"])) for one in manifest["layers"]]
    assert ["sha256:" + hashlib.sha256(one).hexdigest() for one in unpacked] == config["rootfs"]["diff_ids"]
    assert len(config["history"]) == len(manifest["layers"]) == 4
    (docker,) = json.loads(files["manifest.json"])
    assert set(docker["Layers"]) < set(files)


def test_it_runs_as_nobody_and_says_of_which_release_it_is(made):
    _, config = parts(made[2])
    runs = config["config"]

    assert runs["User"] == "10001:10001"
    assert [*runs["Entrypoint"], *runs["Cmd"]] == ["python3", "-m", "ropewalk", "serve"]
    assert runs["Healthcheck"]["Test"][0] == "CMD"
    assert runs["StopSignal"] == "SIGTERM"
    assert list(runs["ExposedPorts"]) == ["8080/tcp"]
    assert {"ROPEWALK_BUNDLE=/srv/ropewalk/bundle", "PYTHONPATH=/srv/ropewalk/lib"} < set(runs["Env"])
    assert runs["Labels"]["io.ropewalk.release"] == "churn/1"
    assert config["os"] == "linux"


def test_it_holds_the_release_and_no_training_data_no_key_and_no_notes_of_who_installed_it(made, shipped):
    _, _, files = made
    manifest, _ = parts(files)
    lying = {}
    for one in manifest["layers"][1:]:
        with tarfile.open(fileobj=io.BytesIO(blob(files, one["digest"]))) as tar:
            lying |= {each.name: each for each in tar}
    with open_house(shipped, create=False) as house:
        found = read_shipped(shipped, "image")
        secret = {found.manifest.parts[name] for name in found.manifest.parts if name.endswith(".parquet")}
        keys = {path.read_bytes() for path in (house.site.hidden / "keys").iterdir()}

    assert secret
    assert not {f"srv/ropewalk/bundle/blobs/{one[7:9]}/{one[9:]}" for one in secret} & set(lying)
    assert "srv/ropewalk/bundle/served.json" in lying
    assert "srv/ropewalk/lib/ropewalk/__main__.py" in lying
    assert lying["srv/ropewalk/bundle/blobs/incoming"].isdir()
    assert "srv/ropewalk/lib/numpy/__init__.py" in lying
    assert not [name for name in lying if name.endswith(("RECORD", "f2py", ".pyc"))]
    assert {(each.uid, each.gid, each.mtime) for each in lying.values()} == {(0, 0, 0)}
    assert {each.mode for each in lying.values()} <= {0o644, 0o755}
    assert not [key for key in keys if any(key in data for data in files.values())]


def test_the_same_release_gives_the_same_digest_and_what_lies_there_is_compared(made, shipped, tmp_path):
    image, base, _ = made

    again = built(shipped, base, tmp_path / "again.tar")
    looked = built(shipped, base, tmp_path / "again.tar", dry=True)
    elsewhere = built(shipped, base, tmp_path / "never.tar", dry=True)

    assert again.path.read_bytes() == image.path.read_bytes()
    assert (again.changed, looked.changed, elsewhere.changed) == (True, False, True)
    assert not (tmp_path / "never.tar").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["again.tar"]


def test_an_image_is_a_base_too(made, shipped, tmp_path):
    image, _, files = made

    above = built(shipped, image.path, tmp_path / "above.tar")

    with tarfile.open(above.path) as tar:
        manifest, config = parts({one.name: tar.extractfile(one).read() for one in tar if one.isfile()})
    assert manifest["layers"][:4] == parts(files)[0]["layers"]
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 7
    assert len([one for one in config["config"]["Env"] if one.startswith("PATH=")]) == 1


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"etc/passwd": b""}, "neither index.json nor"),
        ({"manifest.json": b"[]"}, "docker save"),
        ({"index.json": b"{}"}, "no image for amd64"),
        ({"index.json": b"["}, "Expecting"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../../x"}]}'}, "sha256 alone"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:%s"}]}' % (b"0" * 64)}, "is not there"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, names, why):
    with pytest.raises(Invalid, match="Nothing can be built") as refused:
        read_base(tarred(tmp_path / "base.tar", names), tmp_path, "amd64")

    assert why in refused.value.why


def test_a_base_that_is_not_there_or_was_tampered_with_or_has_another_python_is_refused(made, shipped, tmp_path):
    _, _, files = made
    name = next(name for name in files if name.startswith("blobs/"))
    bad = tarred(tmp_path / "bad.tar", {**files, name: files[name] + b" "})

    with pytest.raises(NotFound, match="not there"):
        read_base(tmp_path / "nothing.tar", tmp_path, "amd64")
    with pytest.raises(RopewalkError) as tampered:
        read_base(bad, tmp_path, "amd64")
    with pytest.raises(Invalid, match=r"no Python 3\."):
        built(shipped, tarred(tmp_path / "old.tar", {"usr/bin/python3.2": b""}), tmp_path / "churn.tar")
    assert tampered.value.code == "image-base-corrupt"


def test_the_command_wants_a_base_and_says_how_to_get_one(shipped, capsys):
    assert main(["--project", str(shipped), "export", "image"]) != 0

    said = capsys.readouterr().err
    assert "image-base" in said
    assert "skopeo copy" in said
