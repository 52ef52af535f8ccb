"""Looks at a recorded healthy host on which one thing about the container, its port or its answers is another one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from checks.diagnose import diagnose
from checks.look import Look
from checks.model import Finding, Output, Phase, ReachOutcome, Reading, ServiceKind
from checks.source import Facts, Unavailable
from tests.looks import ANSWERED, REFUSED, look, reading

BOOKWORM, TRIXIE = "debian12-docker20.10.24", "debian13-docker26.1.5"
PLATFORMS = (BOOKWORM, TRIXIE)
ROOM = """\
0:1 /
254:0 /var/lib/docker
254:1 /srv/data
0:44 /mnt/nfs
@ blocks
Filesystem     1024-blocks     Used Available Capacity Mounted on
overlay          264212084 26152832  80238080      25% /
/dev/vda         264212084 26152832  80238080      25% /var/lib/docker
/dev/vdb           1048576   262144    786432      25% /srv/data
@ inodes
Filesystem       Inodes  IUsed    IFree IUse% Mounted on
overlay        16777216 475801 16301415    3% /
/dev/vda       16777216 475801 16301415    3% /var/lib/docker
/dev/vdb              0      0        0     - /srv/data
"""
SS = "State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n"
PROXY = 'LISTEN 0 4096 0.0.0.0:5000 0.0.0.0:* users:(("docker-proxy",pid=1424,fd=4))\n'
PYTHON = 'LISTEN 0 5 0.0.0.0:5000 0.0.0.0:* users:(("python3",pid=6818,fd=3))\n'

CONNECTED = "* Connected to 172.17.0.2 (172.17.0.2) port 5000\n"
GOOD = (0, CONNECTED + "< Docker-Distribution-Api-Version: registry/2.0\n", "200")
NOBODY = (7, "* connect to 172.17.0.2 port 5000 failed: Connection refused\n", "000")
SILENT = (28, CONNECTED + "* Operation timed out after 2000 milliseconds with 0 bytes received\n", "000")
HUNG_UP = (52, CONNECTED + "* Empty reply from server\n", "000")
LOST = (28, "* Connection timed out after 800 milliseconds\n", "000")
Tried = tuple[int, str, str]


def answered(status: int, *, registry: bool = False) -> Tried:
    header = "< Docker-Distribution-Api-Version: registry/2.0\n" if registry else ""
    return 0, f"{CONNECTED}< HTTP/1.1 {status} X\n{header}", str(status)


def healthy(platform: str, outside: Reading = REFUSED, container: str | None = "registry") -> Look:
    """A host on which all is well, but for the reading from outside; with what the recording may not have."""
    seen = look(platform, "healthy", outside, container)
    seen = ladder(seen)
    return holding(printing(printing(seen, "disks", ROOM), "engine-logs", "{}"), PROXY)


def printing(seen: Look, probe: str, text: str) -> Look:
    """The same look, had that probe printed this."""
    assert seen.facts is not None
    facts = seen.facts
    outputs = {**facts.outputs, probe: Output(text)}
    missing = {name: why for name, why in facts.missing.items() if name != probe}
    return replace(seen, facts=Facts(facts.host, facts.at, outputs, missing))


def missing(seen: Look, *probes: str) -> Look:
    """The same look, had these probes failed."""
    assert seen.facts is not None
    facts = seen.facts
    outputs = {name: output for name, output in facts.outputs.items() if name not in probes}
    why = dict.fromkeys(probes, Unavailable("sudo-refused: of no use"))
    return replace(seen, facts=Facts(facts.host, facts.at, outputs, {**facts.missing, **why}))


def inspected(seen: Look, change: Callable[[dict[str, Any]], object]) -> Look:
    """The same look, had Docker said something else of the registry's container."""
    assert seen.facts is not None
    containers = json.loads(seen.facts.outputs["engine-containers"].stdout)
    change(next(one for one in containers if one["Name"] == "/registry"))
    return printing(seen, "engine-containers", json.dumps(containers))


def state(seen: Look, **values: object) -> Look:
    """The same look, with other values in the container's State; not running, it publishes nothing."""

    def change(one: dict[str, Any]) -> None:
        one["State"].update(values)
        if one["State"]["Status"] not in {"running", "paused"}:
            one["NetworkSettings"]["Ports"] = {}

    return inspected(seen, change)


def holding(seen: Look, rows: str) -> Look:
    """The same look, with these sockets listening on the host."""
    return printing(printing(seen, "listeners", SS + rows), "sockets", SS + rows)


def ladder(  # noqa: PLR0913  # a keyword an attempt
    seen: Look,
    *,
    own: Tried = GOOD,
    loopback: Tried = GOOD,
    container: Tried | None = GOOD,
    other: Tried | None = None,
    listening: str | None = "00000000000000000000000000000000:1388",
) -> Look:
    """The same look, had the attempts on the host ended like this."""
    tried = {"own": own, "loopback": loopback, "container": container, "other": other}
    sections = [
        f"@ 5000 rung {name} 172.17.0.2 {status}\n{said}\n=> {code} 0.002\n"
        for name, (status, said, code) in ((name, one) for name, one in tried.items() if one is not None)
    ]
    if listening is not None:
        sections.append(f"@ 5000 listening\n{listening}\n")
    assert seen.facts is not None
    routes = [
        part
        for part in seen.facts.outputs["path"].stdout.split("@ ")
        if part.split()[1:2] not in (["rung"], ["listening"])
    ]
    kept = "".join(f"@ {part}" for part in routes if part.strip() and part.strip() != "end")
    return printing(seen, "path", "".join([kept, *sections, "@ end\n"]))


def seen_as(
    seen: Look, ended: ReachOutcome, status: int | None = None, *, phase: Phase = Phase.HTTP, **more: Any
) -> Look:
    """The same look, had the attempt from outside ended like this."""
    return replace(seen, outside=replace(reading(ended, status), phase=phase, **more))


def serving(seen: Look, url: str, kind: ServiceKind = ServiceKind.REGISTRY) -> Look:
    """The same look, for a service with another URL."""
    return replace(seen, service=replace(seen.service, url=url, kind=kind))


def causes(seen: Look) -> tuple[str, ...]:
    return tuple(finding.cause for finding in diagnose(seen).causes)


def root(seen: Look) -> Finding:
    found = diagnose(seen).root
    assert found is not None
    return found


def told(seen: Look) -> str:
    """All evidence and advice of the root cause, as one text."""
    found = root(seen)
    return "\n".join((*(evidence.says for evidence in found.evidence), *found.advice))


def risks(seen: Look) -> set[str]:
    return {finding.cause for finding in diagnose(replace(seen, outside=ANSWERED)).risks}


def untold(seen: Look) -> set[str]:
    return {finding.cause for finding in diagnose(seen).not_told}
