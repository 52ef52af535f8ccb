"""A container's own network, as /proc/PID/net has it."""

from checks.facts.inner_network import ROUTES_LIMIT, InnerRoute, inner_network

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
TEXT = (
    HEAD
    + "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    + "eth1\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    + "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + "*\t0000000A\t00000000\t0200\t0\t0\t0\t000000FF\t0\t0\t0\n"
    + "IP address       HW type     Flags       HW address            Mask     Device\n"
    + "172.17.0.1       0x1         0x2         02:42:f1:03:db:9b     *        eth0\n"
    + "172.17.0.9       0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    + "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
    + "1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
    + "164\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
)
"""As Linux 6.18 prints route, arp and igmp."""


def route(address: str) -> InnerRoute | None:
    found = inner_network(TEXT)
    assert found is not None
    return found.route_to(address)


def test_the_most_specific_route_counts_then_the_smaller_metric() -> None:
    assert [found.says for to in ("10.9.9.9", "172.17.0.9", "8.8.8.8") if (found := route(to))] == [
        "unreachable 10.0.0.0/8",
        "172.17.0.0/16 dev eth0",
        "default via 172.17.0.1 dev eth0",
    ]


def test_neighbours_are_those_that_answered_and_links_have_their_indexes() -> None:
    found = inner_network(TEXT)
    assert found is not None
    assert found.neighbours == {"172.17.0.1": "02:42:f1:03:db:9b"}
    assert found.links == {"lo": 1, "eth0": 164}


def test_no_route_is_a_fact_and_what_was_not_read_is_none() -> None:
    empty = inner_network(HEAD)
    assert empty is not None
    assert empty.route_to("10.77.0.1") is None
    assert inner_network("") is None
    assert inner_network(HEAD + TEXT.splitlines(keepends=True)[1] * ROUTES_LIMIT) is None
