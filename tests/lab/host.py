"""One real host: booted, looked into, broken by tests, and brought back."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TextIO

from tests.lab import baseline, machine
from tests.lab.command import LabError, run, wait_for
from tests.lab.image import GENERATIONS, REGISTRY_TAR, USER, built
from tests.lab.machine import Folders
from tests.lab.outside import REGISTRY_PORT, reach

DEPLOY = Path(__file__).parents[2] / "deploy/host"
DEPLOYED = (
    ("sudoers-look", "etc/sudoers.d/dockerhealth-look", 0o440),
    ("sudoers-fix", "etc/sudoers.d/dockerhealth-fix", 0o440),
    ("dockerhealth-root", "usr/local/sbin/dockerhealth-root", 0o755),
)
AUTHORIZED_KEYS = DEPLOY / "authorized_keys"
_IMPORT = f'docker import --change \'CMD ["/bin/registry", "serve", "/etc/registry.yml"]\' {REGISTRY_TAR} registry:2'
_LOG_IN = f"install -o {USER} -g {USER} -m 0600 /dev/stdin /home/{USER}/.ssh/authorized_keys"


class LabHost:
    """A host of the lab by its name, such as `bookworm` or `bookworm2`: the name says generation and address."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = name.rstrip("0123456789")
        if self.generation not in GENERATIONS:
            raise LabError(f"no such host: {name}; known are {', '.join(GENERATIONS)}, each with a number or none")
        ordinal = int(name.removeprefix(self.generation) or "1")
        self.address = f"10.77.0.{10 * ordinal + GENERATIONS[self.generation].number}"
        self.folders = Folders(name)
        self.leader: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: TextIO | None = None

    @classmethod
    def standing(cls, name: str, leader: int) -> "LabHost":
        """A host that another process booted and keeps up."""
        host = cls(name)
        host.leader = leader
        return host

    @property
    def kept(self) -> Path:
        """Where on this machine the healthy state of the host is recorded."""
        return self.folders.baseline

    def boot(self) -> None:
        """Start it; `wait_until_ready` awaits the rest. From the main thread, see `machine.start`."""
        self._lock = machine.lock_name(self.name)
        tree = built(GENERATIONS[self.generation])
        machine.prepare(self.folders, self.address)
        self._process = machine.start(tree, self.folders)

    def wait_until_ready(self, public_key: str) -> None:
        """Await systemd, then bring up what the baseline consists of, and record it."""
        if self._process is None:
            raise LabError(f"{self.name} was not booted here")
        self.leader = machine.leader_of(self._process, self.folders)
        wait_for(f"{self.name}: systemd answers", self._boot_is_over, timeout=60)
        self.run(*shlex.split(_LOG_IN), stdin=AUTHORIZED_KEYS.read_text().replace("PUBLIC_KEY", public_key.strip()))
        self.deploy()
        self.sh(_IMPORT)
        baseline.record(self)

    def stop(self) -> None:
        """Pull the plug and forget all that it wrote."""
        if self._process is not None:
            machine.stop(self._process, self.folders)
            shutil.rmtree(self.folders.base)
        if self._lock is not None:
            self._lock.close()
        self._process, self._lock, self.leader = None, None, None

    def run(
        self, *argv: str, check: bool = True, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as root inside, whatever became of its network and sshd."""
        if self.leader is None:
            raise LabError(f"{self.name} is not up")
        words = machine.enter(self.leader, argv, timeout)
        return run(*words, check=check, stdin=stdin, timeout=timeout + 5)

    def sh(self, script: str, *, check: bool = True, timeout: float = 60) -> str:
        """Run a shell script as root inside and return what it printed."""
        return self.run("sh", "-c", script, check=check, timeout=timeout).stdout

    def path(self, inside: str) -> Path:
        """A file of the host as this machine reaches it."""
        if self.leader is None:
            raise LabError(f"{self.name} is not up")
        return Path(f"/proc/{self.leader}/root", inside.lstrip("/"))

    def outside(self, port: int = REGISTRY_PORT, timeout: float = 2.0) -> str:
        """How a client's request from this machine ends: `200`, `timed out`, `refused`, `no route`..."""
        return reach(self.address, port, timeout=timeout)

    def deploy(self) -> list[str]:
        """Install what an admin installs, from the repository as it is now; what is not there yet is left out."""
        installed = []
        for name, target, mode in DEPLOYED:
            source = DEPLOY / name
            if source.is_file():
                self.run("install", "-D", "-m", f"{mode:o}", "/dev/stdin", f"/{target}", stdin=source.read_text())
                baseline.amend(self, target)
                installed.append(f"/{target}")
        return installed

    def restore(self) -> None:
        """Bring the healthy baseline back, and prove it, also from outside."""
        baseline.restore(self)

    def differences(self) -> list[str]:
        """In what the host differs from its healthy baseline, as the lines of a diff."""
        return baseline.differences(self)

    def _boot_is_over(self) -> bool:
        said = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return said in {"running", "degraded"}
