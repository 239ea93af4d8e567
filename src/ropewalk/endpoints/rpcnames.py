"""Which model a message asks for: its first two fields, read before anybody knows who sends it."""

from __future__ import annotations

from ropewalk.errors import Invalid

NAME_BYTES_MAX = 256
_VARINT_BYTES_MAX = 10
_NAME, _VERSION, _LENGTH = 1, 2, 2


def named(body: bytes) -> tuple[str, str]:
    """Return `model_name` and `model_version` of a ModelInferRequest.

    Serializers write fields in the order of their numbers, so that these two come first; what comes behind is decoded
    when the gate has let the caller in.

    Raises:
        Invalid: the message does not begin as one.
    """
    found = {_NAME: "", _VERSION: ""}
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        if key >> 3 not in found:
            break
        length, at = _varint(body, at)
        if key & 7 != _LENGTH or length > NAME_BYTES_MAX or at + length > len(body):
            raise _malformed("a name is too long, or no text")
        try:
            found[key >> 3] = body[at : at + length].decode()
        except UnicodeDecodeError:
            raise _malformed("a name is no text in UTF-8") from None
        at += length
    return found[_NAME], found[_VERSION]


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a number and where the next thing begins."""
    value = 0
    for place, byte in enumerate(body[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & 127) << 7 * place
        if byte < 128:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at + place + 1
    raise _malformed("it ends in the middle of a number")


def _malformed(why: str) -> Invalid:
    return Invalid("request-malformed", "The message is no ModelInferRequest.", where="message", why=why)
