"""The connection to a host: warm, verified, bounded, and one typed error for each way of failing."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from checks.collect.ssh import OUTPUT_CAP, Connection, Refusals, offered_host_key
from checks.errors import (
    CommandTimedOutError,
    OutputTooLargeError,
    SshClosedError,
    SshHostKeyChangedError,
    SshHostKeyUnknownError,
    SshLoginRefusedError,
    SshLoginTimedOutError,
    SshLostError,
    SshRefusedError,
    SshSessionTimedOutError,
)
from checks.model import Host, Login
from tests.wire.sshd import Sshd, sshd


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path) as running:
        yield running


@pytest.fixture
async def connection(server: Sshd) -> AsyncIterator[Connection]:
    connection = Connection(server.host)
    yield connection
    await connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a long login be a short one."""
    monkeypatch.setattr("checks.collect.ssh._LONG_LOGIN", 1.0)


def changed(host: Host, **login: object) -> Host:
    return replace(host, login=replace(host.login, **login))  # type: ignore[arg-type]


async def run(host: Host, command: str = "true", timeout: float = 5) -> object:  # noqa: ASYNC109  # the door's own
    connection = Connection(host)
    try:
        return await connection.run(command, what="a test", timeout=timeout)
    finally:
        await connection.close()


async def test_both_streams_and_the_status_are_kept_apart(connection: Connection) -> None:
    raw = await connection.run("echo out; echo err >&2; exit 7", what="a test", timeout=5)
    assert (raw.stdout, raw.stderr, raw.status) == (b"out\n", b"err\n", 7)


async def test_one_login_serves_many_commands_side_by_side(server: Sshd, connection: Connection) -> None:
    await asyncio.gather(*(connection.run("true", what="a test", timeout=5) for _ in range(12)))
    assert len(server.connections) == 1


async def test_a_lost_connection_is_an_error_of_its_own_and_the_next_command_connects_anew(
    server: Sshd, connection: Connection
) -> None:
    await connection.run("true", what="a test", timeout=5)
    running = asyncio.create_task(connection.run("exec sleep 5", what="a test", timeout=5))
    while await server.arrived.get() != "exec sleep 5":
        pass
    server.cut()
    with pytest.raises(SshLostError, match="host1"):
        await running
    assert (await connection.run("echo back", what="a test", timeout=5)).stdout == b"back\n"


async def test_a_command_that_does_not_end_is_given_up(connection: Connection) -> None:
    with pytest.raises(CommandTimedOutError, match=r"host1: a test did not end within 0\.2 s"):
        await connection.run("exec sleep 3", what="a test", timeout=0.2)
    assert (await connection.run("echo still warm", what="a test", timeout=5)).stdout == b"still warm\n"


async def test_a_command_that_floods_is_cut_off(connection: Connection) -> None:
    with pytest.raises(OutputTooLargeError, match="host1"):
        await connection.run(f"head -c {OUTPUT_CAP + 1} /dev/zero", what="a test", timeout=20)


async def test_nobody_listening_is_refused(server: Sshd) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(SshRefusedError, match="is sshd running"):
            await run(changed(server.host, port=free.getsockname()[1]))


