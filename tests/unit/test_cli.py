"""The commands: what they print, and with what they exit."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot import usage
from bot.cli import app, exit_code
from bot.config import load
from bot.incidents import Incident, State
from bot.store import Store, StoreError
from checks.apply import Event, Happened, Order, Tell
from checks.check import Checker
from checks.errors import SshUnreachableError
from checks.model import Applied, Digest, Host, NoChange, Outcome, Report, Service, Status
from tests.unit.test_trust import line
from tests.unit.view_samples import HEALTHY, PLAN, REPORT, applied

EXAMPLE = Path(__file__).parents[2] / "deploy" / "dockerhealth.example.yaml"
CONFIG = """
store: sqlite:///{folder}/dockerhealth.db
ssh: {{known_hosts: {folder}/known_hosts}}
hosts:
  host1:
    address: 10.0.0.11
    services:
      registry: {{url: "http://10.0.0.11:5000/"}}
  host2:
    address: 10.0.0.12
    services:
      registry: {{url: "http://10.0.0.12:5000/"}}
      web: {{url: "http://10.0.0.12:8080/"}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKERHEALTH_CONFIG", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "dockerhealth.yaml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Report]:
    """What a look at a host finds."""
    reports = [REPORT]

    async def check(_checker: Checker, host: Host, _service: Service | None = None) -> tuple[Report, ...]:
        return tuple(replace(report, host=host.name) for report in reports)

    monkeypatch.setattr(Checker, "check", check)
    return reports


def invoke(*arguments: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=typed)


# --- usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["chek"], ["check", "--nonsense"], ["check", "host1", "-o", "xml"], ["config"], ["fix", "host1"]],
)
def test_wrong_usage_exits_64(arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 64


def test_help_is_no_mistake() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for command in ("check", "fix", "run", "demo", "config", "trust"):
        assert command in result.output


def test_a_host_that_is_not_configured_exits_64_with_the_nearest_name(config: Path) -> None:
    result = invoke("check", "hots1", "-c", config)
    assert result.exit_code == 64
    assert "Did you mean host1" in result.stderr


def test_a_service_that_is_not_configured_exits_64(config: Path) -> None:
    result = invoke("check", "host1", "web", "-c", config)
    assert result.exit_code == 64
    assert "There are: registry." in result.stderr


def test_every_mistake_in_the_configuration_is_printed_and_exits_64(config: Path) -> None:
    config.write_text("hosts: {h: {address: 'a b'}}")
    result = invoke("config", "check", "-c", config)
    assert result.exit_code == 64
    assert "hosts.h.address" in result.stderr
    assert "hosts.h.services" in result.stderr
    assert "2 mistakes" in result.stderr


def test_the_bot_does_not_start_without_its_tokens(config: Path) -> None:
    result = invoke("run", "-c", config)
    assert result.exit_code == 64
    assert "SLACK_BOT_TOKEN or SLACK_BOT_TOKEN_FILE must be set" in result.stderr
    assert "SLACK_APP_TOKEN" in result.stderr


# --- config ---------------------------------------------------------------------------------------------------


def test_a_configuration_without_mistakes_is_counted(config: Path) -> None:
    result = invoke("config", "check", "-c", config)
    assert result.exit_code == 0
    assert "2 hosts, 3 services" in result.output
    assert "Nobody may approve" in result.output


def test_the_configuration_that_is_shipped_has_no_mistakes() -> None:
    result = invoke("config", "check", "-c", EXAMPLE)
    assert result.exit_code == 0, result.output
    assert load(EXAMPLE, {}).approvals.approvers


def test_the_schema_is_json() -> None:
    assert json.loads(invoke("config", "schema").output)["required"] == ["hosts"]


# --- check ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([Status.HEALTHY], 0),
        ([Status.UNHEALTHY], 1),
        ([Status.UNKNOWN], 2),
        ([Status.HEALTHY, Status.UNKNOWN], 2),
        ([Status.UNKNOWN, Status.UNHEALTHY, Status.HEALTHY], 1),
    ],
)
def test_the_exit_code_tells_how_it_is(states: list[Status], code: int) -> None:
    assert exit_code([replace(HEALTHY, status=state) for state in states]) == code


def test_check_prints_the_diagnosis(config: Path, found: list[Report]) -> None:
    result = invoke("check", "host1", "-c", config)
    assert result.exit_code == 1
    assert "IPv4 forwarding is switched off" in result.output
    found[:] = [HEALTHY]
    assert invoke("check", "host1", "registry", "-c", config).exit_code == 0


