"""A seccomp filter as BPF: no new programs, processes or sockets, no signals to others, no writes to files."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from ropewalk.models.syscalls import AUDIT_ARCH, denied, others, writers

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_CLONE_THREAD = 0x00010000
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NEWEST_CALL = 462  # calls after Linux 6.9, and all of x32, do not exist for a confined process
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _ALL_THREADS, _LOG = 1, 1, 2


def _line(code: int, true: int, false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _no(code: int) -> bytes:
    return _line(_RETURN, 0, 0, _ERRNO | code)


def program(machine: str, pid: int, *, read_only: bool) -> bytes:
    """Return the filter: a list of 8-byte BPF instructions.

    Args:
        machine: `x86_64` or `aarch64`.
        pid: the process itself, which may signal its own threads (`abort` does).
        read_only: also deny every open for writing and every change of the tree of files.

    Raises:
        KeyError: the machine is another one.
    """
    calls = others(machine)
    refuse = dict(denied(machine))
    missing = {"clone3": calls["clone3"]}
    if read_only:
        refuse |= writers(machine)
        missing["openat2"] = calls["openat2"]
    lines = [
        _line(_LOAD, 0, 0, _ARCH),
        _line(_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        _line(_RETURN, 0, 0, _KILL_PROCESS),
        _line(_LOAD, 0, 0, _NUMBER),
        _line(_GREATER, 0, 1, _NEWEST_CALL),
        _no(errno.ENOSYS),
    ]
    for number in refuse.values():
        lines += [_line(_EQUAL, 0, 1, number), _no(errno.EPERM)]
    for number in missing.values():
        lines += [_line(_EQUAL, 0, 1, number), _no(errno.ENOSYS)]
    lines += _judge(calls["clone"], 0, _line(_ANY_BIT, 0, 1, _CLONE_THREAD), yes=None)
    lines += _judge(calls["tgkill"], 0, _line(_EQUAL, 0, 1, pid), yes=None)
    lines += _judge(calls["prlimit64"], 0, _line(_EQUAL, 0, 1, 0), yes=None)
    if read_only:
        for name, argument in (("open", 1), ("openat", 2)):
            if name in calls:
                lines += _judge(calls[name], argument, _line(_ANY_BIT, 0, 1, _WRITE_FLAGS), yes=errno.EACCES)
    lines.append(_line(_RETURN, 0, 0, _ALLOW))
    return b"".join(lines)


def _judge(number: int, argument: int, test: bytes, *, yes: int | None) -> list[bytes]:
    """Return what looks at the low half of an argument: `yes` is the error when the test holds, None allows then."""
    good = _line(_RETURN, 0, 0, _ALLOW)
    answers = [good, _no(errno.EPERM)] if yes is None else [_no(yes), good]
    return [_line(_EQUAL, 0, 4, number), _line(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), test, *answers]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def forbid_rings(machine: str) -> None:
    """Deny io_uring ahead of the other walls, so that an event loop that is made in between does without it.

    Where no filter is written for the machine nothing happens, as nothing will be denied later on either.
    """
    if machine not in AUDIT_ARCH:
        return
    lines = [
        _line(_LOAD, 0, 0, _ARCH),
        _line(_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        _line(_RETURN, 0, 0, _KILL_PROCESS),
        _line(_LOAD, 0, 0, _NUMBER),
    ]
    for name, number in denied(machine).items():
        if name.startswith("io_uring"):
            lines += [_line(_EQUAL, 0, 1, number), _no(errno.ENOSYS)]
    _bind(machine, b"".join([*lines, _line(_RETURN, 0, 0, _ALLOW)]))


def install(machine: str, *, read_only: bool) -> str:
    """Bind all threads of this process to the filter, for ever; return why it could not be done, or nothing."""
    if machine not in AUDIT_ARCH:
        return f"no filter is written for {machine}"
    return _bind(machine, program(machine, os.getpid(), read_only=read_only))


def _bind(machine: str, code: bytes) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return f"no_new_privs: {os.strerror(ctypes.get_errno())}"
    buffer = ctypes.create_string_buffer(code, len(code))
    wanted = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    call = others(machine)["seccomp"]
    if libc.syscall(call, _SET_MODE_FILTER, _ALL_THREADS | _LOG, ctypes.byref(wanted)) != 0:
        return f"seccomp: {os.strerror(ctypes.get_errno())}"
    return ""
