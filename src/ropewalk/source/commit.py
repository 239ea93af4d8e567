"""The commit that a folder stands on, with what was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ropewalk.records import frozen

DIFF_BYTES_MAX = 16 << 20
_FORMAT = "%H%x00%an <%ae>%x00%B"


@frozen
class Commit:
    """Where in its history the code stands.

    Attributes:
        sha: the commit's 40 hex digits; empty without git or before the first commit.
        branch: name of the branch; empty when detached or without git.
        author: `Name <address>` of the commit.
        message: the commit's whole message.
        dirty: whether files differ from the commit, new ones that git does not ignore included.
        diff: `git diff --binary` of the tracked files against the commit, cut at 16 MiB.
    """

    sha: str
    branch: str
    author: str
    message: str
    dirty: bool
    diff: bytes


NOTHING = Commit(sha="", branch="", author="", message="", dirty=False, diff=b"")


def start_git(folder: Path, *words: str) -> subprocess.Popen[bytes] | None:
    """Start a git command that reads; None where there is no git."""
    try:
        # No lock files of ours beside the user's own git.
        return subprocess.Popen(
            ["git", "--no-optional-locks", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def output_of(process: subprocess.Popen[bytes] | None) -> bytes | None:
    """Wait for a git command; return what it printed, or None when it failed."""
    if process is None:
        return None
    printed = process.communicate()[0]
    return printed if process.returncode == 0 else None


def read_commit(folder: Path) -> Commit:
    """Return the commit of a folder inside a git work tree, and what the folder changed since; never fails."""
    status = start_git(folder, "status", "--porcelain=v1", "--branch", "-z", "--untracked-files=normal", "--", ".")
    log = start_git(folder, "log", "-1", f"--format={_FORMAT}")
    state, facts = output_of(status), output_of(log)
    if state is None:
        return NOTHING
    head, *changes = [part for part in state.decode(errors="surrogateescape").split("\0") if part]
    branch = _branch(head)
    if facts is None:
        return Commit(sha="", branch=branch, author="", message="", dirty=bool(changes), diff=b"")
    sha, author, message = facts.decode(errors="replace").split("\0", 2)
    diff = b""
    if changes:
        diff = output_of(start_git(folder, "diff", "--binary", "--no-ext-diff", "HEAD", "--", ".")) or b""
    return Commit(
        sha=sha,
        branch=branch,
        author=author,
        message=message.strip(),
        dirty=bool(changes),
        diff=diff[:DIFF_BYTES_MAX],
    )


def _branch(head: str) -> str:
    """Return the branch of git's line `## main...origin/main [ahead 1]` or `## No commits yet on main`."""
    name = head.removeprefix("## ").removeprefix("No commits yet on ").partition("...")[0]
    return "" if name.startswith("HEAD (") else name
