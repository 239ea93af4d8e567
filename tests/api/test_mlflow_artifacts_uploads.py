"""Files that come in pieces, in parts, or not to their end: what can be seen is complete."""

from dataclasses import replace

import msgspec
import pytest

from artifacts_door import Door
from ropewalk.blobs.objects import ObjectBucket
from ropewalk.errors import Unavailable
from ropewalk.refs import digest_of
from ropewalk.testing.blobs_objects import s3_server

ROOT = "/api/2.0/mlflow-artifacts"
FOLDER = "1/0123456789abcdef0123456789abcdef/artifacts"
FILE = f"{ROOT}/artifacts/{FOLDER}/model.bin"
PIECE = bytes(range(256)) * 4096


@pytest.fixture
def door(site):
    return Door(site)


@pytest.fixture(scope="module")
def s3():
    with s3_server() as environment:
        yield environment


@pytest.fixture
def cloud(site, s3, monkeypatch, tmp_path):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    bucket = ObjectBucket(f"s3://kept/{tmp_path.name}", tmp_path / "objects")
    return Door(replace(site, blobs=bucket))


def incoming(site):
    return list((site.hidden / "blobs" / "incoming").iterdir())


def test_a_body_in_many_pieces_is_one_file(door):
    assert door("PUT", FILE, pieces=[PIECE, b"", PIECE[:7], PIECE, b"tail"]).status == 200

    assert door("GET", FILE).body == PIECE + PIECE[:7] + PIECE + b"tail"


def test_a_body_that_ends_early_leaves_nothing(door, site):
    door("PUT", FILE, b"before")

    assert door("PUT", FILE, pieces=[PIECE, PIECE], cut=True) is None

    assert door("GET", FILE).body == b"before"
    assert list(site.blobs.digests()) == [digest_of(b"before")]
    assert incoming(site) == []


def test_a_file_above_the_cap_is_refused_by_its_length_or_when_it_gets_there(site):
    door = Door(site, artifact_bytes_max=2048)

    told = door("PUT", FILE, pieces=[b"x"], headers=[("content-length", "2049")])
    untold = door("PUT", FILE, pieces=[b"x" * 2000, b"x" * 49])

    assert [one.status for one in (told, untold)] == [413, 413]
    assert door("GET", FILE).status == 404
    assert incoming(site) == []
    assert door("PUT", FILE, b"x" * 2048).status == 200


def test_a_full_disk_answers_507_and_what_was_there_stays(door, site, monkeypatch):
    door("PUT", FILE, b"before")
    monkeypatch.setattr("ropewalk.blobs.incoming.RESERVE_BYTES", 1 << 60)

    answer = door("PUT", FILE, b"after")

    assert answer.status == 507
    assert answer.json()["error_code"] == "RESOURCE_EXHAUSTED"
    assert door("GET", FILE).body == b"before"
    monkeypatch.undo()
    assert door("PUT", FILE, b"after").status == 200


def begin(door, parts, name="C:\\data\\big.bin"):
    return door.ask("POST", f"{ROOT}/mpu/create/{FOLDER}/sub", {"path": name, "num_parts": parts})


def send_parts(door, begun, texts):
    told = []
    for credential, data in zip(begun.json()["credentials"], texts, strict=True):
        target = credential["url"].removeprefix("http://127.0.0.1:8470")
        answer = door("PUT", target, data)
        told.append({"part_number": credential["part_number"], "etag": answer.headers["etag"], "url": target})
    return told


def finish(door, begun, parts, name="/home/ann/big.bin"):
    said = {"path": name, "upload_id": begun.json()["upload_id"], "parts": parts}
    return door.ask("POST", f"{ROOT}/mpu/complete/{FOLDER}/sub", said)


def test_a_token_that_comes_back_with_the_places_of_parts_is_kept_nowhere(door, site):
    said = msgspec.json.encode({"path": "x.bin", "num_parts": 1})
    headers = [("content-type", "application/json"), ("authorization", "Bearer rw_canary"), ("idempotency-key", "k")]

    begun = door("POST", f"{ROOT}/mpu/create/{FOLDER}", said, headers=headers)

    assert begun.json()["credentials"][0]["headers"] == {"Authorization": "Bearer rw_canary"}
    assert not [file for file in site.hidden.glob("ropewalk.db*") if b"rw_canary" in file.read_bytes()]


@pytest.mark.parametrize("kind", ["door", "cloud"])
def test_parts_in_any_order_become_one_file(request, kind):
    door = request.getfixturevalue(kind)
    texts = [PIECE, PIECE[::-1], b"tail"]
    begun = begin(door, 3)
    assert [one["part_number"] for one in begun.json()["credentials"]] == [1, 2, 3]
    told = send_parts(door, begun, [b"wrong", PIECE[::-1], b"tail"])
    told[:1] = send_parts(door, begun, [PIECE, PIECE[::-1], b"tail"])[:1]

    assert finish(door, begun, told[::-1]).json() == {}
    assert finish(door, begun, told).json() == {}

    assert door("GET", f"{ROOT}/artifacts/{FOLDER}/sub/big.bin").body == b"".join(texts)
    assert door("PUT", told[0]["url"], b"late").json()["error_code"] == "RESOURCE_ALREADY_EXISTS"


