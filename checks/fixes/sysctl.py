"""A setting of the kernel: written now, and kept by a file of its own that no other file outvotes."""

import re
import shlex
from dataclasses import dataclass

from checks.commands import BY, ROOT_HELPER, RUN
from checks.facts.sysctl_files import SYSCTL_CONF, SYSCTL_FILES, SysctlFiles, SysctlLine
from checks.facts.sysctl_order import CONNTRACK_MAX, IP_FORWARD, SWAPPED, interface_key
from checks.fixes.fix import RefusedError
from checks.look import Look
from checks.model import Step

_INTERFACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,15}")
_MARK = "# dockerhealth switched off: "
_EDITABLE = re.compile(rf"{re.escape(SYSCTL_CONF)}|/etc/sysctl\.d/[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Setting:
    """``key`` is written with dots; ``file`` is the part of its file's name that is its own."""

    key: str
    value: str
    file: str

    @property
    def path(self) -> str:
        return f"/etc/sysctl.d/99-zz-dockerhealth-{self.file}.conf"

    @property
    def word(self) -> str:
        """As one word of our root helper, which takes the form with slashes: interfaces may have dots."""
        return f"{self.key.translate(SWAPPED)}={self.value}"

    @property
    def changes(self) -> tuple[str, ...]:
        return f"sysctl {self.key}", f"file {self.path}*"

    def is_of(self, line: SysctlLine) -> bool:
        return line.sets(self.key) or (self.key == IP_FORWARD and line.is_global)

    def agrees(self, line: SysctlLine) -> bool:
        """Whether a line leaves the setting at this value, or above it."""
        if self.value == "1":
            return line.is_on
        return line.value is not None and line.value.isdigit() and int(line.value) >= int(self.value)


def ip_forward() -> Setting:
    return Setting(IP_FORWARD, "1", "ip-forward")


def forwarding_of(interface: str) -> Setting:
    return Setting(interface_key(_checked(interface), "forwarding"), "1", f"forwarding-{interface}")


def loose_filter_of(interface: str) -> Setting:
    return Setting(interface_key(_checked(interface), "rp_filter"), "2", f"rp-filter-{interface}")


def conntrack_max(maximum: int) -> Setting:
    return Setting(CONNTRACK_MAX, str(maximum), "conntrack-max")


def _checked(interface: str) -> str:
    """An interface's name, which comes from a host, as part of a command. Raises RefusedError."""
    if not _INTERFACE.fullmatch(interface):
        raise RefusedError(f"an interface has a name that cannot be used in a command: {interface!r}")
    return interface


# --- steps -----------------------------------------------------------------------------------------------------------


def write_now(setting: Setting, *undo: Step) -> Step:
    return Step(
        f"set {setting.key} = {setting.value}, now",
        (ROOT_HELPER, "sysctl-set", setting.word),
        undo=undo,
        typed=f"sudo sysctl -w {setting.key}={setting.value}",
    )


def write_now_again(key: str, value: str) -> Step:
    """What takes `write_now` back: the value that was there before."""
    return Step(
        f"set {key} = {value} again",
        (ROOT_HELPER, "sysctl-set", f"{key.translate(SWAPPED)}={value}"),
        typed=f"sudo sysctl -w {key}={value}",
    )


def _write_file(setting: Setting) -> Step:
    line = f"{setting.key} = {setting.value}"
    remove = Step(
        f"remove {setting.path}, or bring back what was there",
        (ROOT_HELPER, "sysctl-file", "remove", setting.key.translate(SWAPPED)),
        typed=f"sudo rm {setting.path}",
    )
    return Step(
        f"write {setting.path}: {line}",
        (ROOT_HELPER, "sysctl-file", "write", setting.word, BY, RUN),
        undo=(remove,),
        typed=rf"printf '{line}\n' | sudo tee {setting.path}",
    )


def _comment_out(line: SysctlLine) -> Step:
    """Comment one line out, or back in. The file as it was is kept beside it meanwhile."""
    back = Step(
        f"bring line {line.number} of {line.path} back",
        (ROOT_HELPER, "sysctl-line", "on", line.path, str(line.number)),
        typed=shlex.join(("sudo", "sed", "-i", f"{line.number}s/^{_MARK}//", line.path)),
    )
    return Step(
        f"comment out line {line.number} of {line.path} ({line.key} = {line.value}), keeping a copy",
        (ROOT_HELPER, "sysctl-line", "off", line.path, str(line.number)),
        undo=(back,),
        typed=shlex.join(("sudo", "sed", "-i", f"{line.number}s/^/{_MARK}/", line.path)),
    )


# --- whether it is kept ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keeping:
    """How a setting can be kept. ``why_not`` is empty where it can: then ``steps`` do it."""

    steps: tuple[Step, ...] = ()
    edited: tuple[SysctlLine, ...] = ()  # lines of other files that would win, and are commented out
    outvoted: tuple[SysctlLine, ...] = ()  # those that say otherwise, and lose
    why_not: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            *(
                f"{line.says}. It is read before our file, which therefore wins; tell its owner."
                for line in self.outvoted
            ),
            *(f"{line.says}, and would win over our file: that line is commented out." for line in self.edited),
        )

    @property
    def changes(self) -> tuple[str, ...]:
        return tuple(f"file {line.path}*" for line in self.edited)


def keep(look: Look, setting: Setting) -> Keeping:
    """A file for the setting, and what else has to give way so that it wins. Raises MissingError."""
    files = look.need(SYSCTL_FILES)
    if files.unreadable:
        return Keeping(why_not=f"whether a file would win cannot be told: {', '.join(files.unreadable)} cannot be read")
    losing = overridden(files, setting)
    locked = next((line for line in losing if not _may_edit(line)), None)
    if locked is not None:
        return Keeping(why_not=f"{locked.says}, is read last, and is not ours to change: its owner has to")
    against = (line for line in files.lines if setting.is_of(line) and line.path != setting.path)
    has_it = any(line.path == setting.path and setting.agrees(line) for line in files.lines)
    return Keeping(
        (*map(_comment_out, losing), *(() if has_it else (_write_file(setting),))),
        losing,
        tuple(line for line in against if not setting.agrees(line) and line not in losing),
    )


def overridden(files: SysctlFiles, setting: Setting) -> tuple[SysctlLine, ...]:
    """The lines that would say otherwise once our file is there, by either program's order, now or after a boot."""
    files = files.with_line(SysctlLine(setting.path, 1, setting.key, setting.value))
    against: list[SysctlLine] = []
    while True:
        deciding = (
            files.at_boot(setting.key),
            files.by_procps(setting.key),
            files.after_boot.at_boot(setting.key),
        )
        line = next((one for one in deciding if one is not None and not setting.agrees(one)), None)
        if line is None:
            return tuple(against)
        against.append(line)
        files = files.without(line)


def _may_edit(line: SysctlLine) -> bool:
    """Whether our root helper comments it out: see deploy/host."""
    plain = {"forwarding": {"0"}, "ip_forward": {"0"}, "rp_filter": {"1"}}.get(line.key.rpartition(".")[2])
    known = line.value in plain if plain else line.key.endswith("nf_conntrack_max") and (line.value or "").isdigit()
    return known and _EDITABLE.fullmatch(line.path) is not None
