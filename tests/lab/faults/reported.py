"""Faults that people reported in public, rebuilt on hosts, and where it was told. ../REPORTED.md is the table."""

from tests.lab import certificates
from tests.lab.command import wait_for
from tests.lab.faults.firewalld import start_firewalld
from tests.lab.faults.registries import configured
from tests.lab.faults.serving import PUBLISHED, PYTHON, daemon, on_host_network, python, registry
from tests.lab.host import LabHost
from tests.lab.scenario import (
    IN_OFFICE,
    ON_TLS,
    UNDETERMINED,
    Act,
    Scenario,
    Source,
    fault,
    office_address,
    one_after_the_other,
    typed,
    write,
)

NO_WAY_BACK, LEFT, TWICE = "container-return-route-missing", "shared-network-lost", "hardware-address-twice"
NOT_LISTENING, UNHEALTHY, RESTARTING = "container-not-listening", "container-unhealthy", "container-restarting"
START_FAILED, STOPPED, MISSING, GONE = (
    "container-start-failed",
    "container-stopped",
    "container-missing",
    "published-address-gone",
)
NOT_PUBLISHED, OVERLAP, DOWN = "port-not-published", "subnet-overlap", "dockerd-down"
USER, FOREIGN, RICH, BYPASSED = (
    "docker-user-drop",
    "foreign-firewall-drop",
    "firewalld-rich-rule",
    "docker-nat-rule-bypassed",
)

_INSIDE = "nsenter -t $(docker inspect -f '{{.State.Pid}}' registry) -n "
_SLEEPING = "import time\ntime.sleep(3600)\n"


def reported(
    name: str, act: Act, *causes: str, at: str, says: str, outside: str = "timed out", **more: object
) -> Scenario:
    return fault(name, act, *causes, outside=outside, source=Source(at, says), **more)


def served(host: LabHost) -> None:
    wait_for(f"{host.name}: it serves", lambda: host.outside() == "200", timeout=20)


def sharing_a_network_that_was_started_anew(host: LabHost) -> None:
    """The registry is in the network of another container, which alone publishes, and was restarted since."""
    write(host, "/etc/app.py", _SLEEPING)
    host.sh("docker rm -f registry")
    sleeps = f"{PYTHON} --entrypoint /usr/bin/python3 registry:2 /app.py"
    host.sh(f"docker run -d --restart=always --name vpn {PUBLISHED} {sleeps}")
    registry("--network container:vpn")(host)
    served(host)
    host.sh("sleep 1; docker restart -t 1 vpn")


def two_with_one_hardware_address(host: LabHost) -> None:
    """Another container on the bridge has it as well, and talks all the time."""
    mac = "--mac-address 02:42:ac:11:00:aa"
    talks = (
        "import socket, time\n"
        "out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "while True:\n"
        "    out.sendto(b'x', ('172.17.0.1', 9))\n"
        "    time.sleep(0.002)\n"
    )
    registry(f"{PUBLISHED} {mac}")(host)
    write(host, "/etc/app.py", talks)
    host.sh(f"docker run -d --name twin {mac} {PYTHON} --entrypoint /usr/bin/python3 registry:2 /app.py")


def out_of_files(host: LabHost) -> None:
    """Clients that never finish hold all the files that the registry may open: it accepts nobody any more."""
    holds = (
        "import socket, sys, time\n"
        "held = []\n"
        "while len(held) < 40:\n"
        "    try:\n"
        "        held.append(socket.create_connection((sys.argv[1], 5000), 2))\n"
        "        held[-1].send(b'G')\n"
        "    except OSError:\n"
        "        time.sleep(0.1)\n"
        "time.sleep(3600)\n"
    )
    registry(f"{PUBLISHED} --ulimit nofile=24:24")(host)
    served(host)
    write(host, "/etc/app.py", holds)
    host.run("systemd-run", "--quiet", "--unit=app.service", "/usr/bin/python3", "/etc/app.py", "172.17.0.2")


