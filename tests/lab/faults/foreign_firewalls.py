"""Rules that are not Docker's: in DOCKER-USER, in iptables, in tables of nftables, before the host."""

from tests.lab import network
from tests.lab.faults.serving import on_host_network
from tests.lab.host import LabHost
from tests.lab.scenario import Act, fault, healthy, one_after_the_other, typed

POLICY, FOREIGN, BEFORE = "docker-user-drop", "foreign-firewall-drop", "blocked-before-host"
BANNED = "banned-by-fail2ban"

_UFW = """
iptables -P FORWARD DROP
for chain in before-logging-input before-input user-input before-forward user-forward; do iptables -N ufw-$chain; done
iptables -A INPUT -j ufw-before-logging-input; iptables -A INPUT -j ufw-before-input
iptables -A ufw-before-input -j ufw-user-input
iptables -A FORWARD -j ufw-before-forward; iptables -A ufw-before-forward -j ufw-user-forward
"""


def nft(table: str, chain: str, rules: str = "") -> Act:
    """A table of nftables with one base chain: ``chain`` is its type line, ``rules`` follow."""

    def act(host: LabHost) -> None:
        host.run("nft", "-f", "-", stdin=f"table {table} {{\n chain only {{\n {chain}\n {rules}\n }}\n}}\n")

    return act


def cut_off(rules: str) -> Act:
    """A firewall on the way: this machine itself does not let the request out."""

    def act(host: LabHost) -> None:
        network.cut_off(host.name, f"ip daddr {host.address} {rules}")

    return act


def banned(chain: str, address: str = "$CLIENT") -> Act:
    """What fail2ban's action `iptables` does for a jail of the name registry, and for one address, the watcher's."""
    return typed(
        "iptables -N f2b-registry; iptables -A f2b-registry -j RETURN\n"
        f"iptables -I {chain} -p tcp -m multiport --dports 5000 -j f2b-registry\n"
        f"iptables -I f2b-registry 1 -s {address} -j REJECT --reject-with icmp-port-unreachable"
    )


def banned_by_nftables(hook: str) -> Act:
    """The same by its action `nftables`, which is Debian's default."""
    return typed(
        "nft add table inet f2b-table\n"
        f"nft 'add chain inet f2b-table f2b-chain {{ type filter hook {hook} priority -1; }}'\n"
        "nft 'add set inet f2b-table addr-set-registry { type ipv4_addr; }'\n"
        "nft 'add rule inet f2b-table f2b-chain tcp dport { 5000 } ip saddr @addr-set-registry reject'\n"
        'nft "add element inet f2b-table addr-set-registry { $CLIENT }"'
    )


_UFW_DOCKER = """
for chain in ufw-user-forward ufw-docker-logging-deny; do iptables -N $chain; done
iptables -A ufw-docker-logging-deny -j DROP
iptables -I DOCKER-USER 1 -j ufw-user-forward
iptables -I DOCKER-USER 2 -p tcp -m conntrack --ctstate NEW -d 172.16.0.0/12 -j ufw-docker-logging-deny
"""
"""What ufw-docker puts into /etc/ufw/after.rules: nobody comes to a container without a `ufw route allow`."""

_UFW_IN_FRONT = """
iptables -N ufw-before-input; iptables -N ufw-user-input
iptables -A INPUT -j ufw-before-input
iptables -A ufw-before-input -i lo -j ACCEPT
iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A ufw-before-input -j ufw-user-input
iptables -A ufw-user-input -p tcp --dport 22 -j ACCEPT
iptables -P INPUT DROP
"""
"""`ufw enable` with OpenSSH allowed and nothing else."""

_CSF = """
iptables -N LOCALINPUT; iptables -N DENYIN; iptables -I INPUT -j LOCALINPUT; iptables -A LOCALINPUT -j DENYIN
iptables -A DENYIN -s $CLIENT -p tcp ! --dport 22 -j DROP
"""

