"""Where the port is published, and whether what is named by the service's URL is that place."""

import socket
from dataclasses import replace

from checks.model import ServiceKind
from tests.lab.faults.serving import PUBLISHED, daemon, holding, listening, process, python, registry
from tests.lab.scenario import (
    IN_OFFICE,
    REGISTRY,
    Act,
    fault,
    healthy,
    office_address,
    one_after_the_other,
    typed,
)

LOOPBACK, GONE, NOT_PUBLISHED = "published-on-loopback", "published-address-gone", "port-not-published"
ANOTHER = "published-on-another-address"
INSIDE, NOT_LISTENING = "container-listens-on-loopback", "container-not-listening"
CONFLICT = "port-conflict"
OVERLAP, NO_WAY_BACK = "subnet-overlap", "return-route-missing"
ELSEWHERE, NOWHERE = "name-resolves-elsewhere", "name-does-not-resolve"

_OFFICE = "ip address add $OFFICE/32 dev host0\n"


_STOP, _START = typed("docker stop registry >/dev/null"), typed("docker start registry 2>/dev/null || true")


def taken_by(program: str) -> Act:
    """Another process gets the port while the container is down, which then cannot start again."""
    return one_after_the_other(_STOP, process(program), _START)


_CONNECTS = process(holding(connected=True), "ss -Htnp sport = :5000")
_BINDS = process(holding(connected=False), "ss -HtanpB sport = :5000")
_SEES_NO_BOUND_SOCKET = "its ss does not show a socket that is only bound"


_TAKEN_BY_CONTAINER = typed(
    "docker stop registry >/dev/null\n"
    "docker run -d --name other -p 5000:5001 registry:2 >/dev/null\n"
    "docker start registry 2>/dev/null || true"
)

_INTERNAL = typed("docker network create --internal inner >/dev/null")
_MACVLAN = typed("docker network create --driver macvlan --opt parent=host0 --subnet 10.77.3.0/24 lan >/dev/null")

