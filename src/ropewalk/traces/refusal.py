"""Why a single span is not kept, while the others of its batch are."""

from __future__ import annotations


class SpanRefused(Exception):
    """A span cannot be kept; the text says why in words for its sender."""
