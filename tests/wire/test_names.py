"""Names, asked of a real name server: what it says, and what is made of its silence."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from checks.collect import names
from checks.collect.name_servers import not_asked
from checks.collect.reach import reach
from checks.collect.ssh import Connection
from checks.errors import LookError
from checks.model import Host, Login, OwnTrouble, Phase, ReachOutcome, Reading, Service, ServiceKind
from tests.wire.name_server import NameServer, name_server
from tests.wire.sshd import sshd
from tests.wire.test_own_trouble import no_descriptors

NAME = "registry.example"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """The only name server that this machine has."""
    async with name_server() as running:
        yield running


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


async def read(target: str, listener: socket.socket) -> Reading:
    url = f"tcp://{target}:{listener.getsockname()[1]}"
    return await reach(Service("registry", url, ServiceKind.TCP), lambda: datetime.now(UTC))


async def test_an_address_is_reached_while_every_thread_of_the_event_loop_waits_for_a_name(
    listener: socket.socket,
) -> None:
    """As they do when the system is asked for names that no name server answers for."""
    may_end = Event()
    threads = ThreadPoolExecutor(2)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)
    try:
        for _ in range(4):
            loop.run_in_executor(None, may_end.wait)
        assert (await read("127.0.0.1", listener)).ok
    finally:
        may_end.set()


async def test_a_name_leads_where_the_name_server_says(server: NameServer, listener: socket.socket) -> None:
    server.names[NAME] = ["127.0.0.1"]
    reading = await read(NAME, listener)
    assert (reading.ok, reading.address) == (True, "127.0.0.1")


def of_the_hosts_file() -> tuple[str, str]:
    """The first name that this machine's /etc/hosts has, and its address."""
    lines = (line.split("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines())
    return next((words[1], words[0]) for words in lines if len(words) > 1)


async def test_a_name_of_the_hosts_file_needs_no_name_server(server: NameServer) -> None:
    name, address = of_the_hosts_file()
    assert address in {info[4][0] for info in await names.addresses_of(name, 5000)}
    assert server.asked == []


async def test_a_name_that_does_not_exist_is_a_finding(server: NameServer, listener: socket.socket) -> None:
    reading = await read(NAME, listener)
    assert (reading.phase, reading.ended, reading.unsound) == (Phase.RESOLVE, ReachOutcome.NAME_UNKNOWN, None)
    assert NAME in server.asked


async def test_a_name_that_no_descriptor_is_left_to_ask_for_is_not_unknown(
    server: NameServer, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it has no address of IPv6 is remembered by c-ares; of IPv4 nobody could be asked."""
    monkeypatch.setattr(names, "_FRESH_FOR", (0.0, 0.0))
    server.names[NAME] = ["127.0.0.1"]
    assert (await read(NAME, listener)).ok
    with no_descriptors():
        found = await names.addresses_of(NAME, 5000)
    assert [info[4][0] for info in found] == ["127.0.0.1"]  # as it was before


@pytest.mark.parametrize(
    ("hosts", "name", "source"),
    [
        ("files dns", NAME, ""),
        ("files resolve [!UNAVAIL=return] dns myhostname", NAME, ""),
        ("files mdns4_minimal [NOTFOUND=return] dns", NAME, ""),
        ("files mdns4_minimal [NOTFOUND=return] dns", "registry.local", "mdns4_minimal"),
        ("files ldap dns  # ours", NAME, "ldap"),
    ],
)
def test_what_another_source_of_the_system_may_know_is_not_said_to_be_unknown(
    hosts: str, name: str, source: str
) -> None:
    assert not_asked(name, f"passwd: files ldap\nhosts: {hosts}\nnetworks: files\n") == source


@pytest.mark.parametrize("trouble", ["is_silent", "fails"])
async def test_a_name_server_that_does_not_tell_makes_no_reading(
    server: NameServer, listener: socket.socket, trouble: str
) -> None:
    setattr(server, trouble, True)
    reading = await read(NAME, listener)
    assert (reading.ok, reading.phase, reading.unsound) == (False, Phase.RESOLVE, OwnTrouble.NO_NAME_SERVER)
    assert reading.ms < 2_000


async def test_what_a_silent_name_server_said_before_still_holds(
    server: NameServer, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_FRESH_FOR", (0.0, 0.0))
    server.names[NAME] = ["127.0.0.1"]
    assert (await read(NAME, listener)).ok
    server.is_silent = True
    waited, at_once = await read(NAME, listener), await read(NAME, listener)
    assert (waited.ok, at_once.ok) == (True, True)
    assert at_once.ms < 500


async def test_a_hundred_readings_of_one_name_are_one_question(server: NameServer, listener: socket.socket) -> None:
    server.names[NAME] = ["127.0.0.1"]
    readings = await asyncio.gather(*(read(NAME, listener) for _ in range(100)))
    assert all(reading.ok for reading in readings)
    assert len(server.asked) == len(["A", "AAAA"])


async def test_a_host_of_a_name_is_logged_in_to(server: NameServer, tmp_path: Path) -> None:
    async with sshd(tmp_path) as host:
        server.names["host1.example"] = ["127.0.0.1"]
        login = host.host.login
        known = login.known_hosts.read_text().replace("127.0.0.1", "host1.example") if login.known_hosts else ""
        (tmp_path / "known_hosts").write_text(known)
        connection = Connection(Host("host1", "host1.example", (), login))
        try:
            assert (await connection.run("echo here", what="echo", timeout=5)).stdout == b"here\n"
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("trouble", "why"), [("is_silent", "watcher-trouble"), ("", "ssh-name-unknown")], ids=["silent", "no such name"]
)
async def test_a_host_whose_name_leads_nowhere_is_told_as_that(
    server: NameServer,
    trouble: str,
    why: str,
) -> None:
    server.is_silent = bool(trouble)
    connection = Connection(Host("host1", "host1.example", (), Login(known_hosts=Path("/nonexistent"))))
    with pytest.raises(LookError) as caught:
        await connection.connected()
    assert caught.value.id == why
    assert "host1.example" in str(caught.value)