SCENARIOS = (
    fault("published-on-loopback", registry("-p 127.0.0.1:5000:5000"), LOOPBACK, outside="refused", core=True),
    fault(
        "published-on-loopback-by-the-daemon-s-default",
        one_after_the_other(daemon(ip="127.0.0.1"), registry()),
        LOOPBACK,
        outside="refused",
    ),
    fault(
        "published-address-gone",
        one_after_the_other(
            typed(
                _OFFICE + "docker rm -f registry >/dev/null\n"
                "docker run -d --restart=always --name registry -p $OFFICE:5000:5000 registry:2 >/dev/null\n"
                "ip address del $OFFICE/32 dev host0"
            ),
        ),
        GONE,
        outside="refused",
    ),
    fault(
        "published-address-gone-and-asked-for",
        typed(
            "ip address add $OFFICE/24 dev host0; docker rm -f registry >/dev/null\n"
            "docker run -d --restart=always --name registry -p $OFFICE:5000:5000 registry:2 >/dev/null\n"
            "ip address del $OFFICE/24 dev host0"
        ),
        GONE,
        outside="timed out|no route",
        service=IN_OFFICE,
    ),
    fault(
        "published-on-another-address",
        one_after_the_other(typed(_OFFICE), lambda host: registry(f"-p {office_address(host)}:5000:5000")(host)),
        ANOTHER,
        outside="refused",
    ),
    fault("port-not-published", registry(""), NOT_PUBLISHED, outside="refused"),
    fault("port-only-exposed", registry("--expose 5000"), NOT_PUBLISHED, outside="refused"),
    fault("published-on-another-port", registry("-p 5001:5000"), NOT_PUBLISHED, outside="refused"),
    fault("published-on-a-random-port", registry("-P --expose 5000"), NOT_PUBLISHED, outside="refused"),
    fault("no-network-at-all", registry("--network none"), NOT_PUBLISHED, outside="refused"),
    fault(
        "published-on-an-internal-network",
        one_after_the_other(_INTERNAL, registry(f"{PUBLISHED} --network inner")),
        NOT_PUBLISHED,
        outside="refused",
    ),
    fault(
        "unpublished-on-an-internal-network",
        one_after_the_other(_INTERNAL, registry("--network inner")),
        NOT_PUBLISHED,
        outside="refused",
    ),
    fault(
        "published-on-a-macvlan",
        one_after_the_other(_MACVLAN, registry(f"{PUBLISHED} --network lan")),
        NOT_PUBLISHED,
        outside="refused",
    ),
    fault(
        "published-and-no-network-at-all",
        registry(f"{PUBLISHED} --network none"),
        NOT_PUBLISHED,
        outside="refused",
    ),
    fault(
        "container-listens-on-loopback",
        registry(f"{PUBLISHED} -e REGISTRY_HTTP_ADDR=127.0.0.1:5000"),
        INSIDE,
        outside="refused",
    ),
    fault(
        "container-listens-on-localhost",
        registry(f"{PUBLISHED} -e REGISTRY_HTTP_ADDR=localhost:5000"),
        INSIDE,
        outside="refused",
    ),
    fault(
        "program-listens-on-loopback",
        python(listening("127.0.0.1")),
        INSIDE,
        outside="refused",
        service=replace(REGISTRY, url="tcp://{address}:5000", kind=ServiceKind.TCP),
    ),
    fault(
        "host-network-listens-on-loopback",
        registry("--network host -e REGISTRY_HTTP_ADDR=127.0.0.1:5000"),
        INSIDE,
        outside="refused",
    ),
    fault(
        "container-listens-on-another-port",
        registry(f"{PUBLISHED} -e REGISTRY_HTTP_ADDR=:5001"),
        NOT_LISTENING,
        outside="refused",
    ),
    fault("port-taken-by-a-process", taken_by(listening()), CONFLICT, core=True),
    fault("port-taken-on-loopback", taken_by(listening("127.0.0.1")), CONFLICT, outside="refused"),
    fault("port-taken-by-a-connection", one_after_the_other(_STOP, _CONNECTS, _START), CONFLICT, outside="refused"),
    fault(
        "port-taken-by-a-connection-while-it-is-down",
        one_after_the_other(_STOP, _CONNECTS),
        CONFLICT,
        outside="refused",
    ),
    fault(
        "port-bound-by-a-process-that-does-not-listen",
        one_after_the_other(_STOP, _BINDS, _START),
        CONFLICT,
        outside="refused",
        not_on={"bullseye": _SEES_NO_BOUND_SOCKET, "bookworm": _SEES_NO_BOUND_SOCKET},
    ),
    fault("port-taken-by-another-container", _TAKEN_BY_CONTAINER, CONFLICT, outside="refused"),
    fault(
        "docker-network-swallows-the-client",
        typed(
            "ip address add $OFFICE/32 dev host0\n"
            "docker network create --subnet 10.77.1.0/24 --gateway 10.77.1.254 swallow >/dev/null"
        ),
        OVERLAP,
        service=IN_OFFICE,
    ),
    fault(
        "docker-network-of-a-wide-range-swallows-the-client",
        typed(
            "ip address add $OFFICE/32 dev host0\n"
            "docker network create --subnet 10.77.1.0/25 --gateway 10.77.1.126 swallow >/dev/null"
        ),
        OVERLAP,
        service=IN_OFFICE,
    ),
    fault(
        "no-route-back",
        typed(_OFFICE + "ip route del default"),
        NO_WAY_BACK,
        service=IN_OFFICE,
    ),
    fault(
        "route-back-is-a-black-hole",
        typed(_OFFICE + "ip route add blackhole 10.77.1.0/24"),
        NO_WAY_BACK,
        service=IN_OFFICE,
    ),
    fault(
        "route-back-by-a-dead-gateway",
        typed(_OFFICE + "ip route add 10.77.1.0/24 via 10.77.0.250"),
        NO_WAY_BACK,
        service=IN_OFFICE,
    ),
    fault(
        "no-route-back-for-containers",
        typed("ip route add unreachable default table 77; ip rule add from 172.16.0.0/12 lookup 77 priority 77"),
        NO_WAY_BACK,
    ),
    fault(
        "route-back-for-containers-by-a-dead-gateway",
        typed("ip route add default via 10.77.0.250 table 77; ip rule add iif docker0 lookup 77 priority 77"),
        NO_WAY_BACK,
        outside="timed out|no route",
    ),
    fault(
        "marked-answers-have-no-route",
        typed(
            "ip route add unreachable default table 77; ip rule add fwmark 7 lookup 77 priority 77\n"
            "iptables -t mangle -A PREROUTING -i docker0 -j MARK --set-mark 7"
        ),
        "return-route-missing",
    ),
    fault(
        "name-resolves-elsewhere",
        lambda host: host.sh(f"echo '{host.address} {socket.gethostname()}' >> /etc/hosts"),
        ELSEWHERE,
        outside="refused",
        service=replace(REGISTRY, url=f"http://{socket.gethostname()}:5000/v2/"),
    ),
    fault(
        "name-does-not-resolve",
        lambda _: None,
        NOWHERE,
        outside="no such name|no name server",
        service=replace(REGISTRY, url="http://depot.invalid:5000/v2/"),
    ),
    healthy("published-on-two-ports", registry(f"{PUBLISHED} -p 5001:5000")),
    healthy("second-address", typed("ip address add $OFFICE/24 dev host0"), service=IN_OFFICE),
    healthy("office-by-the-default-route", typed(_OFFICE), service=IN_OFFICE),
    healthy("container-under-another-name", typed("docker rename registry depot")),
    healthy(
        "another-container-holds-another-port",
        typed("docker run -d --name other -p 5001:5000 registry:2 >/dev/null; docker stop other >/dev/null"),
    ),
)
