"""The gather script in a real shell over real SSH: one exec, whole frames, no trace left."""

import asyncio
import shutil
import subprocess
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from checks.collect.engine import Engine
from checks.collect.gather import gather, root_lines, script, sort_out, unframe, whole
from checks.collect.ssh import Connection
from checks.errors import OutputUnreadableError
from checks.facts import ALL_FACTS, COUNTING
from checks.facts.forwarding import FORWARDING
from checks.facts.path import PATH
from checks.facts.root_session import SESSION
from checks.facts.sockets import SOCKETS
from checks.model import Output, Service
from checks.source import Facts, Probe, Source, Unavailable
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


KILLED = 137
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
HELPER = Path(__file__).parents[2] / "deploy/host/dockerhealth-root"


def run_in(shell: str, *argv: str, told: str = "") -> subprocess.CompletedProcess[bytes]:
    applet = ["sh"] if shell == "busybox" else []
    return subprocess.run(  # noqa: S603  # our own script
        [shell, *applet, *argv], input=told.encode(), capture_output=True, check=False, timeout=20
    )


def answered_by(shell: str, *probes: Probe) -> dict[str, Output]:
    asked = Source("asked", probes, lambda _: None)
    done = run_in(shell, "-c", script((SERVICE,), "127.0.0.1", (asked,)))
    _, answer = parted(done.stdout)
    return answer


@pytest.mark.parametrize("shell", SHELLS)
def test_streams_and_status_of_each_probe_are_kept_apart(shell: str) -> None:
    outputs = answered_by(shell, Probe("one", "echo a; echo b >&2; exit 3"), Probe("two", "printf 'x\\n\\n0 1.0'"))
    assert (outputs["one"].stdout, outputs["one"].stderr, outputs["one"].status) == ("a\n", "b\n", 3)
    assert outputs["two"].stdout == "x\n\n0 1.0"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_probe_that_hangs_is_ended_and_the_others_are_not_kept_waiting(shell: str) -> None:
    """Those of the same deadline share what minds it."""
    quick = (Probe("quick", "echo here", timeout=1), Probe("quick-too", "echo here; exit 3", timeout=2))
    stuck = (Probe("stuck", "exec sleep 30", timeout=1), Probe("never-begun", "echo", timeout=1, before="sleep 30"))
    outputs = answered_by(shell, *stuck, *quick)
    kept, missing = sort_out(outputs)
    assert {name: (output.stdout, output.status) for name, output in kept.items()} == {
        "quick": ("here\n", 0),
        "quick-too": ("here\n", 3),
    }
    assert all("deadline" in missing[probe.name].reason for probe in stuck)
    assert max(outputs[probe.name].ms or 0 for probe in quick) < (outputs["stuck"].ms or 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_probe_that_will_not_end_is_killed(shell: str) -> None:
    outputs = answered_by(shell, Probe("deaf", "trap '' TERM; sleep 15; sleep 15", timeout=1))
    assert outputs["deaf"].status == KILLED
    assert "deadline" in sort_out(outputs)[1]["deaf"].reason


@pytest.mark.parametrize("shell", SHELLS)
def test_what_several_probes_ask_first_is_asked_once_and_its_refusal_is_the_status_of_each(
    shell: str, tmp_path: Path
) -> None:
    refuses, agrees = f"echo asked >>{tmp_path}/refuses; exit 5", f"echo asked >>{tmp_path}/agrees"
    outputs = answered_by(
        shell,
        *(Probe(name, "echo here", before=refuses) for name in ("one", "two")),
        *(Probe(name, "echo here; exit 3", before=agrees) for name in ("three", "four")),
    )
    assert {name: (output.stdout, output.status) for name, output in outputs.items() if name != "asleep"} == {
        **dict.fromkeys(("one", "two"), ("", 5)),
        **dict.fromkeys(("three", "four"), ("here\n", 3)),
    }
    assert [(tmp_path / name).read_text() for name in ("refuses", "agrees")] == ["asked\n"] * 2


@pytest.mark.parametrize("shell", SHELLS)
def test_a_probe_that_floods_is_stopped_on_the_host(shell: str) -> None:
    kept, missing = sort_out(answered_by(shell, Probe("flood", "exec cat /dev/zero", timeout=4)))
    assert not kept
    assert "cap" in missing["flood"].reason


async def test_probes_that_flood_cost_themselves_alone_and_no_more_memory_than_they_may_print(server: Sshd) -> None:
    floods = tuple(Probe(f"flood-{number}", "exec head -c 9000000 /dev/zero", timeout=4) for number in range(8))
    large = Probe("large", "exec head -c 1900000 /dev/zero | tr '\\0' x")
    asked = Source("asked", (*floods, large, Probe("small", "echo here")), lambda _: None)
    connection = Connection(server.host)
    tracemalloc.start()
    try:
        facts = await gather(connection, Engine(connection), (SERVICE,), lambda: datetime.now(UTC), sources=(asked,))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await connection.close()
    assert set(facts.missing) == {flood.name for flood in floods}
    assert (len(facts.outputs["large"].stdout), facts.outputs["small"].stdout) == (1_900_000, "here\n")
    assert most < 30_000_000


@pytest.mark.parametrize("shell", SHELLS)
def test_a_service_is_data_and_never_code(shell: str, tmp_path: Path) -> None:
    """What the configuration would refuse anyway does not run here either."""
    evil = Service("registry", f"http://127.0.0.1:5000/'$(touch {tmp_path}/owned);`touch {tmp_path}/owned`")
    echo = Source("echo", (Probe("echo", 'printf "%s" "$SERVICES"'),), lambda _: None)
    run_in(shell, "-c", script((evil,), "127.0.0.1", (echo,)))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("url", "asked"),
    [("http://127.0.0.1:5000/", False), ("http://[fd77::1]:5000/", True), ("http://registry.example:5000/", True)],
)
def test_ipv6_is_asked_about_only_where_a_service_may_be_reached_by_it(url: str, *, asked: bool) -> None:
    assert ("addresses-ipv6" in script((Service("registry", url),), "10.0.0.1")) is asked


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_leaves_nothing_behind(shell: str) -> None:
    folder = Path(answered_by(shell, Probe("where", "pwd"))["where"].stdout.strip())
    assert folder.name.startswith("dockerhealth.")
    assert not folder.exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_that_asks_for_root_answers_for_itself_and_for_root_and_again_when_told_to_count(shell: str) -> None:
    """Root's session is not installed on this machine, or has nothing to say of it: it says so each time."""
    done = run_in(shell, "-c", script((SERVICE,), "127.0.0.1"), told="watch 5000\ncount\n")
    answers = list(parted(done.stdout))
    assert [set(answer) & {"asleep", "forwarding", "root", "counters"} for answer in answers] == [
        {"asleep"},
        {"forwarding", "counters"},
        {"root"},
        {"root"},
        {"counters"},
        {"root"},
    ]


