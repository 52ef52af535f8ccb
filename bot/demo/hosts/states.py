"""What a demo host can be like, and what leads from one state to another. Pure.

A state is the name of a recording, and what a fix has changed since then that no recording shows. That is derived:

- ``sysctl_file``: enable-ip-forward wrote its file. The listing of sysctl files gets its line, as the script's own
  ``grep`` would print it.
- ``open_now``, ``open_kept``: open-firewalld-port opened the port until firewalld's next start, and after it. The zone
  lists it; the netfilter rule that firewalld would add is not shown.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from checks.commands import BY, ROOT_HELPER, RUN, shell_line
from checks.model import Output, Step

HEALTHY = "healthy"
FORWARDING_OFF = "ip-forward-off"
CHAINS_GONE = "firewalld-started-after-deaf-dockerd"
FIREWALLD_HEARD = "firewalld-running-healthy"

_FILE = "/etc/sysctl.d/99-zz-dockerhealth-ip-forward.conf"
_FILE_LINE = f"file {_FILE}\nline {_FILE}:4:net.ipv4.ip_forward = 1\n"
_ZONE = re.compile(r"(^public\b.*?^  ports:)[^\n]*", flags=re.MULTILINE | re.DOTALL)


class Reachable(StrEnum):
    """How the published port behaves for a client."""

    ANSWERS = "answers"
    SILENT = "silent"  # its packets are dropped
    REFUSES = "refuses"


class Fault(StrEnum):
    """Something that can be made wrong with a host: the state that it leads to."""

    FORWARDING_OFF = FORWARDING_OFF
    CHAINS_GONE = CHAINS_GONE

    @property
    def says(self) -> str:
        return {
            Fault.FORWARDING_OFF: "something switches net.ipv4.ip_forward off",
            Fault.CHAINS_GONE: "somebody starts firewalld, which dockerd does not hear of",
        }[self]


@dataclass(frozen=True)
class HostState:
    recording: str = HEALTHY
    sysctl_file: bool = False
    open_now: bool = False
    open_kept: bool = False

    @property
    def reachable(self) -> Reachable:
        """As the recorded host was from outside."""
        if self.recording == FORWARDING_OFF:
            return Reachable.SILENT
        if self.recording == CHAINS_GONE and not self.open_now:
            return Reachable.REFUSES
        return Reachable.ANSWERS

    @property
    def begins_with(self) -> tuple[str, ...]:
        """What was started just then. A switched sysctl leaves no trace in any unit."""
        starts = {CHAINS_GONE: ("firewalld.service",), FIREWALLD_HEARD: ("docker.service", "registry")}
        return starts.get(self.recording, ())

    def broken_by(self, fault: Fault) -> "HostState":
        """A new firewalld knows only the ports that were kept."""
        return replace(self, recording=fault.value, open_now=self.open_kept)


Change = Callable[[HostState], HostState]


@dataclass(frozen=True)
class Command:
    """A command that a demo host carries out: what it prints, how long it takes, and what it changes."""

    change: Change = field(default=lambda state: state)
    prints: str = ""
    seconds: float = 0.1


def commands(container: str, port: int) -> Mapping[str, Command]:
    """All that a demo host carries out, by the exact line that comes over SSH."""
    as_root = {
        (ROOT_HELPER, "sysctl-file", "write", "net/ipv4/ip_forward=1", BY, RUN): Command(_written),
        (ROOT_HELPER, "sysctl-set", "net/ipv4/ip_forward=1"): Command(_switched_on),
        ("/usr/bin/systemctl", "reset-failed", "docker.service"): Command(),
        ("/usr/bin/systemctl", "restart", "docker.service"): Command(_restarted, seconds=1.5),
        _firewall(port): Command(lambda state: replace(state, open_now=True), "success\n", 0.4),
        _firewall(port, "--permanent"): Command(lambda state: replace(state, open_kept=True), "success\n", 0.4),
    }
    as_user = {("docker", "start", container): Command(prints=f"{container}\n", seconds=0.3)}
    return {
        shell_line(Step("", argv, root=True, timeout=_deadline(argv))): command for argv, command in as_root.items()
    } | {shell_line(Step("", argv, root=False)): command for argv, command in as_user.items()}


def _deadline(argv: tuple[str, ...]) -> int:
    return 120 if "restart" in argv else 30


def _firewall(port: int, *options: str) -> tuple[str, ...]:
    return (ROOT_HELPER, "firewall-cmd", "--zone=public", f"--add-port={port}/tcp", *options)


def _written(state: HostState) -> HostState:
    return replace(state, sysctl_file=True)


def _switched_on(state: HostState) -> HostState:
    return replace(state, recording=HEALTHY) if state.recording == FORWARDING_OFF else state


def _restarted(state: HostState) -> HostState:
    """A starting dockerd switches forwarding on, writes its chains, and hears a firewalld that runs."""
    after = {FORWARDING_OFF: HEALTHY, CHAINS_GONE: FIREWALLD_HEARD}
    return replace(state, recording=after.get(state.recording, state.recording))


def derived(outputs: Mapping[str, Output], state: HostState, port: int) -> Mapping[str, Output]:
    """The outputs with what the fixes changed since they were recorded."""
    changed = dict(outputs)
    if state.sysctl_file:
        changed["sysctl-files"] = _with_file(outputs["sysctl-files"])
    if state.open_now:
        changed["firewalld-zones"] = _with_port(outputs["firewalld-zones"], port)
    if state.open_kept:
        changed["firewalld-permanent"] = _with_port(outputs["firewalld-permanent"], port)
    return changed


def _with_file(output: Output) -> Output:
    platform, rest = output.stdout.split("\n", 1)
    return replace(output, stdout=f"{platform}\n{_FILE_LINE}{rest}")


def _with_port(output: Output, port: int) -> Output:
    return replace(output, stdout=_ZONE.sub(rf"\g<1> {port}/tcp", output.stdout, count=1))
