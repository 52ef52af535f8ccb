"""Who rejected a connection: what Linux 6.18 queued of ICMP errors on real sockets, one byte for one."""

import pytest

from checks.collect.reach import rejecting

BY_THE_HOST = "6f000000020303000000000000000000020000000a4d00150000000000000000"  # REJECT: icmp-port-unreachable
PROHIBITED = "7100000002030a000000000000000000020000000a4d00150000000000000000"  # REJECT: icmp-host-prohibited
NO_NEIGHBOUR = "71000000020301000000000000000000020000000a4d00010000000000000000"  # by this machine: nobody answers ARP
IPV6_PORT = "6f0000000301040000000000000000000a000000000000000000000000000000000000000000000100000000"
IPV6_ADMIN = "0d0000000301010000000000000000000a000000000000000000000000000000000000000000000100000000"
LOCAL = "6f000000010000000000000000000000" + "00" * 16  # the kernel's own error, without a sender


@pytest.mark.parametrize(
    ("error", "target", "sender"),
    [
        (BY_THE_HOST, "10.77.0.21", "10.77.0.21"),
        (PROHIBITED, "10.77.0.21", "10.77.0.21"),
        (PROHIBITED, "192.0.2.7", "10.77.0.21"),
        (IPV6_PORT, "::1", "::1"),
        (IPV6_ADMIN, "2001:db8::7", "::1"),
    ],
)
def test_a_reject_names_whose_it_is(error: str, target: str, sender: str) -> None:
    assert rejecting(bytes.fromhex(error), target) == sender


@pytest.mark.parametrize("error", [NO_NEIGHBOUR, LOCAL])
def test_that_nobody_is_there_is_no_reject(error: str) -> None:
    assert rejecting(bytes.fromhex(error), "10.77.0.250") is None


def test_what_a_host_says_of_itself_is_its_rule_whatever_it_says() -> None:
    """It is there to say that it is not: REJECT with icmp-host-unreachable."""
    assert rejecting(bytes.fromhex(NO_NEIGHBOUR), "10.77.0.1") == "10.77.0.1"