SYSTEMCTL = """#!/bin/sh
[ "$*" = 'is-active docker.socket docker.service' ] || exit 1
printf '%s\\n%s\\n' {}
"""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("states", "asleep"),
    [
        ("active inactive", True),
        ("active failed", True),
        ("active active", False),
        ("active activating", False),
        ("inactive inactive", False),
    ],
)
def test_a_dockerd_that_only_waits_for_a_question_is_told_first_of_all(
    shell: str, tmp_path: Path, states: str, *, asleep: bool
) -> None:
    """Where no dockerd runs, as on this machine, systemd is asked; docker itself is not."""
    (tmp_path / "systemctl").write_text(SYSTEMCTL.format(states))
    (tmp_path / "docker").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    text = script((SERVICE,), "127.0.0.1", (PATH,)).replace("PATH=/usr/sbin", f"PATH={tmp_path}:/usr/sbin")
    first, *_ = parted(run_in(shell, "-c", text).stdout)
    assert first["asleep"].stdout == ("1" if asleep else "")
    assert (tmp_path / "asked").exists() is not asleep


def parted(received: bytes) -> Iterator[dict[str, Output]]:
    while (length := whole(received)) is not None:
        yield {name: raw.decoded for name, raw in unframe(received[:length]).items()}
        received = received[length:]
    assert received == b""


def told_the_helper(shell: str, told: str) -> tuple[list[dict[str, Output]], str]:
    done = run_in(shell, str(HELPER), "look", told=told)
    return list(parted(done.stdout)), done.stderr.decode()


@pytest.mark.parametrize("shell", SHELLS)
def test_root_s_session_reads_all_that_root_is_asked_for_once_and_what_counts_as_often_as_told(shell: str) -> None:
    answers, said = told_the_helper(shell, "facts 5000 80\ncount\ncount\n")
    of_all = {probe.name for source in ALL_FACTS for probe in source.probes if isinstance(probe, Probe) and probe.root}
    counting = {probe.name for source in COUNTING for probe in source.probes if isinstance(probe, Probe) and probe.root}
    assert [set(answer) for answer in answers] == [of_all - {SESSION}, counting, counting]
    assert said.splitlines() == [f"dockerhealth: {how}" for how in ("begun", "facts", "counted", "counted")]


@pytest.mark.parametrize(
    "told", ["facts 5000;id\n", "facts 0\n", "facts 70000\n", "count\nrun 5000\n", "facts $(id)\n", "\n"]
)
def test_root_s_session_takes_no_other_words_and_ends(told: str) -> None:
    answers, said = told_the_helper("dash", told)
    assert len(answers) == told.count("count")
    assert "dockerhealth-root: refused: " in said


def test_root_s_session_leaves_nothing_behind() -> None:
    where_it_works = Path("/dev/shm")  # noqa: S108  # as a look does
    before = set(where_it_works.glob("dockerhealth-root.*"))
    told_the_helper("dash", "facts 5000\n")
    until = time.monotonic() + 20
    for folder in set(where_it_works.glob("dockerhealth-root.*")) - before:
        while folder.exists():  # that of another test ends with it
            assert time.monotonic() < until, folder
            time.sleep(0.05)


def test_the_helper_asks_what_the_facts_say_and_in_the_way_in_which_they_say_it() -> None:
    assert root_lines() in HELPER.read_text(), f"these lines belong into {HELPER.name}:\n{root_lines()}"


def test_an_answer_that_the_host_had_no_room_for_is_told_as_that() -> None:
    """Every probe has ended when it is handed over: a status that is empty was not written."""
    answer = b"start 0 1.0\nforwarding.out 0 1.0\nforwarding.err 0 1.0\nforwarding.status 0 2.0\n\n"
    _, missing = sort_out({name: raw.decoded for name, raw in unframe(answer).items()})
    assert "no room" in missing["forwarding"].reason


def test_an_answer_cut_short_is_refused_whole() -> None:
    with pytest.raises(ValueError, match="bytes where"):
        unframe(b"start 0 1.0\none.out 5 1.0\none.err 0 1.0\none.status 2 1.0\n\nhel")


async def test_sockets_of_this_very_machine_are_read(server: Sshd) -> None:
    facts = await snapshot(server)
    found = facts.get(SOCKETS)
    assert not isinstance(found, Unavailable)
    assert server.host.login.port in {listening.port for listening in found}
