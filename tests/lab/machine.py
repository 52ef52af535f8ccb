"""A tree, booted: one systemd-nspawn process, an overlay of its own, and a way in that needs no network.

The overlay is mounted in a mount namespace of the process itself, and the process is killed by the kernel when the
lab that started it dies, however it dies: neither mounts nor hosts can be left behind.
"""

import fcntl
import os
import shutil
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.lab.command import LabError, run, wait_for
from tests.lab.image import CACHE
from tests.lab.network import BRIDGE, OUTSIDE_ADDRESS

_NETWORK_FILE = """[Match]
Name=host0
[Network]
Address={address}/24
Gateway={gateway}
IPv6AcceptRA=no
LLMNR=no
MulticastDNS=no
"""
# $1 tree, $2 working folder, $3 name of a cgroup, then the command
_ISOLATE_THEN_EXEC = """
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$3"
    echo $$ > "$hierarchy/$3/cgroup.procs"
done
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
shift 3
exec "$@"
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Folders:
    """Where a host keeps its things on this machine. The name is locked, so the folder is nobody else's."""

    name: str

    @property
    def base(self) -> Path:
        return CACHE / "hosts" / self.name

    @property
    def upper(self) -> Path:
        return self.base / "upper"

    @property
    def docker(self) -> Path:
        return self.base / "docker"

    @property
    def baseline(self) -> Path:
        return self.base / "baseline"

    @property
    def host_key(self) -> Path:
        return self.upper / "etc/ssh/ssh_host_ed25519_key"

    @property
    def cgroup(self) -> str:
        """Of its own: systemd in two hosts of one cgroup would take each other's services for their own."""
        return f"dockerhealth-lab-{self.name}"

    @property
    def console(self) -> Path:
        return self.base / "console.log"


class NameTakenError(LabError):
    """Another lab on this machine runs a host of that name, and so of that address."""


def lock_name(name: str) -> TextIO:
    """Take a host name on this machine for as long as the returned file is open."""
    path = _lock_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        lock.close()
        raise NameTakenError(f"host {name} runs already, in another lab on this machine") from taken
    return lock


def holds_name(pid: int, name: str) -> bool:
    """Whether this very process runs the host of that name: no other process that came to its number does."""
    try:
        return any(link.readlink() == _lock_file(name) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _lock_file(name: str) -> Path:
    return CACHE / "hosts" / f".{name}.lock"


def prepare(folders: Folders, address: str) -> None:
    """Lay down what makes this host this host, over the tree that it shares with its generation."""
    if folders.base.exists():
        shutil.rmtree(folders.base)
    for empty in ("root", "upper", "work", "docker"):
        (folders.base / empty).mkdir(parents=True)
    etc = folders.upper / "etc"
    for folder in (etc / "ssh", etc / "systemd/network"):
        folder.mkdir(parents=True)
    network = _NETWORK_FILE.format(address=address, gateway=OUTSIDE_ADDRESS)
    (etc / "systemd/network/10-host0.network").write_text(network)
    (etc / "hostname").write_text(f"{folders.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{address} {folders.name}\n")
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", folders.name, "-f", folders.host_key)


def start(tree: Path, folders: Folders) -> subprocess.Popen[bytes]:
    """Boot. Call it from the main thread: the kernel ties the process to the life of the thread that started it."""
    argv = [
        *("setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private"),
        *("sh", "-euc", _ISOLATE_THEN_EXEC, "boot", str(tree), str(folders.base), folders.cgroup),
        *("systemd-nspawn", "--quiet", "--boot", "-D", str(folders.base / "root"), "-M", folders.name),
        *("--network-veth", f"--network-bridge={BRIDGE}", "--register=no", "--keep-unit"),
        *("--capability=all", "--system-call-filter=@keyring bpf", "--private-users=no"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"),
        "--kill-signal=SIGKILL",  # what PID 1 gets when systemd-nspawn gets SIGTERM: a plug to pull, not a shutdown
        f"--bind={folders.docker}:/var/lib/docker",
    ]
    environment = {"PATH": _PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with folders.console.open("wb") as console:
        return subprocess.Popen(  # noqa: S603 - a list of words, no shell, all of it written in this folder
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def leader_of(process: subprocess.Popen[bytes], folders: Folders, timeout: float = 20) -> int:
    """The host's PID 1 as this machine numbers it, once systemd runs there."""
    wait_for(f"{folders.name}: systemd as PID 1", lambda: _leader(process, folders) is not None, timeout)
    leader = _leader(process, folders)
    if leader is None:
        raise LabError(f"{folders.name} ended while it booted; its console: {folders.console}")
    return leader


def _leader(process: subprocess.Popen[bytes], folders: Folders) -> int | None:
    if process.poll() is not None:
        raise LabError(f"{folders.name} did not boot:\n{folders.console.read_text(errors='replace')[-2000:]}")
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # one that has ended since
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
    return None


def enter(leader: int, argv: tuple[str, ...], timeout: float) -> list[str]:
    """The command line that runs a program as root inside, with a clean environment and an end in sight."""
    return [
        *("nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C"),
        *("env", "-i", f"PATH={_PATH}", "HOME=/root", "LC_ALL=C.UTF-8"),
        *("timeout", "--kill-after=2", f"{timeout:g}", *argv),
    ]


def stop(process: subprocess.Popen[bytes], folders: Folders) -> None:
    """Pull the plug: systemd-nspawn kills PID 1, which ends all else inside, and cleans up after itself."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired as hung:
        raise LabError(f"{folders.name} does not die; systemd-nspawn is process {process.pid}") from hung
    _remove_cgroups(folders.cgroup)


def _remove_cgroups(name: str) -> None:
    for hierarchy in ("", "unified", "systemd"):
        top = Path("/sys/fs/cgroup", hierarchy, name)
        for folder, _, _ in os.walk(top, topdown=False):
            Path(folder).rmdir()
