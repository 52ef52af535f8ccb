"""The commands: what they print, and with what they exit."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.run_check import exit_code
from bot.config import load
from bot.store import Store
from checks.check import Checker
from checks.errors import SshUnreachableError
from checks.model import Aspect, Baseline, Host, Report, Status, Value
from tests.unit.bot.cli.cli_world import configured, invoke
from tests.unit.bot.cli.test_known_hosts import line
from tests.unit.bot.slack.view_samples import HEALTHY

EXAMPLE = Path(__file__).parents[4] / "deploy" / "dockerhealth.example.yaml"


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


def test_a_configuration_without_mistakes_is_counted(tmp_path: Path) -> None:
    result = invoke("config", "check", "-c", configured(tmp_path, "[]"))
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
    known: list[tuple[str, str, Baseline]] = []
    monkeypatch.setattr(Checker, "remember", lambda _checker, *good: known.append(good))
    assert invoke("check", "host1", "-c", config).exit_code == 1
    assert known == []
    assert sorted(path.name for path in config.parent.iterdir()) == [config.name]
    good = replace(HEALTHY, baseline=Baseline(HEALTHY.at, {"net.ipv4.ip_forward": Value(Aspect.HOST_FORWARDING, "1")}))
    asyncio.run(_kept(f"sqlite:///{config.parent}/dockerhealth.db", good))
    assert invoke("check", "host1", "-c", config).exit_code == 1
    assert known == [(good.host, good.service, good.baseline)]


async def _kept(url: str, good: Report) -> None:
    store = await Store.open(url)
    await store.baselines.keep(good)
    await store.close()


def test_check_prints_json_and_nothing_else(config: Path, found: list[Report]) -> None:
    found.append(HEALTHY)
    made = json.loads(invoke("check", "host1", "-c", config, "-o", "json").stdout)
    assert [each["status"] for each in made] == ["unhealthy", "healthy"]


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
