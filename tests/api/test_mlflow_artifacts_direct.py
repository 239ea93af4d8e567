"""Parts that clients send to the object store themselves: seen when complete, verified, and gone from there."""

import os
import urllib.request
from dataclasses import replace

import pytest

from artifacts_door import Door
from ropewalk.blobs.aside import ObjectAside
from ropewalk.blobs.objects import ObjectBucket
from ropewalk.errors import Unavailable
from ropewalk.refs import digest_of
from ropewalk.testing.blobs_objects import s3_server
from ropewalk.testing.fakes import SetClock

ROOT = "/api/2.0/mlflow-artifacts"
FOLDER = "1/0123456789abcdef0123456789abcdef/artifacts"
FILE = f"{ROOT}/artifacts/{FOLDER}/big.bin"
ONE, TWO = b"one" * 1000, b"two" * 999
FAR_US = 4_000_000_000_000_000


@pytest.fixture(scope="module")
def s3():
    with s3_server() as environment:
        yield environment


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return ObjectBucket(f"s3://kept/{tmp_path.name}", tmp_path / "objects")


@pytest.fixture
def door(site, bucket):
    return Door(replace(site, blobs=bucket), direct_uploads=True)


def begin(door, parts=2):
    return door.ask("POST", f"{ROOT}/mpu/create/{FOLDER}", {"path": "/home/ann/big.bin", "num_parts": parts}).json()


def send(begun, texts):
    """Send parts as MLflow's client does: no credentials of ours, only what the answer says."""
    told = []
    for credential, data in zip(begun["credentials"], texts, strict=True):
        request = urllib.request.Request(
            credential["url"], data, {**credential["headers"], "Content-Type": ""}, method="PUT"
        )
        with urllib.request.urlopen(request) as answer:
            told.append({"part_number": credential["part_number"], "etag": answer.headers["ETag"]})
    return told


def finish(door, begun, parts, word="complete"):
    said = {"path": "big.bin", "upload_id": begun["upload_id"], "parts": parts}
    return door.ask("POST", f"{ROOT}/mpu/{word}/{FOLDER}", said)


def test_parts_go_to_the_store_and_are_one_verified_file_once_they_are_complete(door, bucket):
    begun = begin(door)
    told = send(begun, [ONE, TWO])

    assert all("127.0.0.1:8470" not in one["url"] for one in begun["credentials"])
    assert (door("GET", FILE).status, list(bucket.digests())) == (404, [])

    assert finish(door, begun, told[::-1]).json() == {}
    assert finish(door, begun, told).json() == {}

    assert door("GET", FILE).body == ONE + TWO
    assert list(bucket.digests()) == [digest_of(ONE + TWO)]
    assert bucket.aside().laid(begun["upload_id"]) == {}


def test_a_part_that_is_missing_or_was_sent_again_shows_nothing_and_can_be_mended(door, bucket):
    begun = begin(door)
    told = send(begun, [ONE, b"wrong"])
    late = send(begun, [ONE, TWO])

    assert finish(door, begun, told).json()["message"].startswith("The parts of the upload are not those")
    assert finish(door, begun, late[:1]).status == 400
    assert door("GET", FILE).status == 404

    assert finish(door, begun, late).status == 200
    assert door("GET", FILE).body == ONE + TWO


def test_a_part_that_is_exchanged_while_it_is_read_is_refused(door, bucket, monkeypatch):
    begun = begin(door, 1)
    told = send(begun, [ONE])
    look = ObjectAside.laid

    def exchanged(aside, upload):
        found = look(aside, upload)
        send(begun, [b"another"])
        return found

    monkeypatch.setattr(ObjectAside, "laid", exchanged)
    answer = finish(door, begun, told)

    assert (answer.status, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert (door("GET", FILE).status, list(bucket.digests())) == (404, [])


def test_the_limit_on_a_file_holds_before_a_byte_of_it_is_read(site, bucket):
    door = Door(replace(site, blobs=bucket), direct_uploads=True, artifact_bytes_max=len(ONE))
    begun = begin(door)
    told = send(begun, [ONE, TWO])

    assert finish(door, begun, told).status == 413
    assert list(bucket.digests()) == []


def test_empty_parts_are_parts(door):
    begun = begin(door)

    assert finish(door, begun, send(begun, [b"", TWO])).status == 200

    assert door("GET", FILE).body == TWO


def test_an_upload_that_is_given_up_leaves_nothing_in_the_store(door, bucket):
    begun = begin(door)
    told = send(begun, [ONE, TWO])

    assert finish(door, begun, [], "abort").status == 200
    assert finish(door, begun, [], "abort").status == 200

    assert bucket.aside().laid(begun["upload_id"]) == {}
    assert finish(door, begun, told).status == 404


def test_what_comes_after_the_end_is_no_blob_and_goes_after_a_day(door, bucket, tmp_path):
    begun = begin(door, 1)
    finish(door, begun, send(begun, [ONE]))
    send(begun, [b"late"])

    assert door("GET", FILE).body == ONE
    assert list(bucket.digests()) == [digest_of(ONE)]
    bucket.tidy()
    assert set(bucket.aside().laid(begun["upload_id"])) == {1}
    ObjectBucket(bucket.url, tmp_path / "later", SetClock(FAR_US)).tidy()
    assert bucket.aside().laid(begun["upload_id"]) == {}
    assert bucket.get(digest_of(ONE)) == ONE


def test_a_store_that_cannot_be_cleared_now_fails_no_upload(door, monkeypatch):
    begun = begin(door, 1)
    told = send(begun, [ONE])

    def fail(*_):
        raise Unavailable("blobs-unreachable", "The object store does not answer, or refuses.")

    monkeypatch.setattr(ObjectAside, "drop", fail)

    assert finish(door, begun, told).status == 200
    assert door("GET", FILE).body == ONE


def test_parts_come_through_the_door_where_bytes_are_counted_or_nothing_can_sign(site, bucket):
    class Counting:
        counts_bytes = True

        def asks(self, _route):
            return False

    counted = Door(replace(site, blobs=bucket), direct_uploads=True)
    counted.dispatch._till = Counting()
    folder = Door(site, direct_uploads=True)
    told = Door(replace(site, blobs=bucket))

    for door in (counted, folder, told):
        begun = begin(door)
        assert all(one["url"].startswith("http://127.0.0.1:8470/") for one in begun["credentials"])
