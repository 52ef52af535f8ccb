"""Below the rules and routes: neighbours, what a bridge forwards by, queues, and IPsec policies."""

from tests.lab.scenario import fault, healthy, typed

SCENARIOS = (
    fault(
        "neighbour-of-container-is-another-s",
        typed("ip neigh replace 172.17.0.2 lladdr 02:42:ac:11:00:99 dev docker0 nud permanent"),
        "container-neighbour-wrong",
    ),
    fault(
        "bridge-forwards-to-another-port",
        typed(
            "mac=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}' registry)\n"
            "ip link add other0 type veth peer name other1\n"
            "ip link set other0 master docker0 up; ip link set other1 up\n"
            "for port in /sys/class/net/docker0/brif/veth*; do\n"
            "  bridge fdb del $mac dev ${port##*/} master || true\n"
            "done\n"
            "bridge fdb replace $mac dev other0 master static"
        ),
        "container-neighbour-wrong",
    ),
    fault(
        "bridge-port-blocked",
        typed('for port in /sys/class/net/docker0/brif/*; do bridge link set dev "${port##*/}" state 0; done'),
        "bridge-down",
        outside="timed out|no route",
    ),
    fault(
        "container-s-interface-is-off",
        typed("nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n ip link set eth0 down"),
        "container-interface-down",
        outside="timed out|no route",
    ),
    fault(
        "container-s-interface-takes-the-least-there-is",
        typed("nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n ip link set eth0 mtu 68"),
        "mtu-black-hole",
    ),
    fault("bridge-does-not-ask-for-neighbours", typed("ip link set docker0 arp off"), "container-neighbour-wrong"),
    fault(
        "container-without-default-route",
        typed("nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n ip route del default"),
        "container-return-route-missing",
    ),
    fault(
        "container-whose-gateway-is-another-machine",
        typed(
            "inside() { nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n ip \"$@\"; }\n"
            "inside route replace default via 172.17.0.254\n"
            "inside neigh replace 172.17.0.254 lladdr 02:42:ac:11:00:fe dev eth0 nud permanent"
        ),
        "container-return-route-missing",
    ),
    fault(
        "container-takes-another-for-its-gateway",
        typed(
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n"
            " ip neigh replace 172.17.0.1 lladdr 02:42:ac:11:00:fe dev eth0 nud permanent"
        ),
        "container-neighbour-wrong",
    ),
    fault(
        "another-has-the-container-s-address",
        typed(
            "docker run -d --name other --restart always -e REGISTRY_HTTP_ADDR=:5001 registry:2 >/dev/null\n"
            "inside() { name=$1; shift; nsenter -t $(docker inspect -f '{{.State.Pid}}' $name) -n \"$@\"; }\n"
            "inside registry ip link set eth0 arp off   # it is slower to answer than the other one\n"
            "inside other ip address add 172.17.0.2/16 dev eth0\n"
            "ip neigh flush to 172.17.0.2"
        ),
        "container-neighbour-wrong",
        outside="refused",
    ),
    fault(
        "arp-of-containers-is-dropped",
        typed(
            "nft add table arp corp; nft 'add chain arp corp only { type filter hook input priority 0; }'\n"
            "nft add rule arp corp only iifname docker0 drop; ip neigh flush dev docker0"
        ),
        "container-neighbour-wrong",
        outside="timed out|no route",
    ),
    fault(
        "ipsec-policy-without-a-tunnel",
        typed(
            "ip xfrm policy add src 172.17.0.0/16 dst 10.77.0.1/32 dir out"
            " tmpl src $ADDRESS dst 10.77.0.250 proto esp mode tunnel"
        ),
        "ipsec-policy-drop",
    ),
    fault(
        "ipsec-policy-blocks-answers",
        typed("ip xfrm policy add src 172.17.0.0/16 dst 10.77.0.0/24 dir out action block"),
        "ipsec-policy-drop",
    ),
    fault(
        "queue-of-bridge-loses-all",
        typed("tc qdisc add dev docker0 root tbf rate 8bit burst 1 latency 1ms"),
        "queue-drops",
        outside="timed out|no route",
    ),
    fault(
        "queue-of-container-s-cable-loses-all",
        typed(
            "for port in /sys/class/net/docker0/brif/*; do\n"
            '  tc qdisc add dev "${port##*/}" root tbf rate 8bit burst 1 latency 1ms\n'
            "done"
        ),
        "queue-drops",
        outside="timed out|no route",
    ),
    healthy(
        "neighbour-of-another-is-permanent",
        typed("ip neigh replace 172.17.0.99 lladdr 02:42:ac:11:00:99 dev docker0 nud permanent"),
    ),
)
