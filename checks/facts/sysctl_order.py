"""What becomes of the assignments in sysctl files: what each program writes, in order, and what the kernel makes of it.

Read in the sources of systemd (src/sysctl/sysctl.c, rhel-7.6 to 257) and of procps (sysctl.c, 3.3.10 to 4.0.5), and
compared with both programs in tests/lab/test_sysctl_order.py.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

IP_FORWARD = "net.ipv4.ip_forward"
CONNTRACK_MAX = "net.netfilter.nf_conntrack_max"
_ALL = "net.ipv4.conf.all.forwarding"
_ALIASES = {_ALL: IP_FORWARD, "net.nf_conntrack_max": CONNTRACK_MAX}
_CONF = "net.ipv4.conf."
_MADE_BY_DOCKERD = ("docker", "br-", "veth")
SWAPPED = str.maketrans("./", "/.")
"""Between the two forms of a key: what separates in one is a dot of a name in the other."""
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)")


@dataclass(frozen=True)
class SysctlLine:
    """One assignment. ``key`` is written with dots. ``value`` is None for ``-key``: no glob may set that one."""

    path: str
    number: int
    key: str
    value: str | None
    dash: bool = field(default=False, compare=False)  # it begins with "-": a failure is no error

    @property
    def says(self) -> str:
        return f"{self.path}:{self.number} says {self.key} = {self.value}"

    @property
    def is_on(self) -> bool:
        """For a switch: whether it is switched on. The kernel takes any number but 0 for on."""
        return re.search(r"[1-9a-fA-F]", self.value or "") is not None

    @property
    def is_glob(self) -> bool:
        return any(character in self.key for character in "*?[")

    @property
    def is_global(self) -> bool:
        """Whether it sets the switch of the whole host: ip_forward and its alias are one switch in the kernel."""
        return self.sets(IP_FORWARD) or self.sets(_ALL)

    def sets(self, key: str) -> bool:
        """Whether this is its key, or a glob that matches it; a ``*`` does not match a separator."""
        mine, its = self.key.split("."), key.split(".")
        return self.key == key or (len(mine) == len(its) and all(map(fnmatchcase, its, mine)))


Write = tuple[str, SysctlLine]
"""A key that a program writes, and the line for which it does."""


def interface_key(interface: str, setting: str) -> str:
    """``net.ipv4.conf.eth0/5.forwarding``: in the form with dots, a dot of a name is a slash."""
    return f"{_CONF}{interface.replace('.', '/')}.{setting}"


def systemd_writes(lines: Iterable[SysctlLine], keys: Sequence[str], version: int) -> Iterator[Write]:
    """What systemd-sysctl writes to these keys: one write a key, at the place of the last line that changed its value.

    So a line that repeats what an earlier one says keeps the earlier one's place, and an alias between them wins.
    """
    options: dict[str, SysctlLine] = {}
    for line in lines:
        if (line.dash or line.is_glob) and version < 244:  # noqa: PLR2004  # the first systemd that knows either
            continue
        if line.key in options and options[line.key].value != line.value:
            del options[line.key]
        options[line.key] = line
    for line in options.values():
        if line.value is not None:
            yield from ((key, line) for key in keys if _writes(line, key, excluded=key in options))


def procps_writes(lines: Sequence[SysctlLine], keys: Sequence[str], version: tuple[int, ...]) -> Iterator[Write]:
    """What ``sysctl --system`` and ``sysctl -p`` write to these keys: line after line."""
    known = [line for line in lines if _procps_knows(line, version)]
    named = {line.key for line in known}
    if version >= (4, 0, 5):
        named |= {key for line in known if line.value is None for key in keys if _excludes(line, key)}
    for line in known:
        if line.value is not None:
            yield from ((key, line) for key in keys if _writes(line, key, excluded=key in named))


def _procps_knows(line: SysctlLine, version: tuple[int, ...]) -> bool:
    if line.is_glob or line.value is None:
        return version >= (4, 0, 0)
    return not line.dash or version >= (3, 3, 16)


def _excludes(line: SysctlLine, key: str) -> bool:
    """In procps an exclusion's ``*`` matches separators, too."""
    return fnmatchcase(key.translate(SWAPPED), line.key.translate(SWAPPED))


def _writes(line: SysctlLine, key: str, *, excluded: bool) -> bool:
    if _NUMBER.fullmatch(line.value or "") is None:
        return False  # the kernel refuses it
    return line.sets(key) and not excluded if line.is_glob else line.key == key


def relevant(key: str) -> tuple[str, ...]:
    """The keys whose writes can change this one, in the order in which a glob is expanded."""
    interface, setting = _parts(key)
    if setting == "forwarding" or key == IP_FORWARD:
        return tuple(sorted({key, IP_FORWARD, _ALL, interface_key("default", "forwarding")}))
    if interface:
        return tuple(sorted({key, interface_key("default", setting)}))
    return (key, *(alias for alias, meant in _ALIASES.items() if meant == key))


def deciding(writes: Sequence[Write], key: str, *, booting: bool, forwarding: bool) -> SysctlLine | None:
    """The line that decides a key's value in the end; None where it stays as it was.

    ``booting``: interfaces that dockerd makes later begin with what ``default`` is then, and so does rp_filter of any
    interface that has no address yet (net/ipv4/devinet.c: devinet_copy_dflt_conf, ipv4_devconf_setall).
    ``forwarding`` is the host's switch beforehand, see `_last_change`.
    """
    interface, setting = _parts(key)
    is_late = booting and interface.startswith(_MADE_BY_DOCKERD)
    if setting == "forwarding" and interface != "all" and not is_late:
        return _last_change(writes, key, forwarding=forwarding)
    key = _ALIASES.get(key, key)
    own = next((line for written, line in reversed(writes) if _ALIASES.get(written, written) == key), None)
    if own is not None or not booting or interface in {"", "all", "default"}:
        return own
    return deciding(writes, interface_key("default", setting), booting=booting, forwarding=forwarding)


def _last_change(writes: Sequence[Write], key: str, *, forwarding: bool) -> SysctlLine | None:
    """Of one interface's forwarding: its own writes, and those that change the switch of the whole host.

    The kernel hands that one on to ``default`` and to every interface when it changes, and only then: writing 1 where
    it is 1 leaves an interface with 0 as it is (devinet_sysctl_forward).
    """
    decided = None
    for written, line in writes:
        if written == key:
            decided = line
        elif written in {IP_FORWARD, _ALL} and line.is_on != forwarding:
            decided, forwarding = line, line.is_on
    return decided


def _parts(key: str) -> tuple[str, str]:
    """The interface and the setting of a key below net.ipv4.conf; two empty strings for any other."""
    if not key.startswith(_CONF):
        return "", ""
    interface, _, setting = key.removeprefix(_CONF).rpartition(".")
    return interface, setting
