"""Story 3 with its culprit: a program changes an address and restarts the network service, which stops forwarding.

The service is that of initscripts (CentOS 7, `/etc/rc.d/init.d/network`, rhel7-branch): `stop` itself sets ip_forward
to 0, and `start` applies sysctl.d anew, so only a persisted 1 survives a restart. No shell history shows any of it.
"""

from collections.abc import Callable

from tests.lab.command import wait_for
from tests.lab.host import LabHost
from tests.lab.scenario import write

_SCRIPT = r"""#!/bin/sh
# network  Bring up/down networking
IFCFG=/etc/sysconfig/network-scripts/ifcfg-host0:1
[ -r "$IFCFG" ] && . "$IFCFG"
case $1 in
start)
    systemctl restart systemd-sysctl.service
    [ -z "$IPADDR" ] || ip address replace "$IPADDR/32" dev host0
    ;;
stop)
    [ -z "$IPADDR" ] || ip address delete "$IPADDR/32" dev host0 2>/dev/null
    sysctl -w net.ipv4.ip_forward=0 > /dev/null 2>&1
    ;;
restart)
    $0 stop && $0 start
    ;;
esac
"""
_UNIT = """[Unit]
Description=LSB: Bring up/down networking
SourcePath=/etc/rc.d/init.d/network

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/etc/rc.d/init.d/network start
ExecStop=/etc/rc.d/init.d/network stop

[Install]
WantedBy=multi-user.target
"""
_PANEL = """#!/usr/bin/python3
import http.server, subprocess, sys

IFCFG = "/etc/sysconfig/network-scripts/ifcfg-host0:1"
RESTART = sys.argv[1:]


class Panel(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        address = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(IFCFG, "w") as file:
            file.write(f"DEVICE=host0:1\\nIPADDR={address}\\n")
        subprocess.run(RESTART, check=True)
        self.send_response(204)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8080), Panel).serve_forever()
"""
_PANEL_UNIT = """[Unit]
Description=Web panel

[Service]
User={user}
ExecStart=/usr/local/bin/webpanel {restart}

[Install]
WantedBy=multi-user.target
"""
_SUDOERS = "webpanel ALL=(root) NOPASSWD: /usr/bin/systemctl restart network.service\n"
_LOGGING_PROGRAM = """#!/usr/bin/python3
import subprocess, syslog
syslog.openlog("renew")
syslog.syslog("new address")
subprocess.run("{restart}".split(), check=True)
"""
_RESTART = "systemctl restart network.service"
_ADDRESS = "192.0.2.80"  # TEST-NET-1: on the host's own interface only, nobody is asked for it


def web_program_restarts_network(host: LabHost) -> None:
    """A web program under its own user, through sudo."""
    host.run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "webpanel")
    write(host, "/etc/sudoers.d/webpanel", _SUDOERS, "0440")
    _start_panel(host, "webpanel", f"/usr/bin/sudo -n /usr/bin/{_RESTART}")
    change_address(host)


def root_web_program_restarts_network(host: LabHost) -> None:
    """The same program as root: no sudo, so no line of it."""
    _start_panel(host, "root", f"/usr/bin/{_RESTART}")
    change_address(host)


def timer_restarts_network(host: LabHost) -> None:
    """A scheduled job: nobody is logged in."""
    install_network_service(host)
    write(host, "/usr/local/sbin/renew-address", f"#!/bin/sh\nexec {_RESTART}\n", "0755")
    job = "[Unit]\nDescription=Renew the address\n[Service]\nType=oneshot\nExecStart=/usr/local/sbin/renew-address\n"
    timer = "[Unit]\nDescription=Renew the address, nightly\n[Timer]\nOnActiveSec=0\nAccuracySec=1ms\n"
    write(host, "/etc/systemd/system/renew-address.service", job)
    write(host, "/etc/systemd/system/renew-address.timer", timer)
    host.run("systemctl", "daemon-reload")
    _until_forwarding_is_off(host, lambda: host.run("systemctl", "start", "renew-address.timer"))


def person_restarts_network(host: LabHost) -> None:
    """Somebody by hand, through sudo, in a login of their own."""
    install_network_service(host)
    host.run("useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "ops")
    write(host, "/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n", "0440")
    _until_forwarding_is_off(host, lambda: host.run("su", "-", "ops", "-c", f"sudo {_RESTART}"))


def script_restarts_network(host: LabHost) -> None:
    """A script of root's that nothing of systemd's started; its ``logger`` ends before the journal asks who wrote."""
    install_network_service(host)
    write(host, "/usr/local/sbin/renew", f"#!/bin/sh\nlogger -t renew 'new address'\nexec {_RESTART}\n", "0755")
    _until_forwarding_is_off(host, lambda: host.run("/usr/local/sbin/renew"))


def program_in_root_login_restarts_network(host: LabHost) -> None:
    """A program that root runs in a login: no sudo, and no service either."""
    install_network_service(host)
    write(host, "/usr/local/sbin/renew", _LOGGING_PROGRAM.format(restart=_RESTART), "0755")
    _until_forwarding_is_off(host, lambda: host.run("su", "-", "root", "-c", "/usr/local/sbin/renew"))


def install_network_service(host: LabHost) -> None:
    """Healthy so far: the service is started and enabled, and dockerd switched forwarding on after it."""
    host.run("mkdir", "-p", "/etc/rc.d/init.d", "/etc/sysconfig/network-scripts")
    write(host, "/etc/rc.d/init.d/network", _SCRIPT, "0755")
    write(host, "/etc/systemd/system/network.service", _UNIT)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--quiet", "--now", "network.service")


def _start_panel(host: LabHost, user: str, restart: str) -> None:
    install_network_service(host)
    write(host, "/usr/local/bin/webpanel", _PANEL, "0755")
    write(host, "/etc/systemd/system/webpanel.service", _PANEL_UNIT.format(user=user, restart=restart))
    host.run("install", "-o", user, "/dev/null", "/etc/sysconfig/network-scripts/ifcfg-host0:1")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--quiet", "--now", "webpanel.service")
    wait_for(f"{host.name}: the web panel listens", lambda: ":8080" in host.sh("ss -Hltn sport = :8080"), timeout=10)


def change_address(host: LabHost) -> None:
    """Have the panel, which is installed, change the address and restart the network."""
    post = ("curl", "-sS", "--fail", "--data-raw", _ADDRESS, "http://127.0.0.1:8080/address")
    _until_forwarding_is_off(host, lambda: host.run(*post))


def _until_forwarding_is_off(host: LabHost, act: Callable[[], object]) -> None:
    act()
    wait_for(f"{host.name}: the network service switched forwarding off", lambda: forwarding(host) == "0", timeout=10)


def forwarding(host: LabHost) -> str:
    """The host's own ip_forward: a path below /proc/PID/root shows the value of whoever reads it."""
    return host.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip()
