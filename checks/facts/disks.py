"""How full the filesystems of the host are."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from checks.source import Outputs, Probe, Source, UnparsableError

_ROW = re.compile(r"^(?P<device>.*\S)\s+\d+\s+\d+\s+(?P<free>-?\d+)\s+(?P<used>\d+%|-)\s+(?P<mount>/.*)$")
_MOUNT = re.compile(r"(?P<device>\d+:\d+) (?P<mount>/\S*)")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Filesystem:
    """``used`` and ``inodes`` are percentages as df rounds them: up. None where it has no fixed number of inodes."""

    mount: str
    used: int
    free_kb: int
    inodes: int | None


@dataclass(frozen=True)
class Disks:
    """``mounts`` maps every mount point to its device, ``filesystems`` a device to how full it is.

    Remote filesystems are mounts without a filesystem here: asking them may hang.
    """

    mounts: Mapping[str, str]
    filesystems: Mapping[str, Filesystem]

    def holding(self, path: str) -> Filesystem | None:
        """The filesystem that a path is on; None where that one was not measured."""
        above = [mount for mount in self.mounts if f"{path}/".startswith(mount.rstrip("/") + "/")]
        mount = max(above, key=len, default="/")
        filesystem = self.filesystems.get(self.mounts[mount])
        return replace(filesystem, mount=mount) if filesystem else None


def parse(outputs: Outputs) -> Disks:
    """Lines ``DEVICE MOUNT`` of /proc/self/mountinfo, the device by its number, then ``df`` of blocks and of inodes."""
    output = outputs["disks"]
    listing, marker, rest = output.stdout.partition("@ blocks\n")
    blocks, end, inodes = rest.partition("@ inodes\n")
    if not marker or not end:
        raise UnparsableError(f"df was cut off: {output.stderr.strip()[:200]}")
    mounts = dict(_mounted(line) for line in listing.splitlines())
    if "/" not in mounts:
        raise UnparsableError("nothing is mounted on /")
    used = {row["mount"]: _percent(row["used"]) for row in _rows(inodes)}
    filesystems = {
        mounts[row["mount"]]: Filesystem(
            row["mount"], _percent(row["used"]) or 0, int(row["free"]), used.get(row["mount"])
        )
        for row in _rows(blocks)
        if row["mount"] in mounts
    }
    return Disks(mounts, filesystems)


def _mounted(line: str) -> tuple[str, str]:
    match = _MOUNT.fullmatch(line)
    if match is None:
        raise UnparsableError(f"{line[:80]!r} is no device and its mount")
    return _unescaped(match["mount"]), match["device"]


def _rows(printed: str) -> Iterator[re.Match[str]]:
    """Rows below the header of ``df -P``: Filesystem, size, used, available, capacity, mounted on."""
    for line in printed.splitlines()[1:]:
        row = _ROW.match(line)
        if row is None:
            raise UnparsableError(f"cannot read the row {line[:80]!r} of df")
        yield row


def _percent(text: str) -> int | None:
    return None if text == "-" else int(text.rstrip("%"))


def _unescaped(path: str) -> str:
    r"""A path as it is: mountinfo writes a space as ``\040``."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), path)


_COMMAND = """\
awk '{ print $3, $5 }' /proc/self/mountinfo
echo '@ blocks'
df -lP 2>/dev/null
echo '@ inodes'
df -lPi 2>/dev/null
true
"""

DISKS = Source("disks", (Probe("disks", _COMMAND),), parse)
