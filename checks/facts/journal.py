"""What the host's journal tells of the time that matters: units that came and went, and who asked for what.

By message id, as sd-messages.h has them since before systemd 219, which knows neither --output-fields nor --grep.
systemd says when it stops a unit, and never who told it to.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from checks.commands import ROOT_HELPER
from checks.facts.units import UNIT_NAMES
from checks.source import Outputs, Probe, Source, Unavailable, UnparsableError

_NEWEST = 300
"""Records that are read at most, the newest ones."""

_LONGEST = 300
"""Characters of a message that are kept."""

_DEADLINE_RAN_OUT = 124


class EventKind(StrEnum):
    """What an event is. Those of a unit are as systemd says them, before and after it does something."""

    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    RELOADING = "reloading"
    RELOADED = "reloaded"
    SUDO = "sudo"  # `who` ran `what` as another user
    CRON = "cron"  # cron ran `what` for `who`
    POLKIT = "polkit"  # `who` was allowed `what`
    ANSIBLE = "ansible"  # a module that ran; `what` begins with its name
    LOGIN = "login"  # `who` logged in, `what` says from where
    DOCKERD = "dockerd"  # what dockerd says of firewalld, and why it does not start
    KERNEL = "kernel"  # a table that is full, a process that was killed for want of memory
    SAID = "said"  # a line of some program within seconds of a unit's change


@dataclass(frozen=True)
class Event:
    """One record. ``at`` is by the host's clock. ``by_unit`` is the unit in which the process ran that wrote it.

    It is empty where that process had ended before the journal asked: a script's ``logger`` is as quick. ``program`` is
    what the process calls itself.
    """

    at: datetime
    kind: EventKind
    what: str
    unit: str = ""  # that changed; empty where the event is not of a unit
    who: str = ""
    pid: int = 0
    by_unit: str = ""
    program: str = ""


@dataclass(frozen=True)
class Journal:
    """``events`` are in order. ``complete`` is whether they go back as far as was asked."""

    events: tuple[Event, ...]
    complete: bool = True

    def of_unit(self, *units: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.unit in units)


_UNIT_EVENTS = {
    "7d4958e842da4a758f6c1cdc7b36dcc5": EventKind.STARTING,
    "39f53479d3a045ac8e11786248231fbf": EventKind.STARTED,
    "de5b426a63be47a7b6ac3eaac82e2f6f": EventKind.STOPPING,
    "9d1aaa27d60140bd96365438aad20286": EventKind.STOPPED,
    "be02cf6855d2428ba40df7e9d022f03d": EventKind.FAILED,
    "d34d037fff1847e6ae669a370e694725": EventKind.RELOADING,
    "7b05ebc668384222baa8881179cfda54": EventKind.RELOADED,
}


def parse(outputs: Outputs) -> Journal | Unavailable:
    """Lines of ``journalctl -o json``, newest first, then ``ended STATUS``; then the records around the newest changes.

    Where there were too many, the newest ones are there and that line is not.
    """
    output = outputs["journal"]
    lines = [line for line in output.stdout.split("\n") if line]  # a message may hold other separators
    if lines[:1] == ["unreadable"]:
        return Unavailable("no journal that this user may read; it should be in the group systemd-journal")
    end = next((number for number, line in enumerate(lines) if line.startswith("ended ")), None)
    status = _DEADLINE_RAN_OUT if end is None else int(lines[end].removeprefix("ended "))
    if status not in {0, _DEADLINE_RAN_OUT} or not lines:
        raise UnparsableError(f"journalctl ended with {status}: {output.stderr.strip()[:200]}")
    records = lines[::-1] if end is None else [*lines[:end][::-1], *lines[end + 1 :]]
    events = dict.fromkeys(_event(json.loads(line)) for line in records)  # what is in both parts counts once
    known = [event for event in events if event is not None]
    return Journal(tuple(sorted(known, key=lambda event: event.at)), complete=status == 0)


def _event(record: Mapping[str, Any]) -> Event | None:
    """What a record says; None for one that says nothing here."""
    said = {key: text for key, value in record.items() if (text := _text(value))}
    micros = said.get("_SOURCE_REALTIME_TIMESTAMP") or said.get("__REALTIME_TIMESTAMP")
    if micros is None:
        raise UnparsableError("a record of the journal has no time")
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))
    pid, by_unit = int(said.get("_PID", "0")), said.get("_SYSTEMD_UNIT", "")
    message = said.get("MESSAGE", "")[:_LONGEST]
    if pid == 1:
        kind, unit = _UNIT_EVENTS.get(said.get("MESSAGE_ID", "")), said.get("UNIT", "")
        named = kind is not None and unit.endswith((".service", ".socket", ".timer"))
        return Event(at, kind, message, unit, "", pid, by_unit) if kind and named else None
    program = said.get("SYSLOG_IDENTIFIER", "")
    told = _READERS.get(program, _of_any_program)(message)
    if told is None:
        return None
    kind, who, what = told
    return Event(at, kind, what, "", who, pid, by_unit, program)


def _text(value: object) -> str:
    """A field's text: the journal gives bytes that are no text as a list of numbers, and long ones as null."""
    if isinstance(value, list):  # of numbers; a field that stands there several times is a list of texts
        numbers = [one for one in value if isinstance(one, int)]
        return bytes(one & 255 for one in numbers).decode(errors="replace") if numbers else str(value[:1])
    return value if isinstance(value, str) else ""


