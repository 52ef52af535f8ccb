"""The healthy state of a host: recorded once after boot, and brought back after every test.

The way to it is always the same, also the first time: stop what serves, lay the files back, empty the kernel's
tables, start what serves. So a restored host is in the very state that a fresh one is in, and `differences` can say
so by comparing instead of by believing.
"""

import difflib
import re
import shlex
from pathlib import Path
from typing import Protocol

from tests.lab import conntrack, files, network
from tests.lab.command import LabError, wait_for

FOLDERS = (
    "etc",
    "usr/lib/modules",
    "usr/local",
    "home/dockerhealth",
    "var/spool/cron",
    "run/sysctl.d",
    "run/systemd/system",
    "run/systemd/network",
)
REGISTRY = "docker run -d -p 5000:5000 --restart=always --name registry registry:2"


# Units that are up, but for those that come and go of themselves
UNITS = """
systemctl list-units --plain --no-legend --type=service,timer --state=active,activating,deactivating,reloading |
    cut -d ' ' -f 1 | grep -v -E '^(systemd-|user@|user-runtime-dir@|modprobe@|dbus|polkit|packagekit)' | sort
"""

# What serves is stopped first, hung or not; a container is removed because what a test did to it does not matter then.
# A unit that was not up in the healthy state is stopped while its file is still there, and a container that outlived
# its dockerd (live-restore) ends with its scope.
HALT = f"""
exec 3<&0
systemctl kill --signal=CONT docker.service containerd.service 2>/dev/null
systemctl start containerd.service
extra=$({UNITS.strip()} | grep -v -x -F -e firewalld.service -f /dev/fd/3)
[ -z "$extra" ] || systemctl stop $extra
systemctl stop firewalld.service
if systemctl is-active --quiet docker.service; then
    timeout 5 docker ps --all --quiet | xargs -r timeout 10 docker rm --force --volumes >/dev/null
fi
if ! timeout 10 systemctl stop docker.socket docker.service; then
    systemctl kill --signal=KILL docker.service
    systemctl stop docker.service
fi
systemctl stop 'docker-*.scope'
true
"""

# ip_forward goes to what Linux ships with before dockerd starts, which then turns it on and sets FORWARD to DROP.
# Docker's memory of its networks goes, because one that failed to come up keeps a dockerd of 26.1 from ever starting.
# The journal is emptied because what one test did would be evidence in the next one's timeline.
CLEAR = """
nft flush ruleset
for family in ip ip6; do
    for table in $(cat /proc/net/${family}_tables_names 2>/dev/null); do
        for chain in $("${family}tables-legacy" -t "$table" -S | sed -n 's/^-P \\([A-Z]*\\) .*/\\1/p'); do
            "${family}tables-legacy" -t "$table" -P "$chain" ACCEPT
        done
        "${family}tables-legacy" -t "$table" -F
        "${family}tables-legacy" -t "$table" -X
    done
done
for link in /sys/class/net/*; do
    case ${link##*/} in lo|host0) ;; *) ip link delete "${link##*/}" 2>/dev/null ;; esac
done
rm -f /var/lib/docker/network/files/local-kv.db
umount /srv/* 2>/dev/null
rm -rf /srv/*
tc qdisc delete dev host0 root 2>/dev/null
tc qdisc delete dev host0 clsact 2>/dev/null
ip xfrm policy flush
ip xfrm state flush
ip -4 address flush dev lo scope global
ip -6 address flush dev host0 scope global
ip -6 rule flush
ip -6 rule add lookup main priority 32766 protocol kernel
ip -4 neigh flush dev host0 nud permanent
ip link set host0 up mtu 1500
echo 0 > /proc/sys/net/ipv4/ip_forward
journalctl --quiet --rotate && journalctl --quiet --vacuum-size=1
"""

_OTHER_TABLES = r"ip -4 route show table all | sed -n 's/.* table \([0-9][0-9]*\).*/\1/p' | sort -u"
NETWORK = f"ip -brief -4 address show dev host0; ip -4 route show; ip -4 rule show; {_OTHER_TABLES}"
# the kernel's own rules are named so, or networkd takes them for foreign ones and removes them
RESET_NETWORK = f"""
for table in $({_OTHER_TABLES}); do ip -4 route flush table "$table"; done
ip -4 rule flush
ip -4 rule add lookup main priority 32766 protocol kernel
ip -4 rule add lookup default priority 32767 protocol kernel
ip -4 route flush table main
ip -4 address flush dev host0
ip -6 address flush dev host0 scope global
systemctl restart systemd-networkd.service
networkctl reconfigure host0
"""

START = f"""
systemctl daemon-reload
systemctl reset-failed
networkctl reload
systemctl start systemd-networkd.service ssh.service docker.socket docker.service || exit
docker swarm leave --force >/dev/null 2>&1 && docker network rm docker_gwbridge >/dev/null
left=$(docker ps --all --quiet)
[ -z "$left" ] || docker rm --force --volumes $left >/dev/null || exit
docker network prune --force >/dev/null || exit
{REGISTRY} >/dev/null
"""

SYSCTLS = r"""
sysctl --all --pattern '^net\.(bridge|ipv[46]\.(ip_|icmp_|tcp_|conf\.(all|default|lo|host0)))' 2>/dev/null |
    grep -v -e fastopen_key -e stable_secret
"""

_BY_DOCKERD = re.compile(r"net\.ipv4\.[^=]*forward")

