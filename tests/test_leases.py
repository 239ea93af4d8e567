"""Whether the holder of a thing lives is seen at once on this host, and by the expiry on others."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ropewalk.leases import is_alive, process_start, take

NOW_US = 1_000_000_000


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def held_by(process):
    return replace(take(NOW_US, 1), pid=process.pid, born=process_start(process.pid))


def test_a_lease_of_this_process_is_alive_however_old_it_is():
    lease = take(NOW_US, 7, seconds=1)

    assert lease.fence == 7
    assert lease.expires_us == NOW_US + 1_000_000
    assert is_alive(lease, NOW_US + 10**15)


def test_a_killed_process_is_dead_before_its_lease_expires(child):
    lease = held_by(child)
    assert is_alive(lease, NOW_US)

    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not is_alive(lease, NOW_US), "a zombie runs nothing"
    child.wait()
    assert not is_alive(lease, NOW_US)


def test_another_process_with_the_same_pid_is_not_the_holder(child):
    assert not is_alive(replace(held_by(child), born=1), NOW_US)


def test_a_reboot_ends_every_lease():
    assert not is_alive(replace(take(NOW_US, 1), boot="another boot"), NOW_US)


def test_on_another_host_the_expiry_counts():
    lease = replace(take(NOW_US, 1, seconds=30), host="elsewhere")

    assert is_alive(lease, NOW_US + 29_000_000)
    assert not is_alive(lease, NOW_US + 30_000_000)


def test_a_process_whose_name_looks_like_a_state_is_read_right(tmp_path):
    program = tmp_path / "x) Z 1 ("
    program.symlink_to(sys.executable)
    process = subprocess.Popen([str(program), "-c", "input()"], stdin=subprocess.PIPE)

    assert process_start(process.pid) is not None

    process.kill()
    process.communicate()
