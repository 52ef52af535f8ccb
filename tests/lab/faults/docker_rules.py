"""Docker's own rules: wiped, deleted, stale, in the other backend, or never written."""

from tests.lab.command import wait_for
from tests.lab.faults.firewalld import (
    ACCEPTS_BEFORE_DOCKER,
    REJECTED,
    firewalld_with_iptables_running_port_not_listed_but_dnat_healthy,
    start_firewalld,
)
from tests.lab.faults.serving import daemon, registry, restart_docker
from tests.lab.host import LabHost
from tests.lab.scenario import fault, healthy, one_after_the_other, typed, write

CHAINS, NAT, FORWARD = "docker-chains-missing", "docker-nat-rule-missing", "docker-forward-rule-missing"
PAST = "docker-forward-rule-bypassed"
BYPASSED = "docker-nat-rule-bypassed"
SPLIT, DISABLED, STALE = "iptables-backends-split", "docker-iptables-disabled", "dnat-target-stale"

# What a firewall script does: away with all that is there, then its own few rules.
_FIREWALL_SCRIPT = """
iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -A INPUT -p tcp --dport 22 -j ACCEPT
iptables -P INPUT DROP
"""
_SAVED_RULES = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""
_NFTABLES_CONF = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        tcp dport 22 accept
    }
}
"""
_ALTERNATIVES = "for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore"
_TO_LEGACY = f"""
systemctl stop docker.socket docker.service
nft flush ruleset
{_ALTERNATIVES}; do
    ln -sf /usr/sbin/$(echo $name | sed 's/tables/tables-legacy/') /etc/alternatives/$name
done
systemctl start docker.socket docker.service
"""
_OLD_SAVE = """
iptables-save -t nat > /run/saved
docker stop registry >/dev/null
docker run -d --name other --expose 80 registry:2 >/dev/null
docker start registry >/dev/null
iptables-restore -T nat /run/saved
"""


def chains_flushed_but_served_by_proxy(host: LabHost) -> None:
    """All of Docker's rules are gone, and it still answers, through docker-proxy, because INPUT is open."""
    host.sh(
        "iptables -P FORWARD ACCEPT; for table in nat filter; do iptables -t $table -F; iptables -t $table -X; done"
    )


def saved_rules_restored(host: LabHost) -> None:
    """iptables-persistent: the rules of the day on which they were saved, before Docker was installed."""
    write(host, "/etc/iptables/rules.v4", _SAVED_RULES)
    host.run("iptables-restore", "/etc/iptables/rules.v4")


def nftables_restarted(host: LabHost) -> None:
    """An own ruleset that begins with `flush ruleset`, as Debian's example does."""
    write(host, "/etc/nftables.conf", _NFTABLES_CONF, "0755")
    host.run("systemctl", "restart", "nftables.service")


def dnat_rule_deleted_behind_firewalld(host: LabHost) -> None:
    firewalld_with_iptables_running_port_not_listed_but_dnat_healthy(host)
    host.run("iptables", "-t", "nat", "-F", "DOCKER")


def firewalld_restarted(host: LabHost) -> None:
    """It wiped Docker's chains, dockerd mended that by a restart, and then deafness does not matter any more."""
    start_firewalld(host, "iptables")
    restart_docker(host)
    host.run("systemctl", "restart", "firewalld.service")
    wait_for(f"{host.name}: Docker heard it", lambda: "DNAT" in host.sh("iptables -t nat -S", check=False), timeout=20)


# Somebody recreates, or restarts, the container to mend it: Docker cannot write its rules, and the start fails.
_FLUSHED = typed("iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X")
_RUN_AGAIN = typed(
    "docker rm -f registry >/dev/null\n"
    "docker run -d -p 5000:5000 --restart=always --name registry registry:2 2>/dev/null || true"
)
_START_AGAIN = typed("docker restart registry 2>/dev/null || true")
_NO_POLICY = typed("docker update --restart=no registry >/dev/null")

