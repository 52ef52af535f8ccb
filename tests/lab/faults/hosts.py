"""The host as a whole: not there, or not to be logged in to."""

from tests.lab.host import LabHost
from tests.lab.scenario import UNDETERMINED, fault, healthy, typed

UNREACHABLE = "host-unreachable"


def sshd_stopped(host: LabHost) -> None:
    """The service is well, but nobody can log in to say so."""
    host.run("systemctl", "stop", "ssh.service")


def host_network_down(host: LabHost) -> None:
    """The cable is out: no vantage but the host itself reaches anything."""
    host.run("ip", "link", "set", "host0", "down")


def pam(phase: str, seconds: int) -> str:
    """A module that waits, as one does whose directory service is down: in the login, or in its session."""
    return f"echo '{phase} optional pam_exec.so quiet /bin/sleep {seconds}' >>/etc/pam.d/sshd"


FORWARDING_OFF = "; sysctl -qw net.ipv4.ip_forward=0"


def banned(what: str, *chains: str) -> str:
    """What fail2ban's actions `iptables-multiport` and `iptables-allports` do, in these chains, for this address."""
    return "\n".join(
        f"""iptables -w -N f2b-{chain}
iptables -w -A f2b-{chain} -j RETURN
iptables -w -I {chain} -p tcp{" -m multiport --dports 22" if chain == "INPUT" else ""} -j f2b-{chain}
iptables -w -I f2b-{chain} 1 -s $CLIENT -j {what}"""
        for chain in chains
    )


SILENT_NAME_SERVER = """
systemd-run -q --unit lab-silent-name-server python3 -c '
import socket, signal
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.9", 53))
signal.pause()'
echo 'nameserver 127.0.0.9' >/etc/resolv.conf
sed -i '/'"$(uname -n)"'/d' /etc/hosts
"""
"""Nobody but a name server knows the host's own name, and that one says nothing."""

REJECT = "REJECT --reject-with icmp-port-unreachable"

SCENARIOS = (
    fault("host-cable-out", host_network_down, UNREACHABLE, outside="timed out|no route"),
    fault("host-lost-its-address", typed("ip address flush dev host0"), UNREACHABLE, outside="timed out|no route"),
    fault(
        "host-drops-everything",
        typed("iptables -I INPUT -i host0 -j DROP; iptables -t raw -I PREROUTING -i host0 -j DROP"),
        UNREACHABLE,
    ),
    healthy("healthy", lambda _: None, core=True, risks=("ip-forward-not-persisted",)),
    healthy(
        "kernel-modules-gone",
        typed("mkdir -p /usr/lib/modules/$(uname -r)-newer"),
        risks=("kernel-modules-gone",),
    ),
    healthy("sshd-stopped", sshd_stopped),
    healthy("session-slow", typed(pam("session", 9)), cold=True),
    fault("session-slow-and-ip-forward-off", typed(pam("session", 9) + FORWARDING_OFF), "ip-forward-off", cold=True),
    healthy("session-does-not-start", typed(pam("session", 60)), cold=True),
    fault(
        "session-does-not-start-and-ip-forward-off",
        typed(pam("session", 60) + FORWARDING_OFF),
        UNDETERMINED,
        cold=True,
    ),
    fault("login-slow-and-ip-forward-off", typed(pam("account", 9) + FORWARDING_OFF), "ip-forward-off", cold=True),
    fault(
        "login-does-not-end-and-ip-forward-off",
        typed(pam("account", 60) + FORWARDING_OFF),
        UNDETERMINED,
        cold=True,
    ),
    healthy("name-server-silent", typed(SILENT_NAME_SERVER), risks=("own-name-unanswered",)),
    fault(
        "name-server-silent-and-ip-forward-off",
        typed(SILENT_NAME_SERVER + FORWARDING_OFF.removeprefix("; ")),
        "ip-forward-off",
        risks=("own-name-unanswered",),
    ),
    healthy("watcher-rejected-at-sshd", typed(banned(REJECT, "INPUT"))),
    fault(
        "watcher-rejected-at-sshd-and-ip-forward-off",
        typed(banned(REJECT, "INPUT") + FORWARDING_OFF),
        UNDETERMINED,
    ),
    fault("watcher-rejected", typed(banned(REJECT, "INPUT", "DOCKER-USER")), UNDETERMINED, outside="refused"),
    fault(
        "watcher-rejected-before-the-login",
        typed(banned(REJECT, "INPUT", "DOCKER-USER")),
        UNDETERMINED,
        outside="refused",
        cold=True,
    ),
    fault("watcher-dropped", typed(banned("DROP", "INPUT", "DOCKER-USER")), UNREACHABLE),
)
