"""Our scripts in real shells, where curl, systemctl and journalctl are those of CentOS 7.

Each stands first on the PATH, and does faithfully what tells the old program from the new one. This curl refuses a
fraction of a second in its words and with its status, and is the real one otherwise. This systemctl prints what the one
of systemd 219 was recorded to print, and ends as that one does at the first unit that has no MainPID. This
journalctl refuses an option that the old one does not have.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.demo.hosts.endpoint import Endpoint
from bot.demo.hosts.states import Reachable
from checks.collect.peers import Seen, parse, script
from checks.facts.journal import JOURNAL, EventKind
from checks.facts.path import PATH
from checks.facts.path import parse as parse_path
from checks.facts.units import UNITS
from checks.model import Output, ReachOutcome, Service, Vantage
from checks.source import Probe, Source, Unavailable
from tests import recordings

SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
CURL = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$HERE/asked"
for word; do
  case $last:$word in
    --connect-timeout:*[!0-9]*|-m:*[!0-9]*)
      echo "curl: option $last: expected a proper numerical parameter" >&2
      echo "curl: try 'curl --help' for more information" >&2
      exit 2 ;;
  esac
  last=$word
done
"""
REAL_CURL = 'exec env PATH="$REAL" curl "$@"\n'
NEW_CURL = f'#!/bin/sh\nprintf "%s\\\\n" "$*" >>"$HERE/asked"\n{REAL_CURL}'
SYSTEMCTL = """\
#!/bin/sh
[ "$1 $2 $3" = 'show --no-pager -p' ] && [ "$TZ" = UTC ] || exit 64
shift 4
first=yes
for unit; do
  [ "$first" ] || echo
  first=
  cat "$HERE/shown.$unit"
  grep -q ^MainPID= "$HERE/shown.$unit" || exit 1
done
"""
JOURNALCTL = """\
#!/bin/sh
for word; do
  case $word in --output-fields=*) echo "journalctl: unrecognized option '$word'" >&2; exit 1 ;; esac
done
cat "$HERE/journal"
"""
STARTING = {
    "MESSAGE_ID": "7d4958e842da4a758f6c1cdc7b36dcc5",
    "UNIT": "docker.service",
    "_PID": "1",
    "MESSAGE": "Starting Docker Application Container Engine...",
    "__REALTIME_TIMESTAMP": "1795537735059673",
}


@dataclass(frozen=True)
class Old:
    """A folder with programs that stand before the others."""

    folder: Path

    def install(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    async def run(self, shell: str, text: str, services: str = "") -> str:
        real = os.environ["PATH"]
        environment = {"PATH": f"{self.folder}:{real}", "REAL": real, "HERE": str(self.folder), "SERVICES": services}
        ran = await asyncio.to_thread(
            subprocess.run,
            [shell, "-c", text],
            cwd=self.folder,
            env={**environment, "LC_ALL": "C", "SSH_CONNECTION": "127.0.0.1 40000 127.0.0.1 22"},
            capture_output=True,
            check=False,
            timeout=20,
        )
        return ran.stdout.decode()

    @property
    def deadlines(self) -> list[str]:
        """The seconds for connecting that curl was asked for, each time."""
        asked = (self.folder / "asked").read_text().splitlines()
        return [line.partition("--connect-timeout ")[2].split()[0] for line in asked]


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


@pytest.fixture
async def registry() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint("127.0.0.1", 0)
    await endpoint.become(Reachable.ANSWERS)
    try:
        yield endpoint
    finally:
        await endpoint.close()


def command(source: Source[object]) -> str:
    [probe] = source.probes
    assert isinstance(probe, Probe)
    return probe.command


@pytest.mark.parametrize("shell", SHELLS)
async def test_an_old_curl_is_asked_for_whole_seconds_and_the_ladder_is_had(
    old: Old, registry: Endpoint, shell: str
) -> None:
    old.install("curl", CURL + REAL_CURL)
    printed = await old.run(shell, command(PATH), f"{registry.port} http /v2/ 127.0.0.1 - -")
    [way] = parse_path({"path": Output(printed)}).ways.values()
    assert {rung.vantage: (rung.ended, rung.status) for rung in way.rungs} == {
        Vantage.LOOPBACK: (ReachOutcome.ANSWERED, 200),
        Vantage.HOST: (ReachOutcome.ANSWERED, 200),
    }
    assert way.gaps == {}
    assert sorted(old.deadlines) == ["0.8", "0.8", "1", "1"]


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_new_curl_is_asked_once_for_less_than_a_second(old: Old, registry: Endpoint, shell: str) -> None:
    old.install("curl", NEW_CURL)
    printed = await old.run(shell, command(PATH), f"{registry.port} http /v2/ 127.0.0.1 - -")
    [way] = parse_path({"path": Output(printed)}).ways.values()
    assert {rung.status for rung in way.rungs} == {200}
    assert old.deadlines == ["0.8", "0.8"]


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_host_without_services_has_no_way_to_ask_for(old: Old, shell: str) -> None:
    printed = await old.run(shell, command(PATH))
    assert parse_path({"path": Output(printed)}).ways == {}


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_peer_with_an_old_curl_sees_what_others_see(old: Old, registry: Endpoint, shell: str) -> None:
    old.install("curl", CURL + REAL_CURL)
    service = Service("registry", f"http://127.0.0.1:{registry.port}/v2/")
    text = script((service,)).replace("PATH=/usr/sbin", f"PATH={old.folder}:/usr/sbin")
    [answer] = parse(await old.run(shell, text), (service,), datetime.now(UTC), "host2")
    assert isinstance(answer, Seen)
    assert answer.reading.ok
    assert old.deadlines == ["0.4", "1"]


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_systemctl_that_ends_at_a_socket_is_asked_for_one_unit_at_a_time(old: Old, shell: str) -> None:
    """Of the same programs the probe then gets to the letter what was recorded."""
    [recorded] = [
        output.stdout
        for name, output in recordings.outputs(recordings.FOLDER / recordings.CENTOS7 / "healthy.json").items()
        if name == "units"
    ]
    for block in recorded.strip("\n").split("\n\n"):
        [unit] = [line.removeprefix("Id=") for line in block.splitlines() if line.startswith("Id=")]
        (old.folder / f"shown.{unit}").write_text(f"{block}\n")
    old.install("systemctl", SYSTEMCTL)
    printed = await old.run(shell, command(UNITS))
    assert printed == recorded
    units = UNITS.parse({"units": Output(printed)})
    assert not isinstance(units, Unavailable)
    assert UNITS.gaps(units) == {}


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_journalctl_that_knows_no_output_fields_is_asked_without_them_each_time(old: Old, shell: str) -> None:
    old.install("journalctl", JOURNALCTL)
    (old.folder / "journal").write_text(f"{json.dumps(STARTING)}\n")
    (old.folder / "log/journal/id").mkdir(parents=True)
    (old.folder / "log/journal/id/system.journal").touch()
    printed = await old.run(shell, command(JOURNAL).replace("/var/log/journal", f"{old.folder}/log/journal"))
    assert [line == "ended 0" for line in printed.splitlines()] == [False, True, False]
    journal = JOURNAL.parse({"journal": Output(printed)})
    assert not isinstance(journal, Unavailable)
    assert journal.complete
    assert [(event.kind, event.unit) for event in journal.events] == [(EventKind.STARTING, "docker.service")]
