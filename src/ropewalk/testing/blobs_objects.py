"""Puts the object-store bucket under the checks of `testing.blobs`, on a real server that speaks S3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import shelf_name
from ropewalk.blobs.objects import ObjectBucket

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsUnderTest:
    """A prefix of an S3 bucket.

    Attributes:
        url: `s3://BUCKET/PREFIX`.
        environment: what the library needs to reach it: endpoint, region and keys.
        local: folder for what is being received and what was fetched.
        scratch: a folder for the check's own files.
    """

    url: str
    environment: Mapping[str, str]
    local: Path
    scratch: Path

    def open(self) -> Bucket:
        """Return the prefix as a bucket."""
        os.environ.update(self.environment)
        return ObjectBucket(self.url, self.local)

    def damage(self, digest: str) -> None:
        """Flip one bit in the middle of a blob's object."""
        import obstore
        from obstore.store import from_url

        store = from_url(self.url, client_options={"allow_http": True})
        data = bytearray(bytes(obstore.get(store, shelf_name(digest)).bytes()))
        data[len(data) // 2] ^= 1
        obstore.put(store, shelf_name(digest), bytes(data))


@contextmanager
def s3_server(bucket: str = "kept") -> Generator[Mapping[str, str]]:
    """Run moto's S3 server in a process of its own, with one empty bucket; yield the environment that reaches it.

    Args:
        bucket: its name.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait(port)
            address = f"http://127.0.0.1:{port}"
            request = urllib.request.Request(f"{address}/{bucket}", method="PUT")  # noqa: S310 - our own server
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS):  # noqa: S310 - our own server
                pass
            yield {
                "AWS_ENDPOINT_URL": address,
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
        finally:
            server.kill()


def _wait(port: int) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            assert time.monotonic() < end, "the S3 server never answered"
            time.sleep(0.05)
        else:
            return
