"""What is counted of a cluster's nodes: rooms, who takes them, and what no node could ever hold."""

from __future__ import annotations

import pytest

from ropewalk.compute.nodes import Nodes
from ropewalk.compute.pool import Needs
from ropewalk.errors import Invalid

SMALL = Needs(cpu=2.0, memory_bytes=1 << 30, gpu=0)
LARGE = Needs(cpu=4.0, memory_bytes=4 << 30, gpu=1)


def test_a_job_has_to_fit_one_node_however_much_there_is_on_all_of_them():
    nodes = Nodes({"a": SMALL, "b": SMALL})

    assert nodes.fits(Needs(cpu=1.0)) == 4
    assert nodes.fits(Needs(cpu=2.0)) == 2
    assert nodes.fits(Needs(cpu=1.5)) == 2
    assert nodes.fits(Needs(cpu=4.0)) == 2, "who wants more than any node has gets all of one"


def test_more_processors_than_there_are_are_counted_on_the_nodes_that_have_the_rest():
    nodes = Nodes({"a": SMALL, "b": LARGE})

    assert nodes.asked(Needs(cpu=64.0, memory_bytes=512 << 20)).cpu == 4.0
    assert Nodes({"a": SMALL}).asked(Needs(cpu=64.0)).cpu == 2.0
    assert nodes.fits(Needs(cpu=0.0, gpu=1)) == 1


def test_what_is_taken_counts_where_it_is_and_comes_back():
    nodes = Nodes({"a": SMALL, "b": LARGE})
    nodes.take("one", Needs(cpu=2.0))
    assert nodes.fits(Needs(cpu=2.0)) == 2, "it was counted on the emptier node"

    nodes.moved("one", "a")
    assert nodes.fits(Needs(cpu=1.0)) == 4
    nodes.moved("two", "a")
    nodes.give_back("one")
    nodes.give_back("two")

    assert nodes.fits(Needs(cpu=1.0)) == 6


def test_a_node_that_is_gone_takes_its_jobs_along():
    nodes = Nodes({"a": SMALL, "b": LARGE})
    nodes.take("one", Needs(cpu=4.0))

    nodes.renew({"a": SMALL})

    assert (nodes.fits(Needs(cpu=1.0)), nodes.cpus) == (2, 2)


@pytest.mark.parametrize("needs", [Needs(memory_bytes=8 << 30), Needs(gpu=2), Needs(cpu=0.0, gpu=2)])
def test_what_no_node_could_ever_hold_is_refused(needs):
    nodes = Nodes({"a": SMALL, "b": LARGE})

    with pytest.raises(Invalid) as caught:
        nodes.fits(needs)

    assert caught.value.code == "step-needs-too-much"
    assert "4096 MiB and 1" in caught.value.why


def test_a_cluster_without_nodes_holds_nothing():
    with pytest.raises(Invalid, match="more than any node"):
        Nodes({}).fits()
