"""What says that it runs while its process is gone is declared interrupted."""

from __future__ import annotations

import subprocess
import sys

from observations.captured import make_release
from ropewalk.leases import Lease, boot_id
from ropewalk.loops.rescue import Rescue
from ropewalk.releases import release as releases
from ropewalk.site import Site


def test_a_release_whose_walker_died_is_interrupted_and_a_living_one_is_not(site: Site) -> None:
    living = make_release(site)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    lost = make_release(site)

    def die(tx) -> None:
        held = releases.get(tx, lost)
        dead = Lease(host=held.lease.host, boot=boot_id(), pid=child.pid, born=1, expires_us=1 << 60, fence=2)
        releases.hold(tx, held, dead)

    site.db.write(die)
    loop = Rescue(site).loop(seconds=3600)
    loop.start()
    assert loop.wait_turns(1, seconds=10)
    loop.stop()

    with site.db.read() as reader:
        states = [releases.get(reader, one).state for one in (living, lost)]
    assert loop.problem is None
    assert states == ["walking", "interrupted"]
