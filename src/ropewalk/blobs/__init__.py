"""Bytes by digest: complete and verified, or not there."""