@pytest.mark.usefixtures("found")
def test_check_knows_how_it_was_when_the_bot_last_saw_it_well(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[tuple[str, str, Digest]] = []
    monkeypatch.setattr(Checker, "remember", lambda _checker, *good: known.append(good))
    assert invoke("check", "host1", "-c", config).exit_code == 1
    assert known == []
    assert sorted(path.name for path in config.parent.iterdir()) == [config.name]
    good = replace(HEALTHY, digest=Digest(HEALTHY.at, {"net.ipv4.ip_forward": "1"}))
    asyncio.run(_kept(f"sqlite:///{config.parent}/dockerhealth.db", good))
    assert invoke("check", "host1", "-c", config).exit_code == 1
    assert known == [(good.host, good.service, good.digest)]


async def _kept(url: str, good: Report) -> None:
    store = await Store.open(url)
    await store.good_looks.keep(good)
    await store.close()


def test_check_prints_json_and_nothing_else(config: Path, found: list[Report]) -> None:
    found.append(HEALTHY)
    made = json.loads(invoke("check", "host1", "-c", config, "-o", "json").stdout)
    assert [each["status"] for each in made] == ["unhealthy", "healthy"]


# --- fix ------------------------------------------------------------------------------------------------------


def apply_as(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[str]:
    ran: list[str] = []

    async def apply(_checker: Checker, order: Order, tell: Tell) -> Applied:
        ran.append(order.plan.fix)
        await tell(Event(Happened.STEP_STARTED, "step 1 of 2: write the file"))
        return applied(outcome)

    monkeypatch.setattr("bot.mending.apply", apply)
    return ran


@pytest.mark.usefixtures("found")
def test_fix_shows_the_plan_asks_runs_and_exits_0_once_verified(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, typed="y\n")
    assert result.exit_code == 0, result.output
    assert result.output.index(PLAN.steps[0].command) < result.output.index("Run this on host1?")
    assert "… step 1 of 2: write the file" in result.output
    assert "Fixed." in result.output
    assert ran == ["enable-ip-forward"]


@pytest.mark.usefixtures("found")
def test_fix_is_remembered_as_a_click_is(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_as(monkeypatch, Outcome.FIXED)
    invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes")

    async def remembered() -> Incident | None:
        store = await Store.open(load(config, {}).store)
        try:
            return await store.incidents.newest("host1", "registry")
        finally:
            await store.close()

    incident = asyncio.run(remembered())
    assert incident is not None
    assert [change.new for change in incident.transitions] == [State.OPEN, State.FIXING, State.RESOLVED]
    [offer] = [offer for offer in incident.offers if offer.applied]
    assert offer.applied is not None
    assert offer.applied.outcome is Outcome.FIXED
    assert offer.approval is not None
    assert offer.approval.who == usage.person()
    assert offer.approval.digest == offer.plan.digest


def test_fix_runs_nothing_when_its_record_cannot_be_kept(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_url: str) -> Store:
        raise StoreError("The store cannot be used.")

    monkeypatch.setattr(Store, "open", broken)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes")
    assert result.exit_code == 64
    assert "cannot be used" in result.stderr


@pytest.mark.usefixtures("found")
def test_fix_runs_nothing_when_the_answer_is_no(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    assert invoke("fix", "host1", "enable-ip-forward", "-c", config, typed="n\n").exit_code == 1
    assert ran == []


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.NOT_FIXED, 1), (Outcome.FAILED, 1), (Outcome.STALE, 1), (Outcome.UNKNOWN, 2)]
)
def test_fix_exits_0_for_nothing_less(
    config: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    apply_as(monkeypatch, outcome)
    assert invoke("fix", "host1", "enable-ip-forward", "-c", config, "--yes").exit_code == code


@pytest.mark.usefixtures("found")
def test_a_dry_run_shows_the_plan_and_runs_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = apply_as(monkeypatch, Outcome.FIXED)
    result = invoke("fix", "host1", "enable-ip-forward", "-c", config, "--dry-run")
    assert result.exit_code == 0
    assert PLAN.undo[0].command in result.output
    assert ran == []


def test_a_fix_with_nothing_to_do_says_why_and_exits_1(config: Path, found: list[Report]) -> None:
    found[:] = [replace(HEALTHY, refused=(NoChange("enable-ip-forward", "it is on and persisted"),))]
    for option in ("--yes", "--dry-run"):
        result = invoke("fix", "host1", "enable-ip-forward", "-c", config, option)
        assert result.exit_code == 1
        assert "it is on and persisted" in result.output


def test_a_fix_that_nobody_knows_exits_64(config: Path) -> None:
    result = invoke("fix", "host1", "enable-ip-foward", "-c", config)
    assert result.exit_code == 64
    assert "Did you mean enable-ip-forward" in result.stderr


def test_a_host_with_several_services_wants_to_know_which(config: Path) -> None:
    result = invoke("fix", "host2", "enable-ip-forward", "-c", config)
    assert result.exit_code == 64
    assert "one of registry, web" in result.stderr


# --- trust ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The line for the key that host1 shows."""
    offered = line()

    async def offered_host_key(_checker: Checker, _host: Host) -> tuple[str, str]:
        return offered, "SHA256:fingerprint"

    monkeypatch.setattr(Checker, "offered_host_key", offered_host_key)
    return offered


def test_trust_shows_the_fingerprint_asks_and_pins(config: Path, key: str) -> None:
    result = invoke("trust", "host1", "-c", config, typed="y\n")
    assert result.exit_code == 0, result.output
    assert "SHA256:fingerprint" in result.output
    assert (config.parent / "known_hosts").read_text() == f"{key}\n"
    assert "already" in invoke("trust", "host1", "-c", config).output


@pytest.mark.usefixtures("key")
def test_trust_pins_nothing_when_the_answer_is_no(config: Path) -> None:
    assert invoke("trust", "host1", "-c", config, typed="n\n").exit_code == 1
    assert not (config.parent / "known_hosts").exists()


@pytest.mark.usefixtures("key")
def test_trust_refuses_another_key_even_with_yes(config: Path) -> None:
    known_hosts = config.parent / "known_hosts"
    known_hosts.write_text(f"{line()}\n")
    before = known_hosts.read_text()
    result = invoke("trust", "host1", "-c", config, "--yes")
    assert result.exit_code == 1
    assert "another key" in result.stderr
    assert known_hosts.read_text() == before


def test_trust_of_a_host_that_shows_no_key_says_so(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_checker: Checker, host: Host) -> tuple[str, str]:
        raise SshUnreachableError(host.name, "host1: no SSH host key")

    monkeypatch.setattr(Checker, "offered_host_key", none)
    result = invoke("trust", "host1", "-c", config)
    assert result.exit_code == 2
    assert "no SSH host key" in result.stderr