SCENARIOS = (
    fault(
        "container-created-into-missing-chains",
        one_after_the_other(_FLUSHED, _RUN_AGAIN),
        CHAINS,
        "container-start-failed",
        outside="refused",
    ),
    fault(
        "container-restarted-into-missing-chains",
        one_after_the_other(_FLUSHED, _START_AGAIN),
        CHAINS,
        "container-start-failed",
        outside="refused",
    ),
    fault(
        "container-without-policy-restarted-into-missing-chains",
        one_after_the_other(_NO_POLICY, _FLUSHED, _START_AGAIN),
        CHAINS,
        "container-start-failed",
        outside="refused",
    ),
    fault("firewall-script-flushes-all", typed(_FIREWALL_SCRIPT), CHAINS, core=True),
    fault("saved-rules-restored", saved_rules_restored, CHAINS),
    fault("nftables-service-restarted", nftables_restarted, CHAINS),
    fault(
        "flushed-without-docker-proxy",
        one_after_the_other(daemon(userland_proxy=False), chains_flushed_but_served_by_proxy),
        CHAINS,
        outside="timed out|refused",
    ),
    fault(
        "nat-accept-before-docker-s-jump",
        typed(
            "iptables -t nat -I PREROUTING -p tcp --dport 5000 -j ACCEPT\n"
            "iptables -A INPUT -p tcp --dport 5000 -j REJECT"
        ),
        BYPASSED,
        outside="refused",
    ),
    healthy(
        "nat-accept-before-docker-s-jump-but-served",
        typed("iptables -t nat -I PREROUTING -p tcp --dport 5000 -j ACCEPT"),
    ),
    fault(
        "docker-nat-rule-missing",
        dnat_rule_deleted_behind_firewalld,
        NAT,
        outside=REJECTED,
        not_on={"sid": ACCEPTS_BEFORE_DOCKER},
    ),
    fault(
        "docker-nat-rules-flushed-without-docker-proxy",
        one_after_the_other(daemon(userland_proxy=False), typed("iptables -t nat -F DOCKER")),
        NAT,
        outside="timed out|refused",
    ),
    fault(
        "nat-jump-deleted-without-docker-proxy",
        one_after_the_other(
            daemon(userland_proxy=False),
            typed("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        ),
        NAT,
        outside="timed out|refused",
    ),
    fault("docker-accept-rules-flushed", typed("iptables -F DOCKER"), FORWARD, core=True),
    fault(
        "docker-accept-rule-deleted",
        typed("iptables -D DOCKER $(iptables -S DOCKER | sed -n 's/^-A DOCKER \\(.*dport 5000.*\\)/\\1/p')"),
        FORWARD,
    ),
    fault("forward-chain-flushed", typed("iptables -F FORWARD"), FORWARD),
    fault("jump-to-docker-s-chain-deleted", typed("iptables -D FORWARD -o docker0 -j DOCKER"), FORWARD),
    fault("accept-of-the-answers-deleted", typed("iptables -D FORWARD -i docker0 ! -o docker0 -j ACCEPT"), FORWARD),
    fault("packets-led-past-docker-s-accept-rule", typed("iptables -I DOCKER -j RETURN"), PAST),
    fault("packets-led-out-of-forward", typed("iptables -I FORWARD -o docker0 -j RETURN"), PAST),
    fault(
        "packets-led-to-a-chain-of-nobody-s",
        typed("iptables -N corp; iptables -I FORWARD -p tcp --dport 5000 -g corp"),
        PAST,
    ),
    fault(
        "docker-s-accept-rule-is-for-another-port",
        typed("iptables -F DOCKER; iptables -A DOCKER -d 172.17.0.2/32 -o docker0 -p tcp --dport 5999 -j ACCEPT"),
        FORWARD,
    ),
    fault(
        "dnat-to-an-address-of-nobody",
        typed(
            "iptables -t nat -F DOCKER\n"
            "iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 5000 -j DNAT --to-destination 172.17.0.99:5000"
        ),
        STALE,
        outside="timed out|no route",
    ),
    fault("dnat-to-an-earlier-address", typed(_OLD_SAVE), STALE, outside="refused|timed out"),
    fault("legacy-policy-drops", typed("iptables-legacy -P FORWARD DROP"), SPLIT, core=True),
    fault("legacy-rule-drops", typed("iptables-legacy -I FORWARD -p tcp --dport 5000 -j DROP"), SPLIT),
    fault(
        "docker-in-legacy-and-nft-policy-drops",
        typed(_TO_LEGACY + "iptables-nft -P FORWARD DROP"),
        SPLIT,
    ),
    fault(
        "iptables-disabled-without-docker-proxy",
        daemon(iptables=False, userland_proxy=False),
        DISABLED,
        outside="timed out|refused",
    ),
    fault(
        "iptables-disabled-and-input-closed",
        one_after_the_other(
            daemon(iptables=False),
            typed("iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -i host0 -p tcp --syn -j DROP"),
        ),
        DISABLED,
        "foreign-firewall-drop",
    ),
    healthy("chains-missing-but-served", chains_flushed_but_served_by_proxy, risks=("chains-missing-but-served",)),
    healthy(
        "docker-isolation-lost",
        typed("iptables -F DOCKER-ISOLATION-STAGE-2"),
        risks=("docker-isolation-lost",),
    ),
    healthy("iptables-disabled-but-served", daemon(iptables=False)),
    healthy("firewalld-restarted-and-heard", firewalld_restarted),
    healthy("legacy-tables-loaded-and-empty", typed("iptables-legacy -t nat -S; iptables-legacy -S")),
    healthy("docker-in-legacy", typed(_TO_LEGACY)),
    healthy("registry-on-its-own-address-only", lambda host: registry(f"-p {host.address}:5000:5000")(host)),
)
