"""A run: the site is set up, the contestants take turns round by round, a table is printed for each load."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from . import dockerhealth, floor, parallel
from .ansible import RAW, Ansible
from .command import command_for
from .contestant import Sample
from .namespace import USER
from .registry import answering
from .site import Site, addresses
from .sshd import LIVE_PORT, RECORDED, REPLAY_PORT, make_keys, pin, serving
from .table import Results, header, table
from .worker import Make, Worker, working

LOADS = {
    "live": "every host runs the script, all of them on this one machine, which bounds everybody's wall time",
    "replay": "every host answers at once with one host's recorded answer: what is left is the client's own cost",
}
_PORTS = {"live": LIVE_PORT, "replay": REPLAY_PORT}
_ROWS: tuple[tuple[str, Make], ...] = (
    (floor.FLOOR, floor.Floor),
    (dockerhealth.GATHER, dockerhealth.Gather),
    (dockerhealth.PARSED, dockerhealth.Gather),
    (dockerhealth.CHECK, dockerhealth.Check),
    (floor.AES, floor.FloorAes),
    (floor.RUN, floor.Floor),
    (parallel.PARALLEL, parallel.Parallel),
    (RAW, Ansible),
    (floor.LOGIN, floor.Floor),
    (dockerhealth.LOGIN, dockerhealth.Gather),
)


@dataclass(frozen=True)
class Settings:
    folder: Path
    addresses: int
    rounds: int
    concurrency: int
    loads: tuple[str, ...]
    answer: Path | None  # what the hosts replay, None: what the script says on this machine


def run(settings: Settings) -> int:
    signal.signal(signal.SIGTERM, _end)
    _forget_the_user(settings.folder)
    make_keys(settings.folder)
    _say(header(settings.addresses, settings.rounds, settings.concurrency))
    with serving(settings.folder), answering():
        for load in settings.loads:
            site = _site(settings, load)
            if load == "replay":
                _record(settings)
            results, notes = _measure(site, settings.rounds)
            _say(table(f"{load}: {LOADS[load]}", results, len(site.addresses), notes))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(143)


def _forget_the_user(folder: Path) -> None:
    """Nothing of the user's SSH or Ansible settings is to have a part in this."""
    os.environ["HOME"] = str(folder)
    for name in [name for name in os.environ if name.startswith(("SSH_", "ANSIBLE_"))]:
        del os.environ[name]


def _site(settings: Settings, load: str) -> Site:
    site = Site(settings.folder, addresses(settings.addresses), _PORTS[load], USER, settings.concurrency)
    pin(site)
    return replace(site, commands=asyncio.run(_commands(site)))


async def _commands(site: Site) -> dict[str, str]:
    return {address: await command_for(site.host(address)) for address in site.addresses}


def _record(settings: Settings) -> None:
    """Keep the answer that is replayed: the one that was given, or else a host is asked in earnest."""
    given = settings.answer
    answer = given.read_bytes() if given else asyncio.run(floor.answer_of(_site(settings, "live")))
    (settings.folder / RECORDED).write_bytes(answer)


def _measure(site: Site, rounds: int) -> tuple[Results, tuple[str, ...]]:
    with ExitStack() as stack:
        workers = {make: stack.enter_context(working(make, site)) for make in dict.fromkeys(make for _, make in _ROWS)}
        _round(workers, "warming up")
        taken = [_round(workers, f"round {number} of {rounds}") for number in range(1, rounds + 1)]
        notes = tuple(note for worker in workers.values() for note in worker.notes())
    return {name: [samples[name] for samples in taken] for name, _ in _ROWS}, notes


def _round(workers: Mapping[Make, Worker], what: str) -> dict[str, Sample]:
    """One turn of everybody, one after the other."""
    samples = {}
    for name, make in _ROWS:
        sys.stderr.write(f"\r\x1b[K{what}: {name}" if sys.stderr.isatty() else "")
        samples[name] = workers[make].turn(name)
    sys.stderr.write("\r\x1b[K" if sys.stderr.isatty() else "")
    return samples
