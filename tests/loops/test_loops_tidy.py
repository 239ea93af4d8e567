"""What was left half-done for a day goes by itself; what is young, finished or needed elsewhere stays."""

import os

import pytest

from ropewalk.artifacts import artifact, upload
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.loops.tidy import Tidy
from ropewalk.refs import digest_of

DAY_SECONDS = 86_400


@pytest.fixture
def late(site, clock):
    """The project, two days after now."""
    clock.jump(SystemClock().now_us() / 1_000_000 - clock.now_us() / 1_000_000)
    return site


def part(site, upload_id, number, data):
    digest = site.blobs.put(data)
    site.db.write(
        lambda tx: upload.put_part(tx, site, upload_id, number, digest, len(data), begun_us=site.clock.now_us())
    )


def test_parts_of_an_upload_that_nobody_finished_go_after_a_day(late, clock):
    begun = late.db.write(lambda tx: upload.begin(tx, late, "x", 3))
    for number, data in enumerate((b"one", b"two", b"shared"), 1):
        part(late, begun.id, number, data)
    digest = late.blobs.put(b"shared")
    late.db.write(lambda tx: artifact.put(tx, late, "kept", digest, 6, "", begun_us=clock.now_us()))

    assert Tidy(late).turn() is False
    assert len(list(late.blobs.digests())) == 3
    clock.jump(2 * DAY_SECONDS)
    Tidy(late).turn()

    assert list(late.blobs.digests()) == [digest_of(b"shared")]
    with late.db.read() as rows:
        assert upload.old_parts(rows, late) == ((), False)


def test_a_half_received_file_goes_after_a_day_in_a_server_that_never_restarts(late, clock):
    bucket = FolderBucket(late.hidden / "blobs", clock)
    left = late.hidden / "blobs" / "incoming" / "left"
    left.write_bytes(b"half")
    at = clock.now_us() // 1_000_000
    os.utime(left, (at, at))

    bucket.tidy()
    assert left.exists()
    clock.jump(DAY_SECONDS + 60)
    bucket.tidy()

    assert not left.exists()
