"""The gather script in a real shell over real SSH: one exec, whole frames, no trace left."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from checks.collect.engine import Engine
from checks.collect.gather import gather, script, sort_out, unframe
from checks.collect.ssh import Connection
from checks.errors import OutputUnreadableError
from checks.facts.forwarding import FORWARDING
from checks.facts.sockets import SOCKETS
from checks.model import Output, Service
from checks.source import Facts, Probe, Unavailable
from tests.wire.sshd import Children, Sshd, sshd

SERVICE = Service("registry", "http://127.0.0.1:5000/v2/", container="registry")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path, services=(SERVICE,)) as running:
        yield running


async def snapshot(server: Sshd) -> Facts:
    connection = Connection(server.host)
    engine = Engine(connection)
    try:
        return await gather(connection, engine, (SERVICE,), lambda: datetime.now(UTC))
    finally:
        await engine.close()
        await connection.close()


async def test_all_facts_of_a_host_come_from_one_exec(server: Sshd) -> None:
    facts = await snapshot(server)
    assert len(server.commands) == 1
    assert not isinstance(facts.get(FORWARDING), Unavailable)


async def test_what_the_host_lacks_is_unavailable_and_the_rest_is_there(server: Sshd) -> None:
    """This server forwards no sockets: the Engine could not be asked, which is not the same as no containers."""
    facts = await snapshot(server)
    assert "Engine" in facts.missing["engine-containers"].reason
    assert "forwarding" in facts.outputs


async def test_an_answer_that_is_no_frame_is_told_from_facts(tmp_path: Path) -> None:
    async def banner(process: asyncssh.SSHServerProcess[bytes], _: Children) -> None:
        process.stdout.write(b"Welcome! This account is currently not available.\n")
        process.exit(1)
        await asyncio.sleep(0)

    async with sshd(tmp_path, banner, services=(SERVICE,)) as server:
        with pytest.raises(OutputUnreadableError, match="host1"):
            await snapshot(server)


SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def run_in(shell: str, text: str) -> subprocess.CompletedProcess[bytes]:
    argv = [shell, "sh", "-c", text] if shell == "busybox" else [shell, "-c", text]
    return subprocess.run(argv, capture_output=True, check=False, timeout=20)  # noqa: S603  # our own script


def answered_by(shell: str, *probes: Probe) -> dict[str, Output]:
    done = run_in(shell, script((SERVICE,), "127.0.0.1", probes))
    return unframe(done.stdout, [probe.name for probe in probes])


@pytest.mark.parametrize("shell", SHELLS)
def test_streams_and_status_of_each_probe_are_kept_apart(shell: str) -> None:
    outputs = answered_by(shell, Probe("one", "echo a; echo b >&2; exit 3"), Probe("two", "printf 'x\\n\\n0 1.0'"))
    assert (outputs["one"].stdout, outputs["one"].stderr, outputs["one"].status) == ("a\n", "b\n", 3)
    assert outputs["two"].stdout == "x\n\n0 1.0"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_probe_that_hangs_is_ended_and_the_others_are_not_kept_waiting(shell: str) -> None:
    outputs = answered_by(shell, Probe("stuck", "exec sleep 30", timeout=1), Probe("quick", "echo here"))
    kept, missing = sort_out(outputs)
    assert set(kept) == {"quick"}
    assert "deadline" in missing["stuck"].reason
    assert (outputs["quick"].ms or 0) < (outputs["stuck"].ms or 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_probe_that_floods_is_stopped_on_the_host(shell: str) -> None:
    kept, missing = sort_out(answered_by(shell, Probe("flood", "exec cat /dev/zero", timeout=4)))
    assert not kept
    assert "cap" in missing["flood"].reason


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_probe_asks_first_spares_the_costly_command_and_gives_its_status(shell: str) -> None:
    outputs = answered_by(
        shell, Probe("spared", "echo ran", before="exit 252"), Probe("asked", "echo ran", before="test -e /")
    )
    assert (outputs["spared"].stdout, outputs["spared"].status) == ("", 252)
    assert (outputs["asked"].stdout, outputs["asked"].status) == ("ran\n", 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_service_is_data_and_never_code(shell: str, tmp_path: Path) -> None:
    """What the configuration would refuse anyway does not run here either."""
    evil = Service("registry", f"http://127.0.0.1:5000/'$(touch {tmp_path}/owned);`touch {tmp_path}/owned`")
    run_in(shell, script((evil,), "127.0.0.1", (Probe("echo", 'printf "%s" "$SERVICES"'),)))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_leaves_nothing_behind(shell: str) -> None:
    folder = Path(answered_by(shell, Probe("where", "pwd"))["where"].stdout.strip())
    assert folder.name.startswith("dockerhealth.")
    assert not folder.exists()


def test_an_answer_cut_short_is_refused_whole() -> None:
    with pytest.raises(ValueError, match="bytes where"):
        unframe(b"0 1.0\n5 1.0\n0 1.0\n2 1.0\n\nhel", ["one"])


def test_a_sudo_that_refuses_is_the_reason() -> None:
    _, missing = sort_out({"iptables": Output("", "sudo: a password is required\n", 1)})
    assert missing["iptables"].reason == "sudo-refused: a password is required"


async def test_sockets_of_this_very_machine_are_read(server: Sshd) -> None:
    facts = await snapshot(server)
    found = facts.get(SOCKETS)
    assert not isinstance(found, Unavailable)
    assert server.host.login.port in {listening.port for listening in found}