_Told = tuple[EventKind, str, str]  # kind, who, what

_SUDO = re.compile(r" *(?P<who>\S+) : (?:HOST|TTY|PWD|CHROOT|USER)=.*? ; COMMAND=(?P<what>.*)")
_CRON = re.compile(r"\((?P<who>[^)]+)\) CMD \( *(?P<what>.*?)\)?$")
_SSHD = re.compile(r"Accepted \S+ for (?P<who>\S+) from (?P<what>\S+) port ")
_SU = re.compile(r"\(to (?P<what>[^)]+)\) (?P<who>\S+) on ")
_LOGIN = re.compile(r"(?P<root>ROOT )?LOGIN ON (?P<what>\S+)(?: BY (?P<who>\S+))?")
_POLKIT = re.compile(r"for action (?P<action>\S+) for \S+ \[(?P<what>.*)\] \(owned by unix-user:(?P<who>[^)]+)\)")
_DOCKERD = re.compile(r'msg="(?P<what>Firewalld: (?:[^"\\]|\\.)*)"')
NOT_STARTED = ("failed to start daemon: ", "unable to configure the Docker daemon ")
"""How dockerd's last words begin where it does not start (moby: cmd/dockerd)."""

_ONLY_ASKS = re.compile(r'"(?:GET|HEAD) /')
_KERNEL = re.compile(r"nf_conntrack: .*table full|[Oo]ut of memory: Kill")


def _by_sudo(message: str) -> _Told | None:
    """A command that was refused has other words before its TTY, and did nothing."""
    match = _SUDO.match(message)
    return (EventKind.SUDO, match["who"], match["what"]) if match else None


def _by_cron(message: str) -> _Told | None:
    match = _CRON.match(message)
    return (EventKind.CRON, match["who"], match["what"]) if match else None


def _by_sshd(message: str) -> _Told | None:
    match = _SSHD.match(message)
    return (EventKind.LOGIN, match["who"], f"over SSH from {match['what']}") if match else None


def _by_su(message: str) -> _Told | None:
    match = _SU.match(message)
    return (EventKind.LOGIN, match["who"], f"as {match['what']}, by su") if match else None


def _by_login(message: str) -> _Told | None:
    match = _LOGIN.match(message)
    return (EventKind.LOGIN, match["who"] or "root", f"at {match['what']}") if match else None


def _by_polkit(message: str) -> _Told | None:
    match = _POLKIT.search(message)
    return (EventKind.POLKIT, match["who"], f"{match['what']} ({match['action']})") if match else None


def _by_dockerd(message: str) -> _Told | None:
    if message.startswith(NOT_STARTED):
        return EventKind.DOCKERD, "dockerd", message
    match = _DOCKERD.search(message)
    return (EventKind.DOCKERD, "dockerd", match["what"].replace('\\"', '"')) if match else None


def _by_network_manager(message: str) -> _Told | None:
    """What somebody asked of it. All else follows from what became of interfaces, Docker's bridges among them."""
    return (EventKind.SAID, "", message) if "audit: " in message else None


def _by_podman(message: str) -> _Told | None:
    """A request that changes something. systemd starts Podman's service for each look, and that only asks."""
    return (EventKind.SAID, "", message) if " HTTP/" in message and not _ONLY_ASKS.search(message) else None


def _by_kernel(message: str) -> _Told | None:
    return (EventKind.KERNEL, "", message) if _KERNEL.search(message) else None


def _of_any_program(message: str) -> _Told:
    """Ansible's modules name themselves: as the identifier, or before the message where Python knows the journal."""
    return (EventKind.ANSIBLE, "", message) if message.startswith("ansible-") else (EventKind.SAID, "", message)


def _silent(_message: str) -> None:
    """Those whose lines go with every change, whoever asked for it.

    What firewalld says is of what its clients have it do: at each start dockerd has it take away, make and look for
    rules that are not there, or are there already, in other words in each version.
    """


_ANSIBLE = tuple(
    f"ansible-{prefix}{module}"
    for prefix, modules in (
        ("", ("sysctl", "systemd", "service", "firewalld", "iptables", "ufw", "command")),
        ("ansible.posix.", ("sysctl", "firewalld")),
        ("ansible.builtin.", ("systemd", "service", "iptables", "command")),
        ("ansible.legacy.", ("systemd", "service", "command")),
    )
    for module in modules
)


def _by_ansible(name: str) -> Callable[[str], _Told]:
    return lambda message: (EventKind.ANSIBLE, "", message if message.startswith(name) else f"{name}: {message}")