_ACCEPTS_NOBODY = (
    "import socket, time\n"
    "server = socket.socket()\n"
    "server.bind(('', 5000))\n"
    "server.listen(1)\n"
    "held = [socket.socket() for _ in range(8)]\n"
    "for one in held:\n"
    "    one.setblocking(False)\n"
    "    one.connect_ex(('127.0.0.1', 5000))\n"
    "time.sleep(3600)\n"
)
_FOR_IPV6_ALONE = (
    "import socket\n"
    "server = socket.socket(socket.AF_INET6)\n"
    "server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n"
    "server.bind(('::', 5000))\n"
    "server.listen()\n"
    "while True:\n"
    "    server.accept()[0].close()\n"
)


def address_late(host: LabHost) -> None:
    """The container is started while the address of its port is not there yet."""
    address = office_address(host)
    host.sh(f"ip address add {address}/24 dev host0")
    registry(f"-p {address}:5000:5000")(host)
    host.sh(f"docker stop registry; ip address del {address}/24 dev host0; docker start registry", check=False)


def configured_dockerd(settings: str, then: str = "") -> Act:
    """Write daemon.json, restart dockerd whatever comes of it, and go on."""
    return typed(
        f"mkdir -p /etc/docker; echo '{settings}' > /etc/docker/daemon.json\n"
        f"systemctl restart docker.service || true\n{then}"
    )


def runtime_gone(host: LabHost) -> None:
    daemon(runtimes={"other": {"path": "/usr/sbin/runc"}})(host)
    registry(f"{PUBLISHED} --runtime other")(host)
    configured_dockerd("{}", "sleep 2; docker start registry 2>/dev/null || true")(host)


def may_not_have_a_low_port(host: LabHost) -> None:
    """It ends at once, and Docker starts it again and again."""
    low = "--sysctl net.ipv4.ip_unprivileged_port_start=1024 --cap-drop ALL -e REGISTRY_HTTP_ADDR=:443"
    registry(f"-p 5000:443 --user 1000 {low}")(host)
    restarts = "docker inspect -f '{{.RestartCount}}' registry"
    wait_for(f"{host.name}: it restarts", lambda: int(host.sh(restarts)) >= 4, timeout=20)  # a loop


def swarm(options: str) -> Act:
    """The registry as a service of a swarm of one host."""

    def act(host: LabHost) -> None:
        host.sh(f"docker rm -f registry; docker swarm init --advertise-addr {host.address}")
        host.sh(f"docker service create --quiet --detach --name registry {options} registry:2")

    return act


def with_a_routing_mesh(host: LabHost) -> None:
    swarm("--publish 5000:5000")(host)
    wait_for(f"{host.name}: a task runs", lambda: "registry.1" in host.sh("docker ps"), timeout=30)
    host.sh("sleep 3")


_IN_THE_SWARM = "--publish mode=host,published=5000,target=5000"


def behind_firewalld_with(*rules: str) -> Act:
    """The registry on the host's network, its port open in firewalld, and rich rules."""

    def act(host: LabHost) -> None:
        start_firewalld(host, "nftables")
        on_host_network(host)
        host.sh("firewall-cmd --quiet --add-port=5000/tcp; firewall-cmd --quiet --permanent --add-port=5000/tcp")
        for rule in rules:
            host.run("firewall-cmd", "--quiet", f"--add-rich-rule={rule}")

    return act


_FROM_THE_LAN = "rule family=ipv4 source address=10.77.0.0/24 port port=5000 protocol=tcp"


def on_tls_as(context: str) -> Act:
    """A TLS server in python, whose context is set up by these lines."""

    def act(host: LabHost) -> None:
        key, certificate = certificates.issue(host.address)
        write(host, "/etc/tls/key.pem", key)
        write(host, "/etc/tls/certificate.pem", certificate)
        serves = (
            "import http.server, ssl\n"
            "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
            "context.load_cert_chain('/etc/tls/certificate.pem', '/etc/tls/key.pem')\n"
            f"{context}\n"
            "server = http.server.ThreadingHTTPServer(('', 5000), http.server.BaseHTTPRequestHandler)\n"
            "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
            "server.serve_forever()\n"
        )
        python(serves, f"{PUBLISHED} -v /etc/tls:/etc/tls:ro -v /etc/ssl:/etc/ssl:ro")(host)

    return act


