"""Parts that a killed writer left in S3: an upload that nobody completes, seen by nobody and paid for by somebody.

The library cannot list or give up such uploads. It signs addresses, which tell where the bucket is and whose key it is;
with that key's secret, where the environment holds it, the two requests are signed here.

Sources: API_ListMultipartUploads, API_AbortMultipartUpload and sigv4-query-string-auth in
https://docs.aws.amazon.com/AmazonS3/latest/API/.
"""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import digest
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from ropewalk.blobs.reached import QUICK, ask, reach, unreachable
from ropewalk.records import frozen

SECONDS = 5.0
PAGE = 1000
OK, NO_CONTENT, NOT_FOUND = 200, 204, 404
_SIGNED = timedelta(minutes=5)
# Names of blobs alone: the bucket is not only ours, and other prefixes may lie below this one.
_OURS = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}", re.ASCII)


@frozen
class Unfinished:
    """An upload that was begun.

    Attributes:
        key: name of the object that it would become.
        upload: its id.
        begun_us: when, in microseconds since the epoch, by the store's clock.
    """

    key: str
    upload: str
    begun_us: int


class Uploads:
    """The unfinished uploads of blobs below a bucket's address.

    Args:
        sample: the address of the object `x` below it, as the library signed it.
        prefix: below which the blobs lie in the bucket; empty, or with a slash at its end.
        secret: of the key that signed.
    """

    def __init__(self, sample: SplitResult, prefix: str, secret: str) -> None:
        self._scheme, self._host = sample.scheme, sample.netloc
        self._bucket = unquote(sample.path).removesuffix(f"{prefix}x")
        self._prefix = prefix
        told = dict(parse_qsl(sample.query))
        self._scope = told["X-Amz-Credential"].partition("/")[2]
        self._told = {name: told[name] for name in told if name not in ("X-Amz-Signature", "X-Amz-Expires")}
        self._told["X-Amz-Expires"] = str(int(_SIGNED.total_seconds()))
        self._secret = secret

    def listed(self) -> Iterator[Unfinished]:
        """Yield every upload that was begun for a blob and neither completed nor given up.

        Raises:
            Unavailable: the store cannot be reached, or refuses.
        """
        marks: dict[str, str] = {}
        while True:
            asked = {"uploads": "", "prefix": self._prefix, "max-uploads": str(PAGE), **marks}
            status, body = self._send("GET", self._bucket, asked)
            page = _read(body) if status == OK else None
            if page is None:
                raise unreachable(OSError(f"the question for unfinished uploads was answered with {status}"))
            for one in page.iterfind("{*}Upload"):
                key = one.findtext("{*}Key", "")
                if _OURS.fullmatch(key.removeprefix(self._prefix)):
                    begun = datetime.fromisoformat(one.findtext("{*}Initiated", ""))
                    yield Unfinished(
                        key=key,
                        upload=one.findtext("{*}UploadId", ""),
                        begun_us=round(begun.timestamp() * 1_000_000),
                    )
            if page.findtext("{*}IsTruncated", "") != "true":
                return
            marks = {
                "key-marker": page.findtext("{*}NextKeyMarker", ""),
                "upload-id-marker": page.findtext("{*}NextUploadIdMarker", ""),
            }

    def tidy(self, before_us: int) -> int:
        """Give up what was begun before this time; return how many uploads that were.

        Raises:
            Unavailable: the store cannot be reached, or refuses.
        """
        old = [one for one in self.listed() if one.begun_us < before_us]
        for one in old:
            status, _ = self._send("DELETE", self._bucket + one.key, {"uploadId": one.upload})
            if status not in (NO_CONTENT, NOT_FOUND):
                raise unreachable(OSError(f"an unfinished upload could not be given up: {status}"))
        return len(old)

    def _send(self, method: str, path: str, asked: dict[str, str]) -> tuple[int, bytes]:
        """Send a request whose signature stands in its address; return status and body."""
        where = quote(path)
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self._query(asked))
        signature = self.signature(method, where, query)
        kind = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        line = kind(self._host, timeout=SECONDS)
        try:
            line.request(method, f"{where}?{query}&{urlencode({'X-Amz-Signature': signature})}")
            answer = line.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(error) from error
        finally:
            line.close()

    def signature(self, method: str, where: str, query: str) -> str:
        """Return what signs a request for a path and a query in order, both as they stand in an address."""
        canonical = f"{method}\n{where}\n{query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        date = self._told["X-Amz-Date"]
        text = f"AWS4-HMAC-SHA256\n{date}\n{self._scope}\n{sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self._secret}".encode()
        for word in self._scope.split("/"):
            key = digest(key, word.encode(), "sha256")
        return digest(key, text.encode(), "sha256").hex()

    def _query(self, asked: dict[str, str]) -> list[tuple[str, str]]:
        return sorted({**self._told, **asked}.items())


def _read(body: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(body)  # noqa: S314 - of the project's own store; expat bounds what entities unfold to
    except ET.ParseError:
        return None


def uploads_of(url: str) -> Uploads | None:
    """Return the unfinished uploads below an address; None where they are the store's own to forget.

    That is Google's store and Azure's, and S3 where the secret of the key is not in the environment.

    Raises:
        Unavailable: the library cannot sign.
    """
    scheme, _, rest = url.partition("://")
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if scheme != "s3" or not secret:
        return None
    import obstore

    store: Any = reach(url, QUICK)
    sample = urlsplit(ask(lambda: obstore.sign(store, "GET", "x", _SIGNED)))
    prefix = rest.partition("/")[2].strip("/")
    return Uploads(sample, f"{prefix}/" if prefix else "", secret)
