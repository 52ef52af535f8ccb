"""The systemd units that matter to a published port: their state, and since when.

systemctl of systemd 219 (CentOS 7) ends the whole command, with status 1 and no word, at a property that a unit's
kind does not have: docker.socket has no MainPID. So where asking for all units at once fails, each is asked for alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.source import Gaps, Outputs, Probe, Source, Unavailable, UnparsableError

NETWORK_UNITS = ("network.service", "networking.service", "NetworkManager.service", "systemd-networkd.service")
UNIT_NAMES = (
    "docker.service",
    "docker.socket",
    "containerd.service",
    "firewalld.service",
    "iptables.service",
    "nftables.service",
    "ufw.service",
    "systemd-sysctl.service",
    *NETWORK_UNITS,
)
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,MainPID,Result,"
    "ActiveEnterTimestamp,InactiveEnterTimestamp,ExecMainStartTimestamp"
)
_TIMESTAMP = re.compile(r"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$")


@dataclass(frozen=True)
class Unit:
    """``active_since`` and ``inactive_since`` are the last changes, to the second; None: not since boot."""

    name: str
    installed: bool
    active: str  # ActiveState: active, inactive, failed, activating...
    sub: str
    enabled: str  # UnitFileState: enabled, disabled, static, masked, or empty
    main_pid: int
    result: str  # success, exit-code, start-limit-hit...
    active_since: datetime | None
    inactive_since: datetime | None

    @property
    def is_active(self) -> bool:
        return self.active == "active"

    @property
    def is_moving(self) -> bool:
        """Whether it is on its way from one state to another: what depends on it is about to change.

        One that systemd starts again and again, and that fails each time, stays what it is.
        """
        if self.active == "activating":
            return self.sub != "auto-restart" and self.result in {"", "success"}
        return self.active in {"deactivating", "reloading"}


Units = Mapping[str, Unit | Unavailable]
"""Every one of UNIT_NAMES."""

_SHOWN = {"LoadState", "ActiveState", "SubState", "UnitFileState", "ActiveEnterTimestamp", "InactiveEnterTimestamp"}


def known(units: Units) -> dict[str, Unit]:
    """The units whose state could be had."""
    return {name: unit for name, unit in units.items() if not isinstance(unit, Unavailable)}


def parse(outputs: Outputs) -> Units:
    """Blocks of ``Key=value`` lines, one a unit, with an empty line between them."""
    output = outputs["units"]
    said = output.stderr.strip()[:200]
    blocks = {}
    for block in output.stdout.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" not in values and block.strip():
            raise UnparsableError(f"cannot read the block {block[:80]!r} of systemctl")
        if values:
            blocks[values["Id"]] = values
    units = {name: _unit(name, blocks.get(name, {}), said) for name in UNIT_NAMES}
    if not known(units):
        raise UnparsableError(f"systemctl ended with {output.status} and showed no unit: {said}")
    return units


def _unit(name: str, values: Mapping[str, str], said: str) -> Unit | Unavailable:
    needed = {*_SHOWN, "MainPID"} if name.endswith(".service") else _SHOWN
    if not needed <= values.keys():
        return Unavailable(f"systemctl did not show {'all of ' if values else ''}it: {said}".removesuffix(": "))
    return Unit(
        name=name,
        installed=values["LoadState"] != "not-found",
        active=values["ActiveState"],
        sub=values["SubState"],
        enabled=values["UnitFileState"],
        main_pid=int(values.get("MainPID") or 0),  # sockets have none
        result=values.get("Result", ""),
        active_since=_time(values["ActiveEnterTimestamp"]),
        inactive_since=_time(values["InactiveEnterTimestamp"]),
    )


def _time(text: str) -> datetime | None:
    if not text or text == "n/a":
        return None
    match = _TIMESTAMP.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no time in UTC")
    return datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _gaps(units: Units) -> Gaps:
    return {name: unit.reason for name, unit in units.items() if isinstance(unit, Unavailable)}


_COMMAND = f"""\
export TZ=UTC
show='systemctl show --no-pager -p {_PROPERTIES}'
set -- {" ".join(UNIT_NAMES)}
if said=$($show "$@" 2>/dev/null); then
  printf '%s\\n' "$said"
else
  for unit; do $show "$unit"; echo; done
fi
"""

UNITS = Source("units", (Probe("units", _COMMAND),), parse, _gaps)
