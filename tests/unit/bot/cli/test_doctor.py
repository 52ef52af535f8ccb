"""`doctor`: what is judged, what is said, and that it knows the files that are deployed."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from checks.check import Checker
from checks.collect.gather import root_lines, script
from checks.doctor import HELPER_VERSION, KEY_OPTIONS, NEEDED, Requirement, RequirementState, examine, unreachable
from checks.errors import SshLoginRefusedError, SshRefusedError
from checks.execution.receipts import OPEN, START
from checks.facts.installation import INSTALLATION, TOOLS
from checks.facts.rights import RIGHTS
from checks.facts.system import SYSTEM
from checks.model import Host, Login, Output
from checks.rights import LOOKS
from checks.source import Facts, Probe, Unavailable
from tests import recordings

DEPLOY = Path(__file__).parents[4] / "deploy/host"
HEALTHY = recordings.FOLDER / "debian12-docker20.10.24/healthy.json"
INSTALLED = f"""groups dockerhealth docker systemd-journal
home /home/dockerhealth
receipts yes
journal yes
socket yes
traces yes
tool tcpdump
{"".join(f"tool {tool}{chr(10)}" for tool in TOOLS)}helper 0 755 {HELPER_VERSION}
folder 0 755 \nfolder 0 755 \nfolder 0 755 \nfolder 0 755 \nend
"""


def facts(installed: str = INSTALLED, **outputs: Output) -> Facts:
    """A recorded healthy host, asked when its clock said the same, on which this was found installed."""
    recorded = recordings.load(HEALTHY)
    system = recorded.get(SYSTEM)
    assert not isinstance(system, Unavailable)
    return Facts("host1", system.clock, {**recorded.outputs, "installation": Output(installed), **outputs})


def found(facts: Facts) -> dict[str, Requirement]:
    return {one.what: one for one in examine(facts)}


def test_nothing_is_missing_where_all_is_there() -> None:
    assert {one.state for one in examine(facts())} == {RequirementState.THERE}


def test_what_watches_packets_is_not_needed_and_worth_installing() -> None:
    without = found(facts(INSTALLED.replace("tool tcpdump\n", "")))["watching"]
    assert (without.state, without.remedy) == (RequirementState.NOTE, ("apt-get install tcpdump",))
    old = found(facts(INSTALLED.replace("traces yes", "traces no")))["watching"]
    assert old.state is RequirementState.NOTE
    assert "no tracefs" in old.says


@pytest.mark.parametrize(
    ("line", "instead", "what", "remedy"),
    [
        ("receipts yes", "receipts no", "receipts", "install -d -m 0700 -o dockerhealth -g dockerhealth"),
        ("journal yes", "journal no", "journal", "usermod --append --groups systemd-journal dockerhealth"),
        ("tool curl\n", "", "tools", "apt-get install curl"),
        ("helper 0 755", "helper 1000 755", "helper", "chown root:root"),
        ("helper 0 755", "helper 0 775", "helper", "chmod go-w"),
        ("folder 0 755", "folder 0 2775", "helper", "chmod go-w"),
        (HELPER_VERSION, "000000000000", "helper", "install -o root"),
        (HELPER_VERSION, "", "helper", "install -o root"),
    ],
)
def test_what_is_not_as_it_has_to_be_is_named_with_the_command(line: str, instead: str, what: str, remedy: str) -> None:
    one = found(facts(INSTALLED.replace(line, instead, 1)))[what]
    assert one.state is RequirementState.MISSING
    assert remedy in "\n".join(one.remedy)


def test_packages_are_named_as_the_distribution_does() -> None:
    system = recordings.load(HEALTHY).outputs["system"]
    red_hat = replace(system, stdout=re.sub("^ID=.*", 'ID="centos"', system.stdout, flags=re.MULTILINE))
    lacking = INSTALLED.replace("tool sysctl\n", "").replace("tool ip\n", "").replace("tool /usr/bin/ss\n", "")
    assert found(facts(lacking))["tools"].remedy == ("apt-get install iproute2 procps",)
    assert found(facts(lacking, system=red_hat))["tools"].remedy == ("yum install iproute procps-ng",)


def without_engine(installed: str) -> Requirement:
    healthy = facts(installed)
    outputs = {name: output for name, output in healthy.outputs.items() if name != "engine-info"}
    reason = {"engine-info": Unavailable("the Docker Engine: /var/run/docker.sock: open failed")}
    return found(Facts("host1", healthy.at, outputs, reason))["docker"]


def test_why_docker_cannot_be_asked_is_told_apart() -> None:
    assert KEY_OPTIONS in "\n".join(without_engine(INSTALLED).remedy)
    assert "open failed" in without_engine(INSTALLED).says
    no_group = INSTALLED.replace("socket yes", "socket no").replace("dockerhealth docker ", "dockerhealth ")
    assert "not in the group docker" in without_engine(no_group).says
    assert without_engine(no_group).remedy == ("usermod --append --groups docker dockerhealth",)
    assert "is Docker installed" in without_engine(INSTALLED.replace("socket yes", "socket none")).says


@pytest.mark.parametrize(
    ("seconds", "state", "says"),
    [
        (0.5, RequirementState.THERE, "0.5 s from ours"),
        (-1.9, RequirementState.THERE, "1.9 s from ours"),
        (3, RequirementState.NOTE, "3 s behind ours"),
        (-120, RequirementState.NOTE, "120 s ahead of ours"),
    ],
)
def test_a_clock_that_is_off_by_more_than_two_seconds_is_said(
    seconds: float, state: RequirementState, says: str
) -> None:
    healthy = facts()
    at = healthy.at + timedelta(seconds=seconds)
    one = found(Facts("host1", at, healthy.outputs))["clock"]
    assert one.state is state
    assert says in one.says


def test_a_host_that_is_only_looked_at_is_fine_and_said_so() -> None:
    listed = Output((Path(__file__).parents[2] / "checks/sudo/debian12-look.txt").read_text())
    checked = found(facts(INSTALLED.replace("receipts yes", "receipts no"), rights=listed))
    assert {one.what for one in checked.values() if one.state is RequirementState.MISSING} == set()
    assert "only looks here" in checked["fixes"].says
    assert "receipts" not in checked


def test_a_host_that_is_only_looked_at_needs_the_helper_too() -> None:
    listed = Output((Path(__file__).parents[2] / "checks/sudo/debian12-look.txt").read_text())
    without_helper = re.sub(r"^(helper|folder) .*\n", "", INSTALLED, flags=re.MULTILINE)
    checked = found(facts(without_helper, rights=listed))
    assert checked["helper"].state is RequirementState.MISSING


def test_root_needs_no_sudo_and_is_warned_of() -> None:
    checked = found(facts(rights=Output("user root 0\nend\n")))
    assert checked["sudo"].state is RequirementState.NOTE
    assert "nothing bounds" in checked["sudo"].says
    assert not {"looks", "fixes"} & checked.keys()


def test_what_could_not_be_told_is_missing_with_its_reason() -> None:
    checked = found(facts("groups x\n", rights=Output("", "cut off")))
    assert {checked[what].state for what in ("sudo", "installation")} == {RequirementState.MISSING}
    assert checked["installation"].says == "could not be told: what is installed was cut off"


@pytest.mark.parametrize(
    ("told", "state"), [(INSTALLED, RequirementState.MISSING), ("groups x\n", RequirementState.NOTE)]
)
def test_a_fact_that_the_host_cannot_tell_is_named_and_is_no_news_where_something_is_missing(
    told: str, state: RequirementState
) -> None:
    one = found(facts(told, bus=Output("", "busctl: not found", 127)))["facts"]
    assert (one.state, one.says) == (state, "could not be asked: D-Bus: busctl ended with 127: busctl: not found")


def test_facts_that_are_wanting_for_one_reason_are_one_line() -> None:
    healthy = facts()
    looks = {probe.name for source in NEEDED for probe in source.probes if isinstance(probe, Probe) and probe.root}
    kept = {name: output for name, output in healthy.outputs.items() if name not in looks}
    refused = Facts(
        "host1", healthy.at, kept, dict.fromkeys(looks, Unavailable("sudo-refused: a password is required"))
    )
    [one] = [one for one in examine(refused) if one.what == "facts"]
    names = (
        "firewalld, firewalld's direct rules, netfilter, netfilter of IPv6, legacy netfilter, "
        "legacy netfilter of IPv6, nftables, listening processes, processes that take ports, root's session"
    )
    assert one.says == f"could not be asked: {names}: sudo-refused: a password is required"


# --- what is deployed --------------------------------------------------------------------------------------------


def test_the_helper_says_its_version_which_changes_with_every_change_of_it() -> None:
    lines = (DEPLOY / "dockerhealth-root").read_text().splitlines(keepends=True)
    [version] = [line for line in lines if line.startswith("# Version ")]
    others = "".join(line for line in lines if line != version)
    digest = hashlib.sha256(others.encode()).hexdigest()[:12]
    assert version.split()[2] == f"{digest}:", f"it has changed: write Version {digest} there, and in checks/doctor.py"
    assert digest == HELPER_VERSION


def test_the_key_s_options_are_those_of_the_file() -> None:
    text = (DEPLOY / "authorized_keys").read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [f"{KEY_OPTIONS} PUBLIC_KEY"]
    assert text.count("PUBLIC_KEY") == 1  # sed puts the key there


def test_every_tool_that_is_asked_for_is_run_by_a_probe_or_a_step() -> None:
    run = script([], "192.0.2.1") + root_lines() + START + OPEN + "docker start"
    assert [tool for tool in TOOLS if not re.search(rf"(?<![\w/.-]){re.escape(tool)}(?![\w.-])", run)] == []


def test_it_is_asked_in_one_round_trip_by_probes_that_change_nothing() -> None:
    assert {RIGHTS, INSTALLATION} <= set(NEEDED)
    probes = [probe for source in NEEDED for probe in source.probes if isinstance(probe, Probe)]
    assert {" ".join(words) for words in LOOKS} <= {probe.command for probe in probes if probe.root}
    assert not re.search(r"\b(touch|mkdir|rm|install|chmod|chown)\b|>(?!/dev/null)", INSTALLATION.probes[0].command)  # type: ignore[union-attr]


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dockerhealth.yaml"
    path.write_text(
        "hosts: {host1: {address: 192.0.2.1, services: {web: {url: 'http://192.0.2.1/'}}}}\n"
        f"ssh: {{identity_file: {tmp_path}/id, known_hosts: {tmp_path}/known_hosts}}\n"
    )
    return path


def run(config: Path, monkeypatch: pytest.MonkeyPatch, answer: Sequence[Requirement] | Exception) -> tuple[int, str]:
    async def doctor(_checker: Checker, _host: Host) -> Sequence[Requirement]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Checker, "doctor", doctor)
    result = CliRunner().invoke(app, ["doctor", "host1", "-c", str(config)])
    return result.exit_code, result.output


def test_all_there_exits_0_also_with_a_note(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = run(
        config,
        monkeypatch,
        [Requirement("fixes", RequirementState.NOTE, "only looks"), Requirement("x", RequirementState.THERE, "y")],
    )
    assert status == 0
    assert "✓ login     host1 at 192.0.2.1" in output
    assert "! fixes     only looks" in output
    assert "All that is needed is there." in output


def test_something_missing_exits_1_and_shows_what_to_add_on_a_line_of_its_own(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"dockerhealth ALL=(root) NOPASSWD: {'x' * 200}"
    status, output = run(
        config, monkeypatch, [Requirement("looks", RequirementState.MISSING, "refused\x1b[31m", (line,))]
    )
    assert status == 1
    assert f"      {line}\n" in output
    assert "\x1b" not in output
    assert "1 of 2 not as it has to be. What to add on host1, as root" in output


def test_a_host_that_is_not_reached_exits_2(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = run(config, monkeypatch, SshRefusedError("host1", "host1: nobody listens for SSH"))
    assert (status, "✗ login     host1: nobody listens for SSH (ssh-refused)" in output) == (2, True)


def test_a_refused_key_is_shown_with_the_line_to_add(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = run(config, monkeypatch, SshLoginRefusedError("host1", "host1: refused the login"))
    assert status == 2
    assert f"{KEY_OPTIONS} PUBLIC_KEY" in output
    assert "ssh-keygen -y -f" in output


def test_without_a_key_of_our_own_nothing_is_derived_from_it() -> None:
    refused = SshLoginRefusedError("host1", "refused")
    assert unreachable(Host("host1", "192.0.2.1", (), Login()), refused) == ()
