"""What a folder of blobs alone promises: who may read it, and that a failure leaves no litter."""

import io
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.blobs.incoming import RESERVE_BYTES
from ropewalk.clock import SystemClock
from ropewalk.errors import Unavailable


class FailingStream(io.BytesIO):
    def read(self, size=-1):
        data = super().read(size)
        if not data:
            raise OSError(28, "No space left on device")
        return data


@pytest.fixture
def bucket(tmp_path):
    return FolderBucket(tmp_path / "blobs")


def test_blobs_are_readable_by_their_owner_alone_and_written_once(bucket):
    path = bucket.path_of(bucket.put(b"x"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_full_disk_is_told_and_leaves_no_litter(bucket, tmp_path):
    with pytest.raises(Unavailable) as caught:
        bucket.put_stream(FailingStream(b"x" * 3_000_000))

    assert caught.value.code == "disk-full"
    assert "No space left" in caught.value.why
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []


def test_a_moved_folder_keeps_its_blobs(bucket, tmp_path):
    digest = bucket.put(b"x")
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")

    assert FolderBucket(tmp_path / "elsewhere").get(digest) == b"x"


def test_what_a_killed_writer_left_is_gone_after_a_day_and_what_grows_is_not(tmp_path):
    clock = SystemClock()
    incoming = tmp_path / "blobs" / "incoming"
    left, young = incoming / "left", incoming / "young"
    writer = FolderBucket(tmp_path / "blobs", clock).writer()
    left.write_bytes(b"x")
    young.write_bytes(b"x")
    day_ago = clock.now_us() // 1_000_000 - 24 * 3600
    os.utime(left, (day_ago - 60, day_ago - 60))
    os.utime(young, (day_ago + 60, day_ago + 60))

    again = FolderBucket(tmp_path / "blobs", clock)

    assert not left.exists()
    assert young.exists()
    writer.write(b"whole")
    assert again.get(writer.commit()) == b"whole"


def test_a_blob_that_is_put_while_old_ones_are_removed_is_never_lost(bucket):
    texts = [str(number).encode() for number in range(300)]
    for data in texts:
        os.utime(bucket.path_of(bucket.put(data)), (1, 1))
    one_is_gone = threading.Event()

    def put():
        one_is_gone.wait(60)
        return [bucket.put(data) for data in texts]

    def remove():
        removed = 0
        for held in bucket.held():
            removed += bucket.remove(held.digest, kept_before_us=3_600_000_000)
            one_is_gone.set()
        return removed

    with ThreadPoolExecutor(2) as pool:
        put_digests, removed = pool.submit(put), pool.submit(remove)

    assert removed.result() > 0
    assert all(bucket.has(digest) for digest in put_digests.result())


def test_a_disk_with_less_room_than_the_reserve_takes_nothing(bucket, monkeypatch):
    monkeypatch.setattr(
        "ropewalk.blobs.incoming.os.statvfs",
        lambda folder: os.statvfs_result((4096, 4096, 1 << 30, 1, RESERVE_BYTES // 4096 - 1, 0, 0, 0, 0, 255)),
    )

    with pytest.raises(Unavailable) as caught:
        bucket.put(b"x")

    assert caught.value.code == "disk-full"
    assert list(bucket.digests()) == []
