"""Puts the object-store bucket under the checks of `testing.blobs`, on real servers that speak S3 and Azure's Blob."""

from __future__ import annotations

import base64
import hmac
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import shelf_name
from ropewalk.blobs.objects import ObjectBucket

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsUnderTest:
    """A prefix of an S3 bucket or an Azure container.

    Attributes:
        url: `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
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
    port = _free_port()
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


# What Azurite's own documentation publishes: an account that is nobody's.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def azure_server(command: str, folder: Path, container: str = "kept") -> Generator[Mapping[str, str]]:
    """Run Azurite's Blob server, with one empty container; yield the environment that reaches it.

    Args:
        command: `azurite-blob`, as `npm install azurite` puts it.
        folder: where it keeps what it keeps.
        container: its name.
    """
    port = _free_port()
    words = [command, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", str(port)]
    with subprocess.Popen(
        [*words, "--location", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait(port)
            address = f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
            with urllib.request.urlopen(_new_container(address, container), timeout=WAIT_SECONDS):  # noqa: S310 - our own
                pass
            yield {
                "AZURE_ENDPOINT": address,
                "AZURE_STORAGE_ACCOUNT_NAME": AZURITE_ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY,
            }
        finally:
            server.kill()


def _new_container(address: str, container: str) -> urllib.request.Request:
    """Return the signed request that makes a container: the library that is tried makes none."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    place = f"/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{container}"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n{place}\nrestype:container"
    signed = hmac.digest(base64.b64decode(AZURITE_KEY), text.encode(), "sha256")
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{base64.b64encode(signed).decode()}",
        "Content-Type": "",
    }
    url = f"{address}/{container}?restype=container"
    return urllib.request.Request(url, data=b"", headers=headers, method="PUT")  # noqa: S310 - our own server


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


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