async def test_a_server_that_says_nothing_took_the_connection_all_the_same(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = changed(server.host, port=mute.getsockname()[1], connect_timeout=0.2)
        with pytest.raises(SshLoginTimedOutError, match=r"took the SSH connection and said nothing for 0\.2 s"):
            await run(host)


async def test_a_server_that_takes_the_connection_and_closes_it_is_there(server: Sshd) -> None:
    """As sshd does with too many logins at once (MaxStartups), and with an address that it penalises."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as closing:
        with pytest.raises(SshClosedError, match="took the SSH connection, and no login came of it"):
            await run(changed(server.host, port=closing.sockets[0].getsockname()[1]))


# --- a login that takes its time ---


async def test_a_login_that_outlasts_the_connect_deadline_is_waited_for_once_the_host_has_spoken(server: Sshd) -> None:
    server.login.clear()
    asyncio.get_running_loop().call_later(1.0, server.login.set)
    assert await run(changed(server.host, connect_timeout=0.5))


async def test_a_session_that_outlasts_the_connect_deadline_is_waited_for_on_the_same_login(server: Sshd) -> None:
    server.session.clear()
    asyncio.get_running_loop().call_later(1.0, server.session.set)
    assert await run(changed(server.host, connect_timeout=0.5))
    assert len(server.connections) == 1


async def test_a_session_that_takes_long_is_told_soon_and_found_by_who_asks_next(
    server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a logind that hangs: PAM gives it up after 25 s, and who looks at a host is to know by ten."""
    monkeypatch.setattr("checks.collect.ssh._SAID_AFTER", 0.6)
    server.session.clear()
    asyncio.get_running_loop().call_later(1.5, server.session.set)
    connection, clock = Connection(changed(server.host, connect_timeout=0.5)), asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(SshSessionTimedOutError, match=r"the session does not start within 0\.6 s"):
        await connection.run("true", what="a test", timeout=5)
    assert clock() - began < 1.4
    with pytest.raises(SshSessionTimedOutError):
        await connection.run("true", what="a test", timeout=5)
    assert (await connection.run("echo here", what="a test", timeout=5)).stdout == b"here\n"
    assert len(server.connections) == 1
    await connection.close()


@pytest.mark.usefixtures("impatient")
async def test_a_login_that_never_ends_is_no_host_that_is_silent(server: Sshd) -> None:
    server.login.clear()
    with pytest.raises(SshLoginTimedOutError, match=r"its sshd \(AsyncSSH.*\) answers, and the login of dockerhealth"):
        await run(changed(server.host, connect_timeout=0.5))


@pytest.mark.usefixtures("impatient")
async def test_a_session_that_never_starts_is_told_as_a_login_that_worked(server: Sshd) -> None:
    server.session.clear()
    with pytest.raises(SshSessionTimedOutError, match="logged in as dockerhealth, and the session does not start"):
        await run(changed(server.host, connect_timeout=0.5))


@pytest.mark.usefixtures("impatient")
async def test_a_host_whose_sessions_do_not_start_is_not_asked_again_at_once(server: Sshd) -> None:
    server.session.clear()
    connection = Connection(changed(server.host, connect_timeout=0.5))
    for _ in range(3):
        with pytest.raises(SshSessionTimedOutError):
            await connection.run("true", what="a test", timeout=5)
    assert len(server.connections) == 1
    await connection.close()


async def test_what_a_login_took_is_not_taken_off_a_commands_own_deadline(server: Sshd) -> None:
    server.session.clear()
    asyncio.get_running_loop().call_later(1.0, server.session.set)
    connection = Connection(server.host)
    assert (await connection.run("echo here", what="a test", timeout=0.9)).stdout == b"here\n"
    await connection.close()


async def test_a_key_that_the_host_does_not_know_is_a_refused_login(server: Sshd, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "stranger")
    with pytest.raises(SshLoginRefusedError, match="authorized_keys"):
        await run(changed(server.host, identity_file=tmp_path / "stranger"))


@pytest.mark.parametrize("known_hosts", ["empty", "absent"])
async def test_a_host_key_that_was_never_pinned_is_not_trusted(server: Sshd, tmp_path: Path, known_hosts: str) -> None:
    if known_hosts == "empty":
        (tmp_path / known_hosts).write_text("")
    with pytest.raises(SshHostKeyUnknownError, match="dockerhealth trust host1"):
        await run(changed(server.host, known_hosts=tmp_path / known_hosts))


async def test_another_host_key_than_the_pinned_one_is_an_alarm(server: Sshd, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
    port = server.host.login.port
    (tmp_path / "other").write_bytes(f"[127.0.0.1]:{port} ".encode() + other)
    with pytest.raises(SshHostKeyChangedError, match="Someone may be in between"):
        await run(changed(server.host, known_hosts=tmp_path / "other"))
    assert server.commands == []


async def test_the_offered_key_is_shown_as_a_line_and_a_fingerprint_and_is_the_one_to_pin(
    server: Sshd, tmp_path: Path
) -> None:
    line, fingerprint = await offered_host_key(server.host)
    assert fingerprint.startswith("SHA256:")
    (tmp_path / "pinned").write_text(line + "\n")
    assert await run(changed(server.host, known_hosts=tmp_path / "pinned"))


async def test_a_host_behind_another_is_reached_through_it_and_both_keys_are_verified(
    server: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "jump").mkdir()
    async with sshd(tmp_path / "jump") as jump:
        jump_pinned = (tmp_path / "jump/known_hosts").read_text()
        both = tmp_path / "both"
        both.write_text((tmp_path / "known_hosts").read_text() + jump_pinned)
        (tmp_path / "jump/authorized_keys").write_bytes((tmp_path / "authorized_keys").read_bytes())
        through = changed(server.host, proxy_jump=f"jumper@127.0.0.1:{jump.host.login.port}", known_hosts=both)
        assert await run(through)
        assert len(jump.connections) == 1
        with pytest.raises(SshHostKeyUnknownError, match="by way of"):
            await run(changed(through, known_hosts=tmp_path / "known_hosts"))


async def test_a_host_that_refuses_is_not_asked_again_at_once(server: Sshd, tmp_path: Path) -> None:
    """A broken host must not be hammered by every check; the second answer is the first one's, without an attempt."""
    (tmp_path / "none").write_text("")
    connection = Connection(changed(server.host, known_hosts=tmp_path / "none"))
    for _ in range(3):
        with pytest.raises(SshHostKeyUnknownError):
            await connection.run("true", what="a test", timeout=5)
    assert len(server.connections) == 1
    await connection.close()


async def test_a_refusal_that_is_told_again_holds_nothing_of_who_was_told_it_before(tmp_path: Path) -> None:
    """An error that was raised has the frames that it passed, and with them all that a look had found by then."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        login = Login(port=taken.getsockname()[1], known_hosts=tmp_path / "known_hosts")
        connection, told = Connection(Host("host1", "127.0.0.1", (), login)), []
        for _ in range(3):
            with pytest.raises(SshRefusedError) as error:
                await connection.connected()
            told.append(error)
    assert len(told[1].traceback) == len(told[2].traceback) == 2
    assert told[2].value.__cause__ is None


async def test_an_sshd_that_refused_a_login_is_left_alone_by_all_who_reach_it_and_its_refusal_is_told_on(
    server: Sshd, tmp_path: Path
) -> None:
    """OpenSSH 9.8 counts refused logins by the address that they come from, and then drops valid keys too."""
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "stranger")
    refusals = Refusals()
    hosts = [replace(changed(server.host, identity_file=tmp_path / "stranger"), name=name) for name in ("one", "two")]
    for host in hosts * 2:
        with pytest.raises(SshLoginRefusedError, match="one: refused the login"):
            await Connection(host, refusals).run("true", what="a test", timeout=5)
    assert len(server.connections) == 1


async def test_an_sshd_that_drops_us_after_a_refused_login_is_told_as_that_and_not_as_a_lost_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checks.collect.ssh._REFUSED_FIRST", 0.0)

    async def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as dropping:
        (tmp_path / "known_hosts").write_text("")
        login = Login("dockerhealth", port=dropping.sockets[0].getsockname()[1], known_hosts=tmp_path / "known_hosts")
        host, refusals = Host("host1", "127.0.0.1", (), login), Refusals()
        with pytest.raises(SshClosedError):
            await Connection(host, refusals).connected()
        refusals.note(host, SshLoginRefusedError("host1", "host1: refused the login of dockerhealth"))
        with pytest.raises(SshLoginRefusedError, match="PerSourcePenalties"):
            await Connection(host, refusals).connected()
