"""A whole host as text, to be compared line by line: what a fix may change, seen without the product."""

import difflib

from tests.lab.host import LabHost

# Left out: counters; when a file was written; a veth's name and what depends on it, others each time that a container
# starts; of a bridge its carrier, which it loses some time after its last port, and its IPv6 address, which it gets
# when it is made. firewalld keeps a file of each zone that it has once changed: its zones are told by what they say.
_STATE = r"""
echo '# legacy tables'; (iptables-legacy-save; ip6tables-legacy-save) 2>/dev/null | grep -e '^-A' -e '^:[^ ]* [^A]'
echo '# sysctls'
sysctl -a 2>/dev/null | grep -E '^net\.' | grep -vE 'veth|nf_conntrack_count|stable_secret|fastopen_key|unres_qlen'
echo '# network'; ip -brief address | grep -v -e ^veth | awk '{$2 = ""; print}' | sed 's| fe80:[^ ]*||'
ip route | sed 's/ *linkdown//'; ip rule
echo '# files'
find /etc /usr/local /run/sysctl.d /run/systemd/system /run/systemd/network -xdev -type f \
    ! -path '/etc/firewalld/zones/*' -printf '%p %m %u %g ' -exec sha256sum {} \; | sort
find /etc -xdev -type l -printf '%p -> %l\n' | sort
echo '# units'
for unit in docker.service docker.socket containerd.service firewalld.service ssh.service systemd-networkd.service; do
    echo "$unit $(systemctl is-active $unit) $(systemctl is-enabled $unit)"
done
systemctl --failed --no-legend --plain | sed '/^user@/d'  # comes and goes with logins
if systemctl is-active --quiet firewalld.service; then
    echo '# zones'; firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones
fi
if systemctl is-active --quiet docker.service; then
    echo '# containers'
    docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}} {{.Ports}}'
    docker ps --all --quiet | xargs -r docker inspect \
        --format '{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.NetworkSettings.Networks}}' | sed 's/0x[0-9a-f]*//g'
    docker network ls --format '{{.Name}} {{.Driver}}'
fi
true
"""


def state(host: LabHost) -> str:
    return "\n".join((*_rules(host.sh("nft --stateless list ruleset")), host.sh(_STATE)))


def _rules(ruleset: str) -> list[str]:
    """Each rule with its table and chain: their order is that in which somebody made them, and means nothing."""
    tables: dict[str, dict[str, list[str]]] = {}
    table = chain = ""
    for line in ruleset.splitlines():
        if line.startswith("table "):
            table = line.partition(" {")[0]
        elif line.startswith("\t") and line.endswith("{") and not line.startswith("\t\t"):
            chain = line.strip().partition(" {")[0]
            tables.setdefault(table, {}).setdefault(chain, [])
        elif line.startswith("\t\t"):
            tables[table][chain].append(line.strip())
    named = sorted((table, chain, rules) for table, chains in tables.items() for chain, rules in chains.items())
    return [f"{table} {chain}: {rule}" for table, chain, rules in named for rule in (rules or ["empty"])]


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, as of a diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
