"""Which release answers a key: a sticky split over ten thousand buckets, decided purely."""

from __future__ import annotations

from hashlib import blake2b

from ropewalk.releases.traffic import WHOLE_BP, Traffic


def bucket_of(salt: str, key: str) -> int:
    """Return the bucket 0 to 9,999 of a key: the first 8 bytes of BLAKE2b over salt, a zero byte and key."""
    digest = blake2b(salt.encode() + b"\0" + key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % WHOLE_BP


def role_of(traffic: Traffic, key: str) -> str:
    """Return `canary` or `champion` for a key: a key that has met the canary meets it at every higher weight."""
    if traffic.canary_weight_bp and bucket_of(traffic.salt, key) < traffic.canary_weight_bp:
        return "canary"
    return "champion"
