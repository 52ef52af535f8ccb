"""What the tests of the commands share: a configuration, what a look finds, and a way to type."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import arguments
from bot.cli.main import app
from checks.check import Checker
from checks.model import Host, Report, Service
from tests.unit.bot.slack.view_samples import REPORT

CONFIG = """
store: sqlite:///{folder}/dockerhealth.db
approvals: {{approvers: {approvers}}}
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
    return configured(tmp_path, f'["{arguments.person()}"]')


def configured(folder: Path, approvers: str) -> Path:
    path = folder / "dockerhealth.yaml"
    path.write_text(CONFIG.format(folder=folder, approvers=approvers))
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