# What must equal the recorded baseline. A legacy table, once registered, stays for the life of a network namespace:
# an empty one that accepts is as good as none.
OBSERVE = rf"""
echo '# rules'; nft --stateless list ruleset
echo '# legacy tables'; (iptables-legacy-save; ip6tables-legacy-save) 2>/dev/null | grep -e '^-A' -e '^:[^ ]* [^A]'
echo '# network'; ip -brief -4 address show dev host0; ip -brief -4 address show dev docker0; ip route; ip rule
echo '# sysctls'
{SYSCTLS.strip()}
echo '# units'; systemctl is-active docker ssh firewalld systemd-networkd; systemctl is-enabled docker ssh firewalld
systemctl --failed --no-legend --plain; ls /run/systemd/transient | grep -E '[.](service|timer)$'
echo '# containers'; docker ps --all --format '{{{{.Names}}}} {{{{.Image}}}} {{{{.Ports}}}} {{{{.State}}}}'
docker network ls --format '{{{{.Name}}}}'
true
"""

# What only tells whether anybody touched the host since it was last restored
OBSERVE_IDENTITIES = """
systemctl show --property=MainPID,InvocationID docker containerd ssh systemd-networkd
ss -Hltn 'sport = :5000'
docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.RestartCount}} {{.HostConfig.RestartPolicy.Name}}' registry
true
"""


class Host(Protocol):
    """As much of a host as the way back needs."""

    name: str

    @property
    def kept(self) -> Path:
        """Where on this machine the baseline is recorded."""

    def run(self, *argv: str, stdin: str | None = None) -> object: ...
    def sh(self, script: str, *, check: bool = True, timeout: float = 60) -> str: ...
    def path(self, inside: str) -> Path: ...
    def outside(self) -> str: ...


def record(host: Host) -> None:
    """Take the host as it is now for its healthy state."""
    for folder in FOLDERS:
        files.snapshot(host.path(folder), host.kept / "files" / folder)
    (host.kept / "units").write_text(host.sh(UNITS))
    _serve_nothing(host)
    (host.kept / "network").write_text(host.sh(NETWORK))
    _serve(host)
    (host.kept / "state").write_text(host.sh(OBSERVE))
    _remember(host)


def amend(host: Host, inside: str) -> None:
    """Take one file of the host into the recorded baseline: it was installed on purpose."""
    if host.kept.is_dir():
        kept = host.kept / "files" / inside
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        files.copy(host.path(inside), kept)


def distrust(host: Host) -> None:
    """Have the next restore bring all back, though nothing may be seen of what was done to the host."""
    (host.kept / "last").write_text("")


def restore(host: Host) -> None:
    """Bring the recorded state back and prove it: by comparison inside, by a request from outside."""
    network.join(host.name)
    conntrack.give_back(host)
    if _is_untouched(host):
        return
    # Twice at most: a dockerd that had kept off iptables writes the same chains in another order the first time.
    different = _bring_back(host) and _bring_back(host)
    if different:
        raise LabError(f"{host.name} was not restored:\n" + "\n".join(different))
    _remember(host)


def _bring_back(host: Host) -> list[str]:
    """Stop all, lay all back, start anew; returns what is different still."""
    _serve_nothing(host)
    _bring_network_back(host)
    _bring_sysctls_back(host)
    _serve(host)
    return differences(host)


def differences(host: Host) -> list[str]:
    """The lines in which the host differs from its healthy state, as of a diff; none if it is healthy."""
    was, now = (host.kept / "state").read_text(), host.sh(OBSERVE)
    return list(difflib.unified_diff(was.splitlines(), now.splitlines(), "baseline", "now", lineterm="", n=0))


def _is_untouched(host: Host) -> bool:
    """Whether nothing at all happened to the host since it was last restored; then nothing has to be done."""
    if _bring_files_back(host):
        return False
    return _observe(host) == (host.kept / "last").read_text() and host.outside() == "200"


def _remember(host: Host) -> None:
    (host.kept / "last").write_text(_observe(host))


def _observe(host: Host) -> str:
    """All that can be seen; a host whose dockerd hangs shows less, and so differs."""
    return host.sh(f"timeout 5 sh -c {shlex.quote(OBSERVE + OBSERVE_IDENTITIES)}", check=False, timeout=10)


def _bring_files_back(host: Host) -> list[str]:
    return [name for folder in FOLDERS for name in files.bring_back(host.path(folder), host.kept / "files" / folder)]


def _bring_network_back(host: Host) -> None:
    """Only if it is not as it was: a flushed address is a hiccup for connections that a test keeps open."""

    def is_back() -> bool:
        return host.sh(NETWORK) == (host.kept / "network").read_text()

    if not is_back():
        host.sh(RESET_NETWORK)
        wait_for(f"{host.name}: its address and routes", is_back, timeout=10)


def _bring_sysctls_back(host: Host) -> None:
    """All but forwarding of IPv4, which dockerd has to turn on itself to be in the state that it is in after boot.

    Only what differs is written: some of them cannot be written, and newer versions of sysctl call that a failure.
    """
    now = set(host.sh(SYSCTLS).splitlines())
    lines = (host.kept / "state").read_text().splitlines()
    wanted = [line for line in lines if line.startswith("net.") and not _BY_DOCKERD.match(line)]
    host.run("sysctl", "--ignore", "--quiet", "--load=-", stdin="\n".join(line for line in wanted if line not in now))


def _serve_nothing(host: Host) -> None:
    host.run("sh", "-c", HALT, stdin=(host.kept / "units").read_text())
    _bring_files_back(host)
    host.sh(CLEAR)


def _serve(host: Host) -> None:
    host.sh(START)
    wait_for(f"{host.name}: reachable from outside", lambda: host.outside() == "200", timeout=20)