def asking_for_a_client_s_certificate(host: LabHost) -> None:
    key, certificate = certificates.issue(host.address)
    write(host, "/etc/tls/key.pem", key)
    write(host, "/etc/tls/certificate.pem", certificate)
    tls = "{certificate: /etc/tls/certificate.pem, key: /etc/tls/key.pem, clientcas: [/etc/tls/certificate.pem]}"
    config = (
        "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\n"
        f'http: {{addr: ":5000", tls: {tls}}}\n'
    )
    configured(config, "-v /etc/tls:/etc/tls:ro")(host)


_UFW_DOCKER = """
iptables -N ufw-user-forward; iptables -A ufw-user-forward -p tcp --dport 5000 -j ACCEPT
iptables -F DOCKER-USER
iptables -A DOCKER-USER -j ufw-user-forward
iptables -A DOCKER-USER -s 172.16.0.0/12 -j RETURN
iptables -A DOCKER-USER -s 192.168.0.0/16 -j RETURN
iptables -A DOCKER-USER -p tcp --tcp-flags FIN,SYN,RST,ACK SYN -d 172.16.0.0/12 -j DROP
iptables -A DOCKER-USER -j RETURN
"""
_CROWDSEC = """
nft add table ip crowdsec
nft 'add set ip crowdsec crowdsec-blacklists { type ipv4_addr; flags timeout; }'
nft 'add chain ip crowdsec crowdsec-chain-forward { type filter hook forward priority -10; }'
nft "add element ip crowdsec crowdsec-blacklists { $CLIENT timeout 4h }"
nft 'add rule ip crowdsec crowdsec-chain-forward ip saddr @crowdsec-blacklists tcp dport 5000 drop'
"""
_MACVLAN = """
ip address add $OFFICE/32 dev host0; ip link add lan0 type veth peer name far; ip link set lan0 up; ip link set far up
docker network create -d macvlan -o parent=lan0 --subnet 10.77.1.0/24 --gateway 10.77.1.254 lan >/dev/null
docker network connect lan registry
"""
_TWO_BRIDGES = f"""
docker network create --subnet 172.30.0.0/24 other >/dev/null; docker network connect other registry
{_INSIDE} ip route replace default via 172.30.0.1
for file in /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/br-*/rp_filter; do echo 1 > $file; done
"""

