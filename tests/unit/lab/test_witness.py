"""The lab's own witness: where a packet died, read from captures of real hosts."""

import pytest

from tests.lab.random_faults import Death
from tests.lab.witness import told

ASKED = "20:48:30.000001 host0 In  IP 10.77.0.1.40000 > 10.77.0.41.5000: Flags [S], seq 1, win 64240, length 0"
TO_BRIDGE = "20:48:30.000002 docker0 Out IP 10.77.0.1.40000 > 172.17.0.2.5000: Flags [S], seq 1, win 64240, length 0"
TO_PORT = "20:48:30.000003 veth1 Out IP 10.77.0.1.40000 > 172.17.0.2.5000: Flags [S], seq 1, win 64240, length 0"
FROM_PORT = "20:48:30.000004 veth1 P   IP 172.17.0.2.5000 > 10.77.0.1.40000: Flags [S.], seq 9, ack 2, length 0"
FROM_BRIDGE = "20:48:30.000005 docker0 In  IP 172.17.0.2.5000 > 10.77.0.1.40000: Flags [S.], seq 9, ack 2, length 0"
LEAVES = "20:48:30.000006 host0 Out IP 10.77.0.41.5000 > 10.77.0.1.40000: Flags [S.], seq 9, ack 2, length 0"
LEAVES_AS_IT_IS = "20:48:30.000006 host0 Out IP 172.17.0.2.5000 > 10.77.0.1.40000: Flags [S.], seq 9, ack 2, length 0"
RESET_BY_HOST = "20:48:30.000006 host0 Out IP 10.77.0.41.5000 > 10.77.0.1.40000: Flags [R.], seq 0, ack 2, length 0"
RESET_BY_CONTAINER = (
    "20:48:30.000004 veth1 P   IP 172.17.0.2.5000 > 10.77.0.1.40000: Flags [R.], seq 0, ack 2, length 0"
)
WHO_HAS = "20:48:30.000002 docker0 Out ARP, Request who-has 172.17.0.2 tell 172.17.0.1, length 28"
PROHIBITED = "20:48:30.000006 host0 Out IP 10.77.0.41 > 10.77.0.1: ICMP host 10.77.0.41 unreachable - admin prohibited"
PROHIBITED_INSIDE = "20:48:30.000004 veth1 P   IP 172.17.0.2 > 10.77.0.1: ICMP 172.17.0.2 tcp port 5000 unreachable"
ELSEWHERE = "20:48:30.000002 vpn0  Out IP 10.77.0.1.40000 > 172.17.0.2.5000: Flags [S], seq 1, win 64240, length 0"
REQUEST = "20:48:30.1 host0 In  IP 10.77.0.1.40000 > 10.77.0.41.5000: Flags [P.], seq 2:73, ack 10, length 71"
REQUEST_TO_PORT = "20:48:30.2 veth1 Out IP 10.77.0.1.40000 > 172.17.0.2.5000: Flags [P.], seq 2:73, ack 10, length 71"
MADE = (ASKED, TO_BRIDGE, TO_PORT, FROM_PORT, FROM_BRIDGE, LEAVES)


@pytest.mark.parametrize(
    ("lines", "death"),
    [
        ((ASKED,), Death.ON_ARRIVAL),
        ((ASKED, PROHIBITED), Death.REFUSED_BY_HOST),
        ((ASKED, RESET_BY_HOST), Death.REFUSED_BY_HOST),
        ((ASKED, LEAVES), Death.SERVED_BY_HOST),
        ((ASKED, WHO_HAS), Death.UNANSWERED_ARP),
        ((ASKED, ELSEWHERE), Death.ELSEWHERE),
        ((ASKED, TO_BRIDGE), Death.ON_BRIDGE),
        ((ASKED, TO_BRIDGE, TO_PORT), Death.IN_CONTAINER),
        ((ASKED, TO_BRIDGE, TO_PORT, PROHIBITED_INSIDE), Death.REFUSED_BY_CONTAINER),
        ((ASKED, TO_BRIDGE, TO_PORT, RESET_BY_CONTAINER, RESET_BY_HOST), Death.REFUSED_BY_CONTAINER),
        ((ASKED, TO_BRIDGE, TO_PORT, FROM_PORT), Death.ANSWER_ON_PORT),
        ((ASKED, TO_BRIDGE, TO_PORT, FROM_PORT, FROM_BRIDGE), Death.ANSWER_ON_BRIDGE),
        ((ASKED, TO_BRIDGE, TO_PORT, FROM_PORT, FROM_BRIDGE, LEAVES_AS_IT_IS), Death.ANSWER_GARBLED),
        ((*MADE, REQUEST, REQUEST_TO_PORT), Death.IN_CONTAINER),
    ],
)
def test_the_last_place_at_which_it_was_seen_tells_where_it_died(lines: tuple[str, ...], death: Death) -> None:
    assert told(lines) is death


def test_what_never_came_died_nowhere_here() -> None:
    assert told((WHO_HAS,)) is None
