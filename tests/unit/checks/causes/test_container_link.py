"""The host's link to the container: what it sends to, held against what Docker gave out; and the container's routes."""

import pytest

from checks.facts.path import PATH
from checks.model import Confidence, Vantage
from tests.looks import REFUSED, TIMED_OUT, changed, look
from tests.unit.checks.container_looks import causes, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, reported

BOTH = (BOOKWORM, TRIXIE)
WRONG, NO_ROUTE = "container-neighbour-wrong", "container-return-route-missing"


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "cause", "says"),
    [
        ("neighbour-of-container-is-another-s", WRONG, "172.17.0.2 dev docker0 lladdr 02:42:ac:11:00:99 PERMANENT"),
        ("neighbour-of-container-is-another-s", WRONG, "sudo ip neigh del 172.17.0.2 dev docker0"),
        ("another-has-the-container-s-address", WRONG, "which container other has"),
        ("bridge-forwards-to-another-port", WRONG, "02:42:ac:11:00:02 is behind other0"),
        ("bridge-does-not-ask-for-neighbours", WRONG, "sudo ip link set docker0 arp on"),
        ("arp-of-containers-is-dropped", WRONG, "INCOMPLETE: nobody answers for it"),
        ("arp-of-containers-is-dropped", WRONG, "nft table arp corp, chain only: iifname docker0 drop"),
        ("container-takes-another-for-its-gateway", WRONG, "container registry takes 02:42:ac:11:00:fe for 172.17.0.1"),
        ("bridge-port-blocked", "bridge-down", "state disabled"),
        (
            "container-without-default-route",
            NO_ROUTE,
            "container registry, asked for the way to 10.77.0.1, knows no way to it",
        ),
        ("container-whose-gateway-is-another-machine", NO_ROUTE, "default via 172.17.0.254 dev eth0"),
    ],
)
def test_where_the_last_yard_is_wrong_is_proven_and_shown(platform: str, state: str, cause: str, says: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert says in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_hardware_address_of_which_docker_knows_nothing_is_no_fault_where_the_container_answers(
    platform: str,
) -> None:
    """A program may change the address of its own interface."""
    seen = changed(recorded(platform, "neighbour-of-container-is-another-s"), "path", "=> 000", "=> 200")
    assert WRONG not in causes(seen)
    ruled_out = {finding.cause: finding.why for finding in reported(seen).diagnosis.ruled_out}
    assert ruled_out[WRONG] == "the host reaches container registry at 172.17.0.2"


@pytest.mark.parametrize("platform", BOTH)
def test_routes_of_a_container_that_were_not_read_are_not_taken_for_none(platform: str) -> None:
    seen = changed(recorded(platform, "container-without-default-route"), "path", "Iface\t", "Nothing\t")
    not_told = {finding.cause: finding.why for finding in reported(seen).diagnosis.not_told}
    assert causes(seen) == ("undetermined",)
    assert "the routes of container registry could not be read" in not_told[NO_ROUTE]


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("outside", [TIMED_OUT, REFUSED], ids=["timed-out", "refused"])
def test_a_whole_link_is_ruled_out_by_what_it_is(platform: str, outside: object) -> None:
    seen = look(platform, "neighbour-of-another-is-permanent", outside)  # type: ignore[arg-type]  # a Reading
    assert seen.facts is not None
    assert not isinstance(seen.facts.get(PATH), str)
    ruled_out = {finding.cause: finding.why for finding in reported(seen).diagnosis.ruled_out}
    assert ruled_out[WRONG] == "the host reaches container registry at 172.17.0.2"
    assert ruled_out[NO_ROUTE] == "container registry answers by the host, 172.17.0.1: default via 172.17.0.1 dev eth0"
    assert seen.answers_at(Vantage.CONTAINER)


@pytest.mark.parametrize("platform", BOTH)
def test_a_container_that_takes_too_few_bytes_a_packet_is_not_called_unhealthy(platform: str) -> None:
    """Its MTU, 68, is not to be seen from the host, but its MSS is: Linux says no less than 256."""
    seen = recorded(platform, "container-s-interface-takes-the-least-there-is")
    assert causes(seen) == ("mtu-black-hole",)
    assert root(seen).confidence is Confidence.LIKELY
    assert "the container takes 256 bytes a packet" in told(seen)
    assert "nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n ip link" in told(seen)
