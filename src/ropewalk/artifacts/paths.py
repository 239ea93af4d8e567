"""The rules of paths: logical names in one decoded form, never a file's; what is not plain is refused."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

from ropewalk.errors import Invalid

SCHEME = "mlflow-artifacts"
PATH_BYTES_MAX = 2048
SEGMENT_BYTES_MAX = 255
DEPTH_MAX = 64
_DRIVE = re.compile(r"[A-Za-z]:")
# Control characters, separators of lines, and what turns the direction of writing around.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def checked(path: str) -> str:
    """Return a path as it came when it is plain: names with single slashes between them.

    Args:
        path: decoded once, as the client meant it.

    Raises:
        Invalid: it is empty, too long or too deep; it begins or ends with a slash or has two together; a name is `.`
            or `..` in any spelling, begins with a drive's letter, or holds a backslash, `#`, a control character or
            a percent escape, which would be a second encoding.
    """
    why = _fault(path)
    if why:
        raise Invalid(
            "artifact-path-invalid",
            "This cannot be an artifact's path.",
            where=ascii(path[:120]),
            why=why,
            fix="name files with plain names and single slashes: plots/roc.png",
        )
    return path


def _fault(path: str) -> str:
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "it is no Unicode text"
    if not 0 < length <= PATH_BYTES_MAX:
        return f"it has {length} bytes of 1 to {PATH_BYTES_MAX}"
    segments = path.split("/")
    if len(segments) > DEPTH_MAX:
        return f"it has {len(segments)} folders, {DEPTH_MAX} at most"
    for segment in segments:
        why = _fault_of_name(segment)
        if why:
            return why
    return ""


def _fault_of_name(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    faults = (
        (not name, "it begins or ends with a slash, or has two of them together"),
        (len(name.encode()) > SEGMENT_BYTES_MAX, f"a name has more than {SEGMENT_BYTES_MAX} bytes"),
        (plain.partition(";")[0].strip() in {".", ".."}, "a name is '.' or '..'"),
        (any(letter in plain for letter in "/\\#"), "a name holds a backslash, '#', or a slash in another spelling"),
        (_DRIVE.match(plain) is not None, "a name begins with a drive's letter"),
        (unquote(name) != name, "a name holds a percent escape: it was encoded twice"),
        (_UNSEEN.search(name) is not None, "a name holds a control character"),
    )
    return next((why for holds, why in faults if holds), "")


def inside(location: str, path: str) -> str:
    """Return the path of what lies below a location.

    Args:
        location: a path that was checked.
        path: below it; empty for the location itself.

    Raises:
        Invalid: the path is not plain.
    """
    return checked(f"{location}/{checked(path)}") if path else location


def of_uri(uri: str) -> str:
    """Return the path that a location's address names, such as that of `mlflow-artifacts:/1/RUN/artifacts`.

    Raises:
        Invalid: the address is of another kind: the server opens nothing that a client names.
    """
    found = urlsplit(uri)
    if found.scheme != SCHEME or found.netloc or found.query or found.fragment:
        raise Invalid(
            "artifact-location-foreign",
            "These artifacts do not lie here.",
            where=ascii(uri[:120]),
            why=f"the server opens no address that a client gave; its own begin with {SCHEME}:/",
            fix="read them with the client that wrote them, or leave out the experiment's artifact_location",
        )
    return checked(found.path.strip("/"))


def to_uri(path: str) -> str:
    """Return the address of a path, as clients are told it."""
    return f"{SCHEME}:/{path}"


def split(path: str) -> tuple[str, str]:
    """Return folder and name of a path; the folder is empty at the top."""
    folder, _, name = path.rpartition("/")
    return folder, name