def test_an_upload_with_a_missing_or_another_part_shows_nothing_and_can_be_mended(door):
    begun = begin(door, 2)
    told = send_parts(door, begun, [b"one", b"two"])

    assert finish(door, begun, told[:1]).status == 400
    assert finish(door, begun, [told[0], {**told[1], "etag": "x"}]).status == 400
    assert finish(door, begun, [*told, {"part_number": 3, "etag": "x"}]).status == 400
    assert finish(door, begun, told, name="other.bin").status == 400
    assert door("GET", f"{ROOT}/artifacts/{FOLDER}/sub/big.bin").status == 404

    assert finish(door, begun, told).status == 200
    assert door("GET", f"{ROOT}/artifacts/{FOLDER}/sub/big.bin").body == b"onetwo"


def test_an_upload_that_is_given_up_takes_no_more_and_the_same_again_is_no_error(door):
    begun = begin(door, 1)
    told = send_parts(door, begun, [b"one"])
    said = {"path": "big.bin", "upload_id": begun.json()["upload_id"]}

    assert door.ask("POST", f"{ROOT}/mpu/abort/{FOLDER}/sub", said).status == 200
    assert door.ask("POST", f"{ROOT}/mpu/abort/{FOLDER}/sub", said).status == 200

    assert finish(door, begun, told).status == 404
    assert door("PUT", told[0]["url"], b"late").status == 404


@pytest.mark.parametrize(
    ("parts", "name"),
    [(0, "x"), (-1, "x"), (10_001, "x"), (1 << 62, "x"), (1, ".."), (1, ""), (1, "a/.."), (1, "..\\.."), (1, "%2e%2e")],
)
def test_an_upload_that_cannot_be_is_refused(door, parts, name):
    assert begin(door, parts, name).status == 400


@pytest.mark.parametrize("part", ["0", "2", "x", "-1", "99999999999999999999", "%C2%B2"])
def test_a_part_that_an_upload_does_not_have_is_refused(door, site, part):
    begun = begin(door, 1)
    target = begun.json()["credentials"][0]["url"].removeprefix("http://127.0.0.1:8470")

    answer = door("PUT", target[:-1] + part, b"x")

    assert answer.status == 400
    assert list(site.blobs.digests()) == []


def test_parts_are_sent_as_whoever_began_the_upload(door):
    said = b'{"path":"x","num_parts":1}'
    headers = [("content-type", "application/json"), ("authorization", "Bearer rw_secret")]

    begun = door("POST", f"{ROOT}/mpu/create/{FOLDER}", said, headers=headers)

    assert begun.json()["credentials"][0]["headers"] == {"Authorization": "Bearer rw_secret"}
    assert "rw_secret" not in begun.json()["credentials"][0]["url"]


def test_a_link_is_given_where_the_store_can_sign_one(door, cloud):
    door("PUT", FILE, b"x")
    cloud("PUT", FILE.replace("model", "cloud"), b"shown")

    here = door("GET", f"{ROOT}/presigned/{FOLDER}/model.bin")
    there = cloud("GET", f"{ROOT}/presigned/{FOLDER}/cloud.bin")

    assert (here.status, here.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    assert there.json()["file_size"] == 5
    import urllib.request

    with urllib.request.urlopen(there.json()["url"]) as answer:
        assert answer.read() == b"shown"


def test_a_store_that_does_not_answer_is_told_and_nothing_is_seen(cloud, monkeypatch):
    cloud("PUT", FILE, b"before")

    def fail(*_):
        raise Unavailable("blobs-unreachable", "The object store does not answer, or refuses.")

    monkeypatch.setattr(ObjectBucket, "publish", fail)
    answer = cloud("PUT", FILE, b"after")
    monkeypatch.undo()

    assert (answer.status, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_a_file_whose_bytes_were_changed_is_never_sent_whole(door, site):
    small, large = FILE.replace("model", "small"), FILE.replace("model", "large")
    door("PUT", small, b"small")
    door("PUT", large, PIECE * 3)
    for data in (b"small", PIECE * 3):
        path = site.blobs.path_of(digest_of(data))
        path.chmod(0o600)
        path.write_bytes(data[:-1] + b"!")

    refused, broken = door("GET", small), door("GET", large)

    assert (refused.status, refused.json()["error_code"]) == (500, "DATA_LOSS")
    assert len(broken.body) < len(PIECE * 3) == int(broken.headers["content-length"])


def test_nobody_is_given_an_address_to_write_past_the_server(door):
    answer = door.ask("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", {"run_id": "x", "path": "y"})

    assert (answer.status, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
