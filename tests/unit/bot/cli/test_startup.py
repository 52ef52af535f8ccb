"""What a command imports: nothing that takes long and that it does not need."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.store import Store
from tests.unit.bot.cli.cli_world import configured

SLACK = {"slack_sdk", "slack_bolt", "aiohttp"}
DATABASE = {"sqlalchemy", "alembic"}
ENGINE = {"docker", "requests", "urllib3"}
SSH = {"asyncssh", "cryptography"}
BOT = {"apscheduler", "prometheus_client", "structlog"}
HOSTS = SSH | ENGINE | {"asyncio", "rich", "checks.check", "checks.causes", "checks.fixes"}
EVERYTHING = SLACK | DATABASE | BOT | HOSTS | {"yaml", "pydantic", "pydantic_settings", "bot.config", "checks.model"}

COMMAND = """
import sys
from bot.cli.main import main
try:
    main()
except SystemExit as ended:
    print(ended.code, file=sys.stderr)
"""
NAMES = """
import json
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(code: str, *arguments: str | Path) -> tuple[str, set[str]]:
    """Run code in a process of its own. Returns what it printed of errors before, and every module that was there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKERHEALTH", "SLACK"))}
    argv = [sys.executable, "-c", code + NAMES, *map(str, arguments)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)  # noqa: S603  # ours
    *said, names = ran.stderr.splitlines()
    return "\n".join(said), set(json.loads(names))


def test_the_list_of_commands_imports_next_to_nothing() -> None:
    ended, modules = imported(COMMAND, "--help")
    assert ended == "0"
    assert not modules & EVERYTHING


@pytest.mark.parametrize("command", ["check", "doctor", "trust", "run", "demo", "fix", "undo", "audit", "config"])
def test_the_help_of_a_command_imports_nothing_that_only_the_command_needs(command: str) -> None:
    ended, modules = imported(COMMAND, command, "--help")
    assert ended == "0"
    assert not modules & (EVERYTHING - {"pydantic"})  # with which typer reads options


def test_the_configuration_is_checked_without_what_looks_at_hosts(tmp_path: Path) -> None:
    ended, modules = imported(COMMAND, "config", "check", "-c", configured(tmp_path, "[]"))
    assert ended == "0"
    assert not modules & (SLACK | DATABASE | BOT | HOSTS | {"pydantic_settings"})


def test_a_host_is_checked_without_slack_database_and_scheduler(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: refused at once
        refusing = configured(tmp_path, "[]").read_text().replace("10.0.0.11", "127.0.0.1")
        (tmp_path / "dockerhealth.yaml").write_text(
            refusing.replace("ssh: {", f"ssh: {{port: {taken.getsockname()[1]}, ")
        )
        ended, modules = imported(COMMAND, "check", "host1", "-c", tmp_path / "dockerhealth.yaml", "-o", "json")
    assert ended == "2"
    assert modules >= SSH
    assert not modules & (SLACK | DATABASE | BOT | {"pydantic_settings"})
    assert not modules & ENGINE  # nobody came to ask it


def test_the_audit_log_is_read_without_what_looks_at_hosts(tmp_path: Path) -> None:
    asyncio.run(_made(f"sqlite:///{tmp_path}/dockerhealth.db"))
    ended, modules = imported(COMMAND, "audit", "-c", configured(tmp_path, "[]"))
    assert ended == "0"
    assert modules >= {"sqlalchemy"}
    assert not modules & (SLACK | SSH | ENGINE | BOT)


async def _made(url: str) -> None:
    store = await Store.open(url)
    await store.close()


@pytest.mark.parametrize(
    "module", ["checks.facts", "checks.causes", "checks.fixes", "checks.diagnose", "checks.doctor"]
)
def test_what_decides_is_imported_without_what_asks(module: str) -> None:
    _, modules = imported(f"import sys, {module}")
    assert not modules & (SSH | ENGINE | {"asyncio"})