_READERS: Mapping[str, Callable[[str], _Told | None]] = {
    "sudo": _by_sudo,
    **dict.fromkeys(("CRON", "CROND", "cron", "crond"), _by_cron),
    **dict.fromkeys(("sshd", "sshd-session"), _by_sshd),
    "su": _by_su,
    "login": _by_login,
    "polkitd": _by_polkit,
    "dockerd": _by_dockerd,
    "NetworkManager": _by_network_manager,
    "podman": _by_podman,
    "kernel": _by_kernel,
    **{name: _by_ansible(name) for name in _ANSIBLE},
    **dict.fromkeys(
        (
            "systemd",
            "(sd-pam)",
            "systemd-networkd",
            "systemd-logind",
            "systemd-journald",
            "containerd",
            "dbus-daemon",
            "dbus-broker",
            "firewalld",
            "avahi-daemon",
            "dnsmasq",
            "audit",
        ),
        _silent,
    ),
}

_PROGRAMS = ("CRON", "CROND", "crond", "su", "login", "polkitd", "sshd", "sshd-session")
_MATCHES = " + ".join(
    (
        " ".join(("_PID=1", *(f"MESSAGE_ID={one}" for one in _UNIT_EVENTS), *(f"UNIT={unit}" for unit in UNIT_NAMES))),
        "_COMM=sudo PRIORITY=5",  # pam's lines are 6
        " ".join(f"SYSLOG_IDENTIFIER={name}" for name in (*_PROGRAMS, *_ANSIBLE)),
        "_SYSTEMD_UNIT=docker.service _TRANSPORT=stdout",  # containers' own lines come by another way
        "_TRANSPORT=kernel PRIORITY=3 PRIORITY=4",
        "MODULE=basic.py",  # of Ansible: where Python knows the journal, it writes to it without an identifier
    )
)
_TELLING = (
    r'"MESSAGE_ID"|COMMAND=|\) CMD \(|Accepted |for action |"\(to |LOGIN ON |Firewalld: |table full|memory: Kill|'
    f"ansible-|{'|'.join(NOT_STARTED)}"
)
_FIELDS = "MESSAGE,MESSAGE_ID,UNIT,_PID,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,_SOURCE_REALTIME_TIMESTAMP"
_BEGINNINGS = "|".join(key for key, kind in _UNIT_EVENTS.items() if kind.value.endswith("ing"))
_BY_OTHERS = f'"_PID" *: *"([2-9]|1[0-9])|"MESSAGE_ID" *: *"({"|".join(_UNIT_EVENTS)})'
_SILENT_UNITS = (
    r'"_SYSTEMD_UNIT" *: *"(docker|containerd|dbus|ssh|sshd|systemd-[a-z]*|user@[0-9]*)\.|'
    r'"UNIT" *: *"(user|session|[^"]*\.(slice|target|scope|mount|device|path)")'
)

# First the records that say what happened and who asked, newest first. Our own looks are among them, by sudo, and are
# left out before they are counted. Then, for the newest changes of units, whatever else was written within 2 s. sed
# takes out what -o json prints of each record, asked or not, and nobody reads. Before systemd 236 journalctl refuses
# --output-fields with 1, and is asked again without it.
_COMMAND = rf"""
readable=
for f in /run/log/journal/*/system.journal /var/log/journal/*/system.journal; do [ ! -r "$f" ] || readable=yes; done
[ -n "$readable" ] || {{ echo unreadable; exit 0; }}
records() {{
  seconds=$1
  shift
  for fields in --output-fields={_FIELDS} ''; do
    timeout "$seconds" journalctl -q --no-pager -o json $fields "$@"
    ended=$?
    [ "$ended" = 1 ] || break
  done
}}
me=$(id -un) from=${{SSH_CONNECTION%% *}}
sudo='COMMAND=(/usr/bin/timeout -k |{ROOT_HELPER} look|list)'
ours="\"MESSAGE\" *: *\" *($me : .*$sudo|Accepted [a-z/-]* for $me from ${{from:-none}} )"
short='s/"(__CURSOR|__MONOTONIC_TIMESTAMP|__SEQNUM|__SEQNUM_ID|_BOOT_ID)" *: *"[^"]*" *, *//g'
said=$({{
  records 3 -r --since="-${{BACK}}s" {_MATCHES}
  echo "ended $ended"
}} | grep -E '^ended|{_TELLING}' | sed -E "\#$ours#d; $short" | head -n {_NEWEST})
printf '%s\n' "$said"
case $said in *{_BEGINNINGS.replace("|", "*|*")}*) ;; *) exit 0 ;; esac
export TZ=UTC
for t in $(printf '%s\n' "$said" |
  sed -nE '/"MESSAGE_ID" *: *"({_BEGINNINGS})/s/.*"__REALTIME_TIMESTAMP" *: *"([0-9]*)[0-9]{{6}}".*/\1/p' |
  awk 'NR == 1 || last - $1 > 1 {{ print; last = $1; if (++changes == 3) exit }}'); do
  records 1 --since="$(date -u -d "@$((t - 3))" '+%F %T')" \
    --until="$(date -u -d "@$((t + 3))" '+%F %T')" | grep -E '{_BY_OTHERS}' |
    sed -E -e "\#$ours#d" -e '\#{_SILENT_UNITS}#d' -e "$short" | head -n 100
done
"""

JOURNAL = Source("journal", (Probe("journal", _COMMAND, timeout=8),), parse)
