"""Facts about containers, sockets, disks and the way to the program: read right, and never guessed."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from checks.facts.disks import DISKS
from checks.facts.disks import parse as parse_disks
from checks.facts.engine import CONTAINERS, LOGS
from checks.facts.path import PATH, Certificate, Listener, Rung, Way
from checks.facts.sockets import LISTENERS, SOCKETS, Process
from checks.model import Output, Phase, ReachOutcome, Vantage
from checks.source import UnparsableError
from tests.unit.checks.container_looks import (
    BOOKWORM,
    PLATFORMS,
    PYTHON,
    ROOM,
    answered,
    healthy,
    holding,
    inspected,
    ladder,
    printing,
)

TLS = (
    "* Connected to 172.17.0.2 (172.17.0.2) port 5000\n* Server certificate:\n*  subject: CN=registry.example\n"
    "*  start date: Nov  1 00:00:00 2026 GMT\n*  expire date: Nov  9 10:00:00 2026 GMT\n*  issuer: CN=our own CA\n"
)
GREETED = "*   Trying 10.0.0.1:5000...\n* TLSv1.3 (OUT), TLS handshake, Client hello (1):\n"


def way(printed: str) -> Way:
    return printing(healthy(BOOKWORM), "path", f"{printed}@ end\n").need(PATH).ways[5000]


def rung(status: int, said: str, wrote: str) -> Rung:
    [found] = way(f"@ 5000 rung own 10.0.0.1 {status}\n{said}\n=> {wrote} 0.004\n").rungs
    return found


@pytest.mark.parametrize(
    ("status", "said", "wrote", "phase", "ended"),
    [
        (0, "", "tcp", Phase.CONNECT, ReachOutcome.ANSWERED),
        (1, "bash: connect: Connection refused", "tcp", Phase.CONNECT, ReachOutcome.REFUSED),
        (124, "", "tcp", Phase.CONNECT, ReachOutcome.TIMED_OUT),
        (
            28,
            "* Connected to h (10.0.0.1) port 5000\n* SSL connection timeout",
            "000",
            Phase.HTTP,
            ReachOutcome.TIMED_OUT,
        ),
        (
            28,
            "* connect to 10.0.0.1 port 5000 failed: Timeout was reached",
            "000",
            Phase.CONNECT,
            ReachOutcome.TIMED_OUT,
        ),
        (
            35,
            "* Connected to h (10.0.0.1) port 5000\n* wrong version number",
            "000",
            Phase.TLS,
            ReachOutcome.TLS_FAILED,
        ),
        (35, f"{GREETED}* TLS connect error: wrong version number", "000", Phase.TLS, ReachOutcome.TLS_FAILED),
        (28, f"{GREETED}* Connection timed out after 800 milliseconds", "000", Phase.TLS, ReachOutcome.TIMED_OUT),
        (
            28,
            f"{GREETED}* SSL connection using TLSv1.3\n* Connected to h port 1\n> GET /",
            "000",
            Phase.HTTP,
            ReachOutcome.TIMED_OUT,
        ),
        (35, "* Established connection to h (10.0.0.1 port 5000)\n* alert", "000", Phase.TLS, ReachOutcome.TLS_FAILED),
        (52, "* Connected to h (10.0.0.1) port 5000\n* Empty reply from server", "000", Phase.HTTP, ReachOutcome.RESET),
        (0, "* Connected to h (10.0.0.1) port 5000\nSSH-2.0-OpenSSH", "000", Phase.HTTP, ReachOutcome.NOT_HTTP),
        (6, "* Could not resolve host: registry.example", "000", Phase.RESOLVE, ReachOutcome.NAME_UNKNOWN),
    ],
)
def test_an_attempt_on_the_host_ends_as_curl_or_bash_say(
    status: int, said: str, wrote: str, phase: Phase, ended: ReachOutcome
) -> None:
    found = rung(status, said, wrote)
    assert (found.phase, found.ended) == (phase, ended)


def test_a_certificate_is_read_from_what_curl_says() -> None:
    valid = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, 10, tzinfo=UTC)
    expected = Certificate("CN=registry.example", "CN=our own CA", *valid)
    assert rung(0, TLS, "200").certificate == expected
    assert rung(0, TLS.replace("issuer", "x"), "200").certificate is None


def test_an_attempt_in_the_other_scheme_is_no_rung_of_the_ladder() -> None:
    found = ladder(healthy(BOOKWORM), other=answered(200)).way
    assert {one.vantage for one in found.rungs} == {Vantage.HOST, Vantage.LOOPBACK, Vantage.CONTAINER}
    assert found.other_scheme is not None
    assert found.other_scheme.status == 200


def test_what_listens_in_the_container_is_read_in_the_kernel_s_words() -> None:
    printed = "0100007F:1388\n00000000000000000000000000000000:1389\n00000000000000000000000001000000:138A\n"
    assert way(f"@ 5000 listening\n{printed}").listening == (
        Listener(ip_address("127.0.0.1"), 5000),
        Listener(ip_address("::"), 5001),
        Listener(ip_address("::1"), 5002),
    )
    assert way("@ 5000 listening\n").listening == ()
    assert way("@ 5000 client 10.0.0.2\n").listening is None


def test_the_processes_behind_a_port_are_read_where_ss_shows_them() -> None:
    rows = PYTHON + 'LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=91,fd=7),("systemd",pid=1,fd=9))\n'
    seen = holding(healthy(BOOKWORM), f"{rows}LISTEN 0 5 127.0.0.1:80 0.0.0.0:*\n")
    shown = [one.processes for one in seen.need(LISTENERS)]
    assert shown == [(Process("python3", 6818),), (Process("sshd", 91), Process("systemd", 1)), ()]
    assert [one.port for one in seen.need(SOCKETS)] == [5000, 22, 80]


def test_a_path_is_on_the_filesystem_of_the_nearest_mount() -> None:
    disks = printing(healthy(BOOKWORM), "disks", ROOM.replace("25% /srv/data", "91% /srv/data")).need(DISKS)
    data, root = disks.holding("/srv/data/registry"), disks.holding("/srv/database")
    assert data is not None
    assert root is not None
    assert (data.mount, data.used, data.inodes) == ("/srv/data", 91, None)
    assert (root.mount, root.used, root.inodes) == ("/", 25, 3)
    assert disks.holding("/mnt/nfs/registry") is None


def test_a_bind_mount_is_as_full_as_its_device() -> None:
    """Df lists a device once, by whichever of its mount points it likes best."""
    moved = ROOM.replace("% /var/lib/docker", "% /run/host/os-release").replace(
        "254:0 ", "254:0 /run/host/os-release\n254:0 "
    )
    found = parse_disks({"disks": Output(moved)}).holding("/var/lib/docker/volumes")
    assert found is not None
    assert (found.mount, found.used) == ("/var/lib/docker", 25)


def test_a_mount_point_with_a_space_is_read() -> None:
    spaced = ROOM.replace("254:1 /srv/data", "254:1 /srv/my\\040data").replace("/srv/data", "/srv/my data")
    found = parse_disks({"disks": Output(spaced)}).holding("/srv/my data/x")
    assert found is not None
    assert found.mount == "/srv/my data"


@pytest.mark.parametrize(
    "printed", ["", "@ blocks\n@ inodes\n", ROOM.replace("@ inodes\n", ""), ROOM.replace("25%", "x")]
)
def test_what_df_did_not_say_whole_is_no_fact(printed: str) -> None:
    with pytest.raises(UnparsableError):
        parse_disks({"disks": Output(printed)})


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_is_read_with_what_it_was_told(platform: str) -> None:
    seen = inspected(healthy(platform), lambda one: one["HostConfig"].update(Memory=2**20, CapAdd=["NET_ADMIN"]))
    [container] = seen.need(CONTAINERS)
    assert (container.memory_limit, container.health, container.restarts) == (2**20, None, 0)
    assert container.made.image == "registry:2"
    assert container.made.command == ("/bin/registry", "serve", "/etc/registry.yml")
    assert container.made.run == ("--memory=1048576", "--cap-add=NET_ADMIN")
    assert "PATH" not in container.made.environment
    assert [binding.says for binding in container.bindings_of(5000)] == ["0.0.0.0:5000", "[::]:5000"]


def test_a_log_is_known_by_its_container() -> None:
    assert printing(healthy(BOOKWORM), "engine-logs", '{"a": ["x", "y"]}').need(LOGS) == {"a": ("x", "y")}
