"""Names for runs that nobody has named: two words from ropewalk and sea, and a number."""

from __future__ import annotations

import secrets

_HOW = (
    "able", "agile", "amber", "bold", "brave", "bright", "brisk", "calm", "candid", "clear", "coral", "crisp",
    "deft", "eager", "early", "even", "fair", "firm", "fleet", "fresh", "gentle", "grand", "hardy", "hearty",
    "jolly", "keen", "kind", "light", "lively", "loyal", "lucky", "mellow", "merry", "mild", "nimble", "noble",
    "plain", "proud", "quick", "quiet", "ready", "rosy", "sage", "salty", "sharp", "silver", "sleek", "smart",
    "snug", "sound", "spry", "stable", "steady", "stout", "sunny", "swift", "tidy", "true", "vivid", "warm",
    "whole", "wise", "worthy", "young",
)  # fmt: skip
_WHAT = (
    "anchor", "auk", "beacon", "bow", "brig", "buoy", "cable", "canvas", "capstan", "clove", "coil", "compass",
    "cove", "crew", "cutter", "davit", "deck", "dolphin", "eider", "fathom", "fjord", "gale", "galley",
    "gannet", "gull", "halyard", "harbor", "hawser", "helm", "hemp", "hitch", "hull", "jetty", "keel", "ketch",
    "knot", "lagoon", "lantern", "lark", "lugger", "mast", "mole", "oakum", "oar", "osprey", "pier", "pilot",
    "plover", "port", "prow", "quay", "reef", "rigging", "rudder", "sail", "schooner", "seal", "shoal", "skiff",
    "sloop", "spar", "splice", "strand", "tern", "tide", "tiller", "twine", "wake", "wharf", "yawl",
)  # fmt: skip


def random_name() -> str:
    """Return a name such as `steady-halyard-417`."""
    return f"{secrets.choice(_HOW)}-{secrets.choice(_WHAT)}-{secrets.randbelow(1000)}"