_CROWDSEC = """
nft add table ip crowdsec
nft 'add set ip crowdsec crowdsec-blacklists { type ipv4_addr; flags timeout; }'
nft 'add chain ip crowdsec crowdsec-chain-forward { type filter hook forward priority -10; }'
nft 'add rule ip crowdsec crowdsec-chain-forward ip saddr @crowdsec-blacklists counter drop'
nft "add element ip crowdsec crowdsec-blacklists { $CLIENT timeout 1h }"
"""

_CROWDSEC_IN_DOCKER_USER = """
iptables -N CROWDSEC_CHAIN; iptables -I DOCKER-USER -j CROWDSEC_CHAIN
iptables -A CROWDSEC_CHAIN -s $CLIENT -j DROP
"""

_SAVED = """
iptables -t mangle -A FORWARD -p tcp --dport 5000 -j DROP
mkdir -p /etc/iptables; iptables-save -t mangle > /etc/iptables/rules.v4
"""

SCENARIOS = (
    fault("ufw-docker-allows-no-route", typed(_UFW_DOCKER), POLICY),
    fault(
        "ufw-allows-ssh-alone",
        one_after_the_other(on_host_network, typed(_UFW_IN_FRONT)),
        FOREIGN,
    ),
    fault("csf-denies-the-client", one_after_the_other(on_host_network, typed(_CSF)), FOREIGN),
    fault("crowdsec-bans-the-client", typed(_CROWDSEC), FOREIGN),
    fault("crowdsec-bans-the-client-in-docker-user", typed(_CROWDSEC_IN_DOCKER_USER), FOREIGN),
    fault("rule-that-netfilter-persistent-loads", typed(_SAVED), FOREIGN),
    fault("banned-by-fail2ban", banned("DOCKER-USER"), BANNED, outside="refused"),
    fault(
        "banned-by-fail2ban-on-the-host-s-network",
        one_after_the_other(on_host_network, banned("INPUT")),
        BANNED,
        outside="refused",
    ),
    fault("banned-by-fail2ban-with-nftables", banned_by_nftables("forward"), BANNED, outside="refused"),
    healthy("fail2ban-that-bans-others", banned("DOCKER-USER", "192.168.7.7")),
    fault("docker-user-drops", typed("iptables -I DOCKER-USER -p tcp --dport 5000 -j DROP"), POLICY, core=True),
    fault(
        "docker-user-rejects-the-published-port",
        typed("iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport 5000 -j REJECT"),
        POLICY,
        outside="refused",
    ),
    fault("docker-user-drops-the-client", typed("iptables -I DOCKER-USER -s $CLIENT -j DROP"), POLICY),
    fault(
        "docker-user-admits-only-another-network",
        typed("iptables -I DOCKER-USER -i host0 ! -s 192.168.7.0/24 -j DROP"),
        POLICY,
    ),
    fault(
        "docker-user-jumps-to-a-chain-that-drops",
        typed(
            "iptables -N corp; iptables -A corp -s 192.168.7.0/24 -j RETURN; iptables -A corp -i host0 -j DROP\n"
            "iptables -I DOCKER-USER -j corp"
        ),
        POLICY,
    ),
    fault(
        "nft-forward-policy-drop",
        nft("inet corp", "type filter hook forward priority 0; policy drop;", "ct state established accept"),
        FOREIGN,
        core=True,
    ),
    fault(
        "nft-forward-rejects-late",
        nft("inet corp", "type filter hook forward priority 10;", "tcp dport 5000 reject with icmpx admin-prohibited"),
        FOREIGN,
        outside="no route",
    ),
    fault(
        "nft-forward-rejects-plainly",
        nft("ip corp", "type filter hook forward priority -10;", 'iifname "host0" oifname "docker0" reject'),
        FOREIGN,
        outside="refused",
    ),
    fault(
        "nft-bridge-drops-towards-the-container",
        nft("bridge corp", "type filter hook output priority 0;", "ip protocol tcp tcp dport 5000 counter drop"),
        FOREIGN,
        outside="timed out|no route",
    ),
    fault(
        "nft-bridge-drops-the-answers",
        nft("bridge corp", "type filter hook input priority 0;", "ip protocol tcp tcp sport 5000 drop"),
        FOREIGN,
    ),
    healthy(
        "nft-bridge-keeps-containers-apart",
        nft("bridge corp", "type filter hook forward priority 0; policy drop;", ""),
    ),
    fault(
        "nft-prerouting-drops",
        nft("inet corp", "type filter hook prerouting priority -350;", "tcp dport 5000 drop"),
        FOREIGN,
    ),
    fault(
        "nft-netdev-ingress-drops",
        nft("netdev corp", 'type filter hook ingress device "host0" priority 0;', "tcp dport 5000 drop"),
        FOREIGN,
    ),
    fault("raw-prerouting-drops", typed("iptables -t raw -I PREROUTING -p tcp --dport 5000 -j DROP"), FOREIGN),
    fault("mangle-forward-drops", typed("iptables -t mangle -A FORWARD -p tcp --dport 5000 -j DROP"), FOREIGN),
    fault(
        "mangle-prerouting-drops-the-client",
        typed("iptables -t mangle -A PREROUTING -s $CLIENT -p tcp --dport 5000 -j DROP"),
        FOREIGN,
    ),
    fault("forward-rule-above-docker-s-drops", typed("iptables -I FORWARD -p tcp --dport 5000 -j DROP"), FOREIGN),
    fault(
        "forward-rule-above-docker-s-rejects",
        typed("iptables -I FORWARD -i host0 -o docker0 -j REJECT --reject-with icmp-host-prohibited"),
        FOREIGN,
        outside="no route",
    ),
    fault(
        "rule-of-somebody-s-in-a-chain-of-docker-s",
        typed("iptables -I DOCKER-ISOLATION-STAGE-1 -s $CLIENT -p tcp --dport 5000 -j REJECT"),
        FOREIGN,
        outside="refused",
    ),
    fault(
        "answers-are-dropped",
        typed("iptables -I FORWARD -i docker0 -p tcp --sport 5000 -j DROP"),
        FOREIGN,
    ),
    fault(
        "host-network-input-drops",
        one_after_the_other(on_host_network, typed("iptables -A INPUT -p tcp --dport 5000 -j DROP")),
        FOREIGN,
    ),
    fault(
        "host-network-input-policy-drops",
        one_after_the_other(
            on_host_network,
            typed(
                "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 22 -j ACCEPT\n"
                "iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -P INPUT DROP"
            ),
        ),
        FOREIGN,
    ),
    fault(
        "host-network-nft-input-rejects",
        one_after_the_other(
            on_host_network,
            nft("inet corp", "type filter hook input priority 0;", "tcp dport 5000 reject with tcp reset"),
        ),
        FOREIGN,
        outside="refused",
    ),
    fault("dropped-before-the-host", cut_off("tcp dport 5000 drop"), BEFORE),
    fault(
        "rejected-before-the-host",
        cut_off("tcp dport 5000 reject with icmp type host-prohibited"),
        BEFORE,
        outside="no route",
    ),
    fault("reset-before-the-host", cut_off("tcp dport 5000 reject with tcp reset"), BEFORE, outside="refused"),
    healthy("ufw-without-rules", typed(_UFW)),
    healthy("nft-table-that-accepts", nft("inet corp", "type filter hook forward priority 0; policy accept;")),
    healthy(
        "nft-table-that-drops-another-port",
        nft("inet corp", "type filter hook forward priority 0; policy accept;", "tcp dport 5432 drop"),
        core=True,
    ),
    healthy(
        "nft-table-that-drops-but-not-this",
        nft("inet corp", "type filter hook forward priority 0; policy drop;", "ct status dnat accept"),
    ),
    healthy(
        "nft-input-policy-drop-behind-dnat",
        nft("inet corp", "type filter hook input priority 0; policy drop;", "tcp dport 22 accept\n iif lo accept"),
    ),
    healthy("docker-user-drops-another-client", typed("iptables -I DOCKER-USER -s 192.168.7.0/24 -j DROP")),
    healthy("forward-rule-below-docker-s-drops", typed("iptables -A FORWARD -p tcp --dport 5000 -j DROP")),
    healthy(
        "raw-rule-drops-another-client",
        typed("iptables -t raw -A PREROUTING -s 192.168.7.0/24 -p tcp --dport 5000 -j DROP"),
    ),
)
