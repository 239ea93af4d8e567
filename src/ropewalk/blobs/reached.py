"""An object store as the library reaches it: opened by its address, asked with deadlines, its errors told as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ropewalk.blobs.folder import not_found
from ropewalk.errors import Invalid, RopewalkError, Unavailable, missing_extra

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")
SCHEMES = ("s3", "gs", "az")
# A question is given up after two tries, within five seconds; a transfer, which a question precedes, may take its time
# as long as bytes move.
QUICK = {"connect_timeout": timedelta(seconds=1.5), "timeout": timedelta(seconds=2.2)}
BULK = {
    "connect_timeout": timedelta(seconds=1.5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=1),
}
_RETRY: Any = {
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=2.5),
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(milliseconds=200), "base": 2.0},
}


def reach(url: str, options: dict[str, timedelta]) -> Any:  # noqa: ANN401 - one of three classes without a common one
    """Return the library's store for an address, with these deadlines.

    Credentials, region and endpoint come from the environment, by the names that the store's own tools use.

    Raises:
        Invalid: the address is none.
        Missing: the library is not installed.
    """
    import os

    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise missing_extra("obstore", "s3") from None
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES or not rest.strip("/") or "@" in rest or "?" in rest or "#" in rest:
        raise _bad_url(url, f"it begins with {' or '.join(f'{name}://' for name in SCHEMES)} and holds no secret")
    given = any(
        os.environ.get(name, "").startswith("http://")
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_ENDPOINT", "GOOGLE_BASE_URL")
    )
    client: Any = {**options, "allow_http": True} if given else options
    try:
        return from_url(url, client_options=client, retry_config=_RETRY)
    except (BaseError, ValueError, OSError) as error:
        raise _bad_url(url, _words(error)) from error


def _bad_url(url: str, why: str) -> Invalid:
    return Invalid(
        "blobs-url-invalid",
        "This is no address of an object store.",
        where=url.partition("://")[0][:20],
        why=why,
        fix="ROPEWALK_BLOBS_URL=s3://BUCKET/PREFIX",
    )


def ask(work: Callable[[], T], digest: str = "", *, lost: Callable[[], RopewalkError] | None = None) -> T:
    """Return what the store answers.

    Args:
        work: asks it.
        digest: the blob that is asked for.
        lost: makes the error of an object that is none and is not there.

    Raises:
        NotFound: it has no such object; only where a digest was given.
        Unavailable: it cannot be reached, or refuses.
    """
    try:
        return work()
    except FileNotFoundError as error:
        if lost is not None:
            raise lost() from error
        raise (not_found(digest) if digest else unreachable(error)) from error
    except Exception as error:
        raise unreachable(error) from error


def told(items: Iterator[T]) -> Iterator[T]:
    """Yield items of the store's own iterator, with its errors as ours."""
    end = object()
    while True:
        item: Any = ask(lambda: next(items, end))
        if item is end:
            return
        yield item


def unreachable(error: Exception) -> Unavailable:
    """Return our error for one of the library's."""
    return Unavailable(
        "blobs-unreachable",
        "The object store does not answer, or refuses.",
        why=_words(error),
        fix="look at its address, its credentials and the network, then run the same command again",
    )


def _words(error: Exception) -> str:
    """Return the first line of what the library says; the rest repeats it for its own authors."""
    return str(error).partition("\n")[0][:300]


def us(found: ObjectMeta) -> int:
    """Return when an object was put, in microseconds since the epoch, by the store's clock."""
    return round(found["last_modified"].timestamp() * 1_000_000)
