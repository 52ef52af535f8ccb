"""The words and the table that a run prints."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import median

from . import dockerhealth, floor
from .ansible import RAW
from .contestant import Sample
from .namespace import LOGIN_SHELL
from .processes import program

Results = Mapping[str, Sequence[Sample]]

_PACKAGES = ("dockerhealth", "asyncssh", "cryptography", "docker", "ansible-core", "parallel-ssh", "ssh2-python")
_NOTE = 150  # characters
_CPU_AT_MOST = 1.5
_TIMES_AT_LEAST = 10
_COLUMNS = f"{'':36}{'CPU ms/host':>12}{'x floor':>9}{'wall s':>9}{'ms/host':>9}{'x floor':>9}{'kB/host':>9}"


def header(hosts: int, rounds: int, concurrency: int) -> str:
    shell = f"{LOGIN_SHELL} ({os.path.realpath(LOGIN_SHELL)})"
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"""\
{hosts} hosts: one sshd on 127.77.0.0/16, in a network of its own. Login shell {shell}, no start-up files.
{concurrency} hosts at a time for everybody. {rounds} rounds in turns, medians. Connections are warm, but for login.
CPU is user and system time of the client's own processes. {os.cpu_count()} CPUs, shared by the hosts and the client.
There is no Docker Engine on this machine: dockerhealth asks for it all the same, and learns that.
parallel-ssh does not verify host keys; everybody else does.
Python {platform.python_version()}, {_openssh()},
{versions}"""


def table(title: str, results: Results, hosts: int, notes: Sequence[str]) -> str:
    rows = [_row(name, samples, results[_floor_of(name)], hosts) for name, samples in results.items()]
    remarks = [f"  {' '.join(note.split())[:_NOTE]}" for note in notes]
    return "\n".join(["", title, _COLUMNS, *rows, *remarks, *_verdict(results)])


def _row(name: str, samples: Sequence[Sample], least: Sequence[Sample], hosts: int) -> str:
    cpu, wall = _cpu(samples), _wall(samples)
    received = median(sample.received for sample in samples) / hosts / 1000
    return (
        f"{name:36}{cpu / hosts * 1000:12.2f}{cpu / _cpu(least):9.2f}"
        f"{wall:9.2f}{wall / hosts * 1000:9.1f}{wall / _wall(least):9.2f}"
        f"{f'{received:9.1f}' if received else '':9}"
    )


def _verdict(results: Results) -> list[str]:
    cpu = _cpu(results[dockerhealth.GATHER]) / _cpu(results[floor.FLOOR])
    times = _wall(results[RAW]) / _wall(results[dockerhealth.GATHER])
    return [
        f"  gather's CPU is {cpu:.2f} times the floor's (at most {_CPU_AT_MOST}: {_met(met=cpu <= _CPU_AT_MOST)})",
        f"  Ansible takes {times:.1f} times as long (at least {_TIMES_AT_LEAST}: {_met(met=times >= _TIMES_AT_LEAST)})",
    ]


def _met(*, met: bool) -> str:
    return "met" if met else "MISSED"


def _floor_of(name: str) -> str:
    return floor.LOGIN if name.endswith("login") else floor.FLOOR


def _cpu(samples: Sequence[Sample]) -> float:
    return median(sample.cpu for sample in samples)


def _wall(samples: Sequence[Sample]) -> float:
    return median(sample.wall for sample in samples)


def _openssh() -> str:
    return subprocess.run([program("ssh"), "-V"], capture_output=True, text=True, check=True).stderr.strip()  # noqa: S603  # fixed words
