"""A peer asked over real SSH, in a real shell: what it sees of services, and what it is when it sees nothing."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from checks.collect.peers import Seen, ask, ask_peers
from checks.collect.ssh import Connection
from checks.errors import LookError, SshTimedOutError
from checks.model import Host, Phase, ReachOutcome, Service, ServiceKind, Vantage
from tests.wire.cable import Cable
from tests.wire.sshd import Children, Sshd, sshd
from tests.wire.test_reach import REGISTRY, serving

NOWHERE = "192.0.2.7"  # RFC 5737: an address of nobody


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path) as running:
        yield running


async def test_each_service_is_seen_for_what_it_is_in_one_round_trip(peer: Sshd) -> None:
    connection = Connection(peer.host)
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with serving(REGISTRY) as registry, serving(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as gateway:
            seen = await ask(
                connection,
                (
                    Service("registry", f"http://127.0.0.1:{registry}/v2/"),
                    Service("gateway", f"http://127.0.0.1:{gateway}/", ServiceKind.HTTP),
                    Service("mute", f"tcp://127.0.0.1:{mute.getsockname()[1]}", ServiceKind.TCP),
                    Service("nobody", f"http://127.0.0.1:{free.getsockname()[1]}/v2/"),
                    Service("nameless", "http://nowhere.invalid:5000/v2/"),
                ),
                now,
            )
    await connection.close()
    readings = [one.reading for one in seen if isinstance(one, Seen)]
    assert [(one.ended, one.status) for one in readings[:4]] == [
        (ReachOutcome.ANSWERED, 200),
        (ReachOutcome.BAD_STATUS, 502),
        (ReachOutcome.ANSWERED, None),
        (ReachOutcome.REFUSED, None),
    ]
    assert not readings[4].ok
    assert readings[2].phase is Phase.CONNECT
    assert {(one.vantage, one.by) for one in readings} == {(Vantage.PEER, "host1")}
    assert len(peer.commands) == 1


async def says_hello(process: asyncssh.SSHServerProcess[bytes], _: Children) -> None:
    process.stdout.write(b"Welcome to this host!\n")
    process.exit(0)


async def says_nothing(process: asyncssh.SSHServerProcess[bytes], _: Children) -> None:
    await process.wait_closed()


@pytest.mark.parametrize(("answer", "trouble"), [(says_hello, "output-unreadable"), (says_nothing, "ssh-timed-out")])
async def test_a_peer_that_gives_no_answer_is_a_trouble_and_no_reading(
    tmp_path: Path, answer: object, trouble: str
) -> None:
    service = Service("registry", f"http://{NOWHERE}:5000/v2/")
    async with sshd(tmp_path, answer) as running:  # type: ignore[arg-type]  # one of the two above
        connection = Connection(running.host)
        with pytest.raises(LookError) as raised:
            await ask(connection, (service,), now)
        assert raised.value.id == trouble
        await connection.close()


async def test_a_peer_that_takes_no_login_is_given_up_before_the_check_becomes_slow(tmp_path: Path) -> None:
    service = Service("registry", f"http://{NOWHERE}:5000/v2/")
    async with sshd(tmp_path) as running:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            login = replace(running.host.login, port=mute.getsockname()[1])
            started = time.perf_counter()
            with pytest.raises(LookError) as raised:
                await ask(Connection(replace(running.host, login=login)), (service,), now)
    assert raised.value.id == "ssh-timed-out"
    assert time.perf_counter() - started < 4


async def test_a_host_of_this_very_machine_is_no_peer_and_its_services_are_not_asked_for(peer: Sshd) -> None:
    service = Service("registry", f"http://{NOWHERE}:5000/v2/")
    broken = Host("host2", NOWHERE, (service,), peer.host.login)
    connections = {host.name: Connection(host) for host in (peer.host, broken)}
    assert await ask_peers(connections, broken, (service,), now) == {}
    local = Service("registry", "http://127.0.0.1:5000/v2/")
    assert await ask_peers(connections, peer.host, (local,), now) == {}
    assert peer.commands == []


async def test_without_another_host_or_a_service_to_ask_for_nobody_is_asked(peer: Sshd) -> None:
    connections = {peer.host.name: Connection(peer.host)}
    assert await ask_peers(connections, peer.host, (), now) == {}
    assert await ask_peers(connections, peer.host, (Service("s", f"http://{NOWHERE}:5000/"),), now) == {}


async def test_a_host_that_went_silent_on_a_warm_connection_is_told_within_the_connect_deadline(peer: Sshd) -> None:
    cable = Cable(peer.host.login.port or 0)
    async with await asyncio.start_server(cable.plug, "127.0.0.1", 0) as server:
        host = cable.leads_to(peer, server)
        connection = Connection(replace(host, login=replace(host.login, connect_timeout=1.0)))
        await connection.run("true", what="a command", timeout=5)
        cable.cut.set()
        with pytest.raises(SshTimedOutError, match="on the SSH connection that it had"):
            await connection.run("true", what="a command", timeout=20)
        assert not connection.is_warm
        await cable.close()
