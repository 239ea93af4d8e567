"""What a folder of blobs alone promises: who may read it, and that a failure leaves no litter."""

import io
import stat

import pytest

from ropewalk.blobs.folder import FolderBucket
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

    assert caught.value.code == "blob-not-written"
    assert "No space left" in caught.value.why
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []


def test_a_moved_folder_keeps_its_blobs(bucket, tmp_path):
    digest = bucket.put(b"x")
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")

    assert FolderBucket(tmp_path / "elsewhere").get(digest) == b"x"
