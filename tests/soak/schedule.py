"""What goes wrong, where and when: all of it follows from a seed. Pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, cycle


class Fault(StrEnum):
    # of a service: to be told
    FORWARDING_OFF = "forwarding off"
    CHAINS_GONE = "Docker's chains gone"
    DEAD = "host gone"  # neither its service nor its sshd
    # of a service: too short to be told
    BLIP = "blip"
    # of a host whose service answers: to be told as such
    SSH_REFUSED = "SSH refused"
    KEY_CHANGED = "host key changed"
    ENGINE_GONE = "Engine gone"
    SUDO_REFUSED = "sudo refused"
    # of Slack
    RATE_LIMITED = "Slack: 429"
    SERVER_ERRORS = "Slack: 500"
    DISCONNECTED = "Slack: sockets cut"
    HANDSHAKES_FAILED = "Slack: handshakes failed"
    ACKS_LOST = "Slack: acks lost, deliveries twice"
    ANSWERS_LOST = "Slack: answers lost"
    ARCHIVED = "Slack: channel archived"
    OUTAGE = "Slack: out of reach"
    # of dockerhealth's own machine
    CLOCK_AHEAD = "clock an hour ahead"
    CLOCK_BACK = "clock an hour back"
    NAMES_SILENT = "name server silent"
    STORE_LOCKED = "store locked"
    DISK_FULL = "disk full"
    NO_DESCRIPTORS = "no descriptors"
    KILLED = "SIGKILL"


OUTAGES = (Fault.FORWARDING_OFF, Fault.CHAINS_GONE, Fault.DEAD)
BLIND = (Fault.SSH_REFUSED, Fault.KEY_CHANGED, Fault.ENGINE_GONE, Fault.SUDO_REFUSED)
SLACK = (
    Fault.RATE_LIMITED,
    Fault.SERVER_ERRORS,
    Fault.DISCONNECTED,
    Fault.HANDSHAKES_FAILED,
    Fault.ACKS_LOST,
    Fault.ANSWERS_LOST,
    Fault.ARCHIVED,
)
OWN = (
    Fault.CLOCK_AHEAD,
    Fault.CLOCK_BACK,
    Fault.NAMES_SILENT,
    Fault.STORE_LOCKED,
    Fault.DISK_FULL,
    Fault.NO_DESCRIPTORS,
)
BOTS = ("one", "other")


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds. The short form is the same story, told faster."""

    reach_every: float
    look_every: float
    warm_up: float
    outage: tuple[float, float]  # of a service: at least, at most
    blind: tuple[float, float]
    passing: tuple[float, float]  # of Slack and of the own machine
    between: tuple[float, float]  # those
    alive: tuple[float, float]  # a bot, until the next kill
    next_outage: tuple[float, float]
    blind_as: int  # which of four faults of hosts is a blind one
    slack_outage: float
    apart: float  # the end of a fault of a host, and its next one: less is the same incident
    settle: float  # at the end, without any fault


LONG = Pace(
    reach_every=5,
    look_every=60,
    warm_up=60,
    outage=(180, 300),
    blind=(330, 420),
    passing=(15, 40),
    between=(20, 40),
    alive=(120, 300),
    next_outage=(15, 45),
    blind_as=3,
    slack_outage=600,
    apart=240,
    settle=180,
)
SHORT = Pace(
    reach_every=1,
    look_every=8,
    warm_up=8,
    outage=(18, 24),
    blind=(36, 40),
    passing=(2, 4),
    between=(2, 3),
    alive=(15, 20),
    next_outage=(2, 4),
    blind_as=0,
    slack_outage=12,
    apart=1000,
    settle=20,
)


@dataclass(frozen=True)
class Injected:
    """One fault, from ``at`` to ``until`` in seconds of the run. ``where``: a host, or which bot is killed."""

    fault: Fault
    at: float
    until: float
    where: str = ""
    click: bool = False  # whether a person approves the fix that is offered


def schedule(seconds: float, seed: int, hosts: Sequence[str], pace: Pace) -> tuple[Injected, ...]:
    """All that is injected in a run, in order."""
    chance = random.Random(seed)  # noqa: S311  # the same each time is what it is for
    end = seconds - pace.settle
    outage = Injected(Fault.OUTAGE, seconds * 0.3, min(seconds * 0.3 + pace.slack_outage, end))
    passing = (each for each in _passing(chance, end, pace) if each.fault not in SLACK or not _overlap(each, outage))
    everything = [outage, *passing, *_kills(chance, end, pace), *_of_hosts(chance, end, hosts, pace)]
    return tuple(sorted(everything, key=lambda each: (each.at, each.fault, each.where)))


def _passing(chance: random.Random, end: float, pace: Pace) -> Iterator[Injected]:
    """One at a time: each kind once before one comes again."""
    kinds = [*SLACK, *OWN]
    chance.shuffle(kinds)
    at = pace.warm_up
    for fault in cycle(kinds):
        until = at + chance.uniform(*pace.passing)
        if until > end:
            return
        yield Injected(fault, at, until)
        at = until + chance.uniform(*pace.between)


def _kills(chance: random.Random, end: float, pace: Pace) -> Iterator[Injected]:
    """A bot is started again some seconds after its end. The last fifth has none: memory is watched for longer."""
    at = pace.warm_up
    while True:
        at += chance.uniform(*pace.alive)
        if at > end * 0.8:
            return
        yield Injected(Fault.KILLED, at, at + chance.uniform(0.05, 0.2) * pace.warm_up, chance.choice(BOTS))


def _of_hosts(chance: random.Random, end: float, hosts: Sequence[str], pace: Pace) -> Iterator[Injected]:
    """Outages, blips, and at most two blind hosts at a time; one fault of a host at a time."""
    free_from = dict.fromkeys(hosts, 0.0)
    blind_until: list[float] = []
    at = pace.warm_up
    for number in count():
        at += chance.uniform(*pace.next_outage)
        blind = number % 4 == pace.blind_as and sum(until > at for until in blind_until) < 2  # as said above
        fault = BLIND[len(blind_until) % len(BLIND)] if blind else _of_service(chance, number)
        until = at + _how_long(chance, fault, pace)
        if at > end - pace.outage[0]:
            return
        free = [host for number, host in enumerate(hosts) if free_from[host] < at and _has(fault, number)]
        if until > end or not free:
            continue
        host = chance.choice(free)
        free_from[host] = until + pace.apart
        blind_until += [until] if blind else []
        yield Injected(fault, at, until, host, click=fault is Fault.FORWARDING_OFF and chance.random() < 0.5)


def _of_service(chance: random.Random, number: int) -> Fault:
    return Fault.BLIP if number % 4 == 1 else chance.choice(OUTAGES)


def _has(fault: Fault, number: int) -> bool:
    """Whether a host of that number can have a fault: each of its two kinds was recorded with another one."""
    return fault is not (Fault.CHAINS_GONE, Fault.FORWARDING_OFF)[number % 2]


def _how_long(chance: random.Random, fault: Fault, pace: Pace) -> float:
    if fault is Fault.BLIP:
        return pace.reach_every * 0.4  # one reading at most falls into it
    return chance.uniform(*(pace.blind if fault in BLIND else pace.outage))


def _overlap(one: Injected, other: Injected) -> bool:
    return one.at < other.until and other.at < one.until