SCENARIOS = (
    reported(
        "kill-switch-in-the-container-s-network",
        typed(_INSIDE + "iptables -A INPUT -i eth0 ! -s 172.17.0.0/16 -j DROP"),
        UNDETERMINED,
        at="https://github.com/wfg/docker-openvpn-client/issues/77",
        says="ports published by a VPN container with a kill switch answer other containers, and nobody in the LAN",
    ),
    reported(
        "vpn-in-the-container-takes-its-answers",
        typed(f"{_INSIDE} ip route add 0.0.0.0/1 dev lo; {_INSIDE} ip route add 128.0.0.0/1 dev lo"),
        NO_WAY_BACK,
        at="https://github.com/dperson/openvpn-client/issues/287",
        says="behind a VPN container the LAN reached nothing until a route back to the LAN was configured",
    ),
    reported(
        "container-s-default-route-by-nobody",
        typed(_INSIDE + "ip route replace default via 172.17.0.250"),
        NO_WAY_BACK,
        at="https://github.com/moby/libnetwork/issues/2406",
        says="an internal macvlan that is connected gives the container a default gateway that does not exist",
    ),
    reported(
        "container-also-on-a-macvlan",
        typed(_MACVLAN),
        NO_WAY_BACK,
        at="https://github.com/docker/roadmap/issues/658",
        says="after a restart another of a container's networks was the default one, and what had worked did not",
        service=IN_OFFICE,
    ),
    reported(
        "container-on-two-bridges-and-a-strict-filter",
        typed(_TWO_BRIDGES),
        NO_WAY_BACK,
        at="https://dustymabe.com/2016/05/25/non-deterministic-docker-networking-and-source-based-ip-routing/",
        says="with two networks the answers may leave by the other bridge, where the reverse path filter drops them",
    ),
    reported(
        "network-shared-with-a-container-that-was-restarted",
        sharing_a_network_that_was_started_anew,
        LEFT,
        outside="refused",
        at="https://github.com/passteque/gluetun/issues/641",
        says="after a restart of the VPN container whatever shares its network is refused until it is restarted too",
    ),
    reported(
        "listens-for-ipv6-alone",
        python(_FOR_IPV6_ALONE),
        NOT_LISTENING,
        outside="refused",
        at="https://github.com/bgauduch/call-of-duty-2-docker-server/issues/21",
        says="the program in the container takes connections by IPv6 only, and nobody comes in by IPv4",
    ),
    reported(
        "published-to-a-port-where-nobody-listens",
        registry("-p 5000:80"),
        NOT_LISTENING,
        outside="refused",
        at="https://github.com/Mrigank11/embetacloud/issues/61",
        says="-p 80:80 does not work for a program that listens on 3000: -p 80:3000 does",
    ),
    reported(
        "out-of-files",
        out_of_files,
        UNHEALTHY,
        at="https://github.com/portainer/portainer/issues/1991",
        says="a container's log says accept4: too many open files; retrying, and it answers nobody",
    ),
    reported(
        "accepts-nobody",
        python(_ACCEPTS_NOBODY),
        UNHEALTHY,
        at="https://github.com/docker/compose/issues/5989",
        says="a daemon in a container accepts nobody: connections stay half open until the container is made anew",
    ),
    reported(
        "two-containers-with-one-hardware-address",
        two_with_one_hardware_address,
        TWICE,
        outside="timed out|no route",
        at="https://github.com/moby/moby/issues/47146",
        says="Docker 25.0 gave two containers one MAC address; both are reached only now and then",
    ),
    reported(
        "disconnected-from-its-network",
        typed("docker network disconnect bridge registry"),
        NOT_PUBLISHED,
        outside="refused",
        at="https://github.com/moby/moby/issues/51758",
        says="after a failed start at boot containers run with no network at all, and their ports are not there",
    ),
    reported(
        "address-not-there-when-it-started",
        address_late,
        GONE,
        outside="timed out|no route",
        service=IN_OFFICE,
        at="https://github.com/moby/moby/issues/39559",
        says="at boot the address of the port is not there yet: cannot assign requested address, and no second try",
    ),
    reported(
        "address-there-again-and-not-started",
        one_after_the_other(address_late, typed("ip address add $OFFICE/24 dev host0")),
        START_FAILED,
        outside="refused",
        service=IN_OFFICE,
        at="https://github.com/moby/moby/issues/10749",
        says="a container with restart: always and a port on a virtual address stays down after a boot",
    ),
    reported(
        "docker-proxy-not-installed",
        configured_dockerd(
            '{"userland-proxy-path": "/usr/libexec/docker/docker-proxy"}',
            "sleep 2; docker start registry 2>/dev/null || true",
        ),
        START_FAILED,
        outside="refused",
        at="https://github.com/moby/moby/issues/29057",
        says="no container with a port starts, because the program docker-proxy is not where dockerd looks for it",
        not_on={"trixie": "its dockerd does not start at all then", "sid": "its dockerd does not start at all then"},
    ),
    reported(
        "runtime-gone",
        runtime_gone,
        START_FAILED,
        outside="refused",
        at="https://github.com/NVIDIA/nvidia-container-toolkit/issues/150",
        says="unknown or invalid runtime name: nvidia, after daemon.json was edited",
    ),
    reported(
        "default-runtime-missing",
        configured_dockerd('{"default-runtime": "nvidia"}', "sleep 1"),
        DOWN,
        outside="refused",
        at="https://github.com/NVIDIA/nvidia-docker/issues/1002",
        says="dockerd does not start any more once the default runtime in daemon.json is one that is not there",
    ),
    reported(
        "containers-kept-elsewhere",
        configured_dockerd('{"data-root": "/srv/docker"}'),
        MISSING,
        outside="refused",
        at="https://github.com/docker/for-win/issues/4344",
        says="after an update all containers were gone: another Docker, from a snap, kept its own elsewhere",
    ),
    reported(
        "containerd-stopped",
        typed("docker stop registry >/dev/null; systemctl stop containerd; docker start registry 2>/dev/null || true"),
        START_FAILED,
        outside="refused",
        at="https://github.com/moby/moby/issues/36117",
        says="containers neither start nor stop: connection refused by the socket of containerd",
    ),
    reported(
        "dockerd-waits-for-its-socket",
        typed("systemctl disable --quiet docker.service; systemctl stop docker.service"),
        DOWN,
        outside="refused",
        at="https://github.com/docker/for-linux/issues/1037",
        says="after a boot no container runs until somebody types a docker command: only the socket is enabled",
    ),
    reported(
        "docker0-in-the-clients-network",
        one_after_the_other(typed("ip address add $OFFICE/32 dev host0"), daemon(bip="10.77.1.129/24")),
        OVERLAP,
        service=IN_OFFICE,
        at="https://github.com/docker/for-win/issues/58",
        says="the default bridge has addresses of the company's network, and nothing is exchanged with that",
    ),
    reported(
        "ufw-docker-lets-the-host-s-port-in",
        one_after_the_other(registry("-p 5000:5001 -e REGISTRY_HTTP_ADDR=:5001"), typed(_UFW_DOCKER)),
        USER,
        at="https://github.com/chaifeng/ufw-docker/issues/69",
        says="ufw route allow with the published port does nothing: behind DNAT it is the container's port that counts",
    ),
    reported(
        "docker-user-stops-the-answers",
        typed("iptables -I DOCKER-USER -i docker0 ! -o docker0 -j DROP"),
        USER,
        at="https://github.com/canonical/lxd/pull/11140",
        says="DOCKER-USER needs a rule for returning traffic, or the answers are dropped with what it should stop",
    ),
    reported(
        "docker-user-knows-the-nic-by-its-old-name",
        typed(
            "iptables -F DOCKER-USER\n"
            "iptables -A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "iptables -A DOCKER-USER -i eth0 -s 10.77.0.0/24 -p tcp -m conntrack --ctorigdstport 5000 -j ACCEPT\n"
            "iptables -A DOCKER-USER ! -i docker0 -j DROP"
        ),
        USER,
        at="https://github.com/moby/moby/issues/4737",
        says="a recipe for DOCKER-USER names eth0 and drops all else: where the NIC has another name it drops all",
    ),
    reported(
        "banned-by-crowdsec",
        typed(_CROWDSEC),
        FOREIGN,
        at="https://github.com/crowdsecurity/hub/issues/417",
        says="an address of the own LAN was banned, and HTTP and SSH came back with cscli decisions delete",
    ),
    reported(
        "rich-rule-rejects",
        behind_firewalld_with(f"{_FROM_THE_LAN} reject"),
        RICH,
        outside="refused|no route",
        at="https://oneuptime.com/blog/post/2026-03-04-firewalld-rule-priorities-traffic-flow-rhel-9/view",
        says="a rich rule that rejects a source goes before the zone's open ports and services",
    ),
    reported(
        "rich-rule-drops",
        behind_firewalld_with(f"{_FROM_THE_LAN} drop"),
        RICH,
        at="https://github.com/moby/moby/issues/43207",
        says="a rich rule that drops a port of the host; what a container publishes by NAT it does not touch",
    ),
    reported(
        "kubernetes-has-the-port",
        typed(
            "iptables -t nat -N CNI-HOSTPORT-DNAT; iptables -t nat -I PREROUTING -j CNI-HOSTPORT-DNAT\n"
            "iptables -t nat -A CNI-HOSTPORT-DNAT -p tcp --dport 5000 -j DNAT --to-destination 10.42.0.9:80"
        ),
        BYPASSED,
        outside="timed out|no route",
        at="https://github.com/k3s-io/k3s/issues/383",
        says="k3s takes ports 80 and 443 by NAT: who listens there serves nobody, and no program is seen to have them",
    ),
    reported(
        "redirected-to-a-proxy-that-is-gone",
        typed("iptables -t nat -I PREROUTING -p tcp --dport 5000 -j REDIRECT --to-ports 3128"),
        BYPASSED,
        outside="refused",
        at="https://github.com/medic/cht-core/pull/6876",
        says="NAT rules send a port elsewhere, and nothing that lists listening sockets shows it",
    ),
    reported(
        "kill-switch-in-output",
        one_after_the_other(
            on_host_network,
            typed("iptables -I OUTPUT ! -o wg0 -p tcp --sport 5000 -m addrtype ! --dst-type LOCAL -j REJECT"),
        ),
        FOREIGN,
        at="https://github.com/dperson/openvpn-client/issues/210",
        says="WireGuard's kill switch rejects in OUTPUT whatever does not leave by the tunnel, answers to the LAN too",
    ),
    reported(
        "routing-mesh-without-ipvs",
        with_a_routing_mesh,
        UNDETERMINED,
        outside="timed out|refused",
        at="https://github.com/moby/moby/issues/28168",
        says="ports published by a swarm's service are silent where the kernel has no ip_vs",
    ),
    reported(
        "service-of-a-swarm-without-a-task",
        swarm(f"{_IN_THE_SWARM} --replicas 0"),
        MISSING,
        outside="refused",
        at="https://github.com/moby/moby/issues/30915",
        says="a service is there and none of its replicas was scheduled",
    ),
    reported(
        "service-of-a-swarm-that-fits-on-no-node",
        swarm(f"{_IN_THE_SWARM} --constraint node.labels.disk==ssd"),
        MISSING,
        outside="refused",
        at="https://github.com/moby/moby/issues/33807",
        says="a label was renamed, and tasks stay Pending without a word of the constraint",
    ),
    reported(
        "only-an-old-tls",
        on_tls_as(
            "context.set_ciphers('ALL:@SECLEVEL=0')\n"
            "context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1"
        ),
        "tls-refused",
        outside="no TLS",
        service=ON_TLS,
        at="https://github.com/bazelbuild/rules_docker/issues/395",
        says="a pull from a registry ends with tlsv1 alert protocol version: client and server share no version",
    ),
    reported(
        "tls-by-name-only",
        on_tls_as(
            "refused = ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME\n"
            "context.sni_callback = lambda _socket, name, _context: refused if name is None else None"
        ),
        "tls-refused",
        outside="no TLS",
        service=ON_TLS,
        at="https://github.com/docker/cli/issues/2127",
        says="the load balancer before a registry ends the handshake; pulls say EOF",
    ),
    reported(
        "asks-for-a-client-s-certificate",
        asking_for_a_client_s_certificate,
        "tls-refused",
        outside="no TLS",
        service=ON_TLS,
        at="https://github.com/moby/moby/issues/35534",
        says="a registry that wants a client's certificate: remote error: tls: bad certificate, on every pull",
    ),
    reported(
        "may-not-have-a-low-port",
        may_not_have_a_low_port,
        RESTARTING,
        outside="refused|timed out",
        at="https://github.com/nginx/docker-nginx/issues/571",
        says="bind() to 0.0.0.0:80 failed (13: Permission denied) for a program that does not run as root",
    ),
)
