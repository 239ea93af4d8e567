"""Landlock by system call: which files this process may still read or write, no TCP, no signals to others."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_ALL_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_SINCE, _SCOPE_SINCE = 4, 6


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the kernel's Landlock version, 0 where it has none."""
    found = ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, 0, _VERSION_FLAG)
    return max(int(found), 0)


def restrict(read: Iterable[Path], write: Iterable[Path]) -> str:
    """Bind this thread, and all it starts, to the paths; return why it could not be done, or nothing.

    Args:
        read: files and folders that may be read; those that are not there are passed over.
        write: folders in which anything may be done except starting programs.
    """
    number = version()
    if number == 0:
        return "the kernel has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    rights = _ALL_FILE_RIGHTS[min(number, 5)]
    rules = _Rules(rights, 3 if number >= _NET_SINCE else 0, 3 if number >= _SCOPE_SINCE else 0)
    size = 8 if number < _NET_SINCE else 16 if number < _SCOPE_SINCE else 24
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return f"landlock: {os.strerror(ctypes.get_errno())}"
    try:
        execute = 1
        for path in read:
            _allow(libc, ruleset, path, _READ_FILE | _READ_FOLDER)
        for path in write:
            _allow(libc, ruleset, path, rights & ~execute)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.syscall(_RESTRICT, ruleset, 0) != 0:
            return f"landlock: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(ruleset)
    return ""


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
            libc.syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(_Beneath(rights, handle)), 0)
        finally:
            os.close(handle)
