"""Several hosts at once, the key to log in with, and a file that says where they are."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import machine, network
from tests.lab.command import LabError, run
from tests.lab.host import LabHost
from tests.lab.image import GENERATIONS, USER, built

_BOOTING = Path("/run/dockerhealth-lab-booting.lock")
STATE = Path(os.environ.get("DOCKERHEALTH_LAB_STATE", "/run/dockerhealth-lab.json"))


@dataclass(frozen=True)
class HostRecord:
    """What another process has to know of a host that stands."""

    name: str
    generation: str
    address: str
    leader: int
    identity_file: str
    known_hosts: str
    user: str


@dataclass(frozen=True)
class Lab:
    """Hosts that are up, and how to log in to them."""

    hosts: tuple[LabHost, ...]
    identity_file: Path
    known_hosts: Path
    user: str = USER

    def host(self, name: str) -> LabHost:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name} here, only {', '.join(host.name for host in self.hosts)}")

    def records(self) -> list[HostRecord]:
        return [self._record(host) for host in self.hosts]

    def _record(self, host: LabHost) -> HostRecord:
        if host.leader is None:
            raise LabError(f"{host.name} is not up")
        files = (str(self.identity_file), str(self.known_hosts), self.user)
        return HostRecord(host.name, host.generation, host.address, host.leader, *files)


@contextmanager
def booted(names: Sequence[str]) -> Iterator[Lab]:
    """Boot hosts side by side, and take them down however the block ends."""
    hosts = tuple(LabHost(name) for name in names)
    keys = Path(tempfile.mkdtemp(prefix="dockerhealth-lab-", dir="/run"))
    try:
        with ThreadPoolExecutor() as together:
            list(together.map(built, {GENERATIONS[host.generation] for host in hosts}))
        network.set_up()
        for host in hosts:  # from this thread: see machine.start
            host.boot()
        public_key = _make_key(keys / "identity")
        _write_known_hosts(hosts, keys / "known_hosts")
        with ThreadPoolExecutor() as together:
            list(together.map(lambda host: host.wait_until_ready(public_key), hosts))
        yield Lab(hosts, keys / "identity", keys / "known_hosts")
    finally:
        _take_down(hosts)
        shutil.rmtree(keys)


def _take_down(hosts: Sequence[LabHost]) -> None:
    try:
        with ThreadPoolExecutor() as together:
            list(together.map(LabHost.stop, hosts))
    finally:
        network.tear_down()


@contextmanager
def one_boots_at_a_time() -> Iterator[None]:
    """Keep other test runs on this machine from taking the names that are free, until those of ours are taken."""
    with _BOOTING.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_name(generation: str) -> str:
    """A host name of a generation that no lab here uses: `bookworm`, or `bookworm2` beside a standing lab."""
    for name in (generation, *(f"{generation}{number}" for number in range(2, 25))):
        try:
            machine.lock_name(name).close()
        except machine.NameTakenError:
            continue
        return name
    raise LabError(f"every name of {generation} is taken on this machine")


def _make_key(identity: Path) -> str:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dockerhealth-lab", "-f", identity)
    return identity.with_suffix(".pub").read_text()


def _write_known_hosts(hosts: Sequence[LabHost], known_hosts: Path) -> None:
    lines = (f"{host.address} {host.folders.host_key.with_suffix('.pub').read_text()}" for host in hosts)
    known_hosts.write_text("".join(lines))


def write_state(lab: Lab) -> None:
    """Say where the hosts are; written beside and renamed, so a reader finds all of it or nothing."""
    state = {"pid": os.getpid(), "hosts": [asdict(record) for record in lab.records()]}
    beside = STATE.with_suffix(".new")
    beside.write_text(json.dumps(state, indent=2) + "\n")
    beside.rename(STATE)


def standing() -> Lab | None:
    """The lab that another process keeps up, if there is one. A state file left by a killed process is none."""
    state = _state()
    if state is None:
        return None
    pid, records = state
    if not records or not all(machine.holds_name(pid, record.name) for record in records):
        return None
    hosts = tuple(LabHost.standing(record.name, record.leader) for record in records)
    return Lab(hosts, Path(records[0].identity_file), Path(records[0].known_hosts), records[0].user)


def keeper() -> int | None:
    """The process that keeps the standing lab up."""
    state = _state()
    return state[0] if state is not None and standing() is not None else None


def _state() -> tuple[int, list[HostRecord]] | None:
    try:
        state = json.loads(STATE.read_text())
    except FileNotFoundError:
        return None
    return int(state["pid"]), [HostRecord(**entry) for entry in state["hosts"]]
