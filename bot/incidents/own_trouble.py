"""Decides when it is told that dockerhealth itself cannot see, and says why and what to do. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from bot.incidents.model import WATCHER, Key
from bot.text import counted
from checks.model import Diagnosis, Evidence, Finding, OwnTrouble, Report, Status, Verdict

ITSELF: Key = (WATCHER, "")
"""Whose incident it is."""

BLIND_AFTER = 3
"""Readings of one service in a row that tell nothing: fewer are a moment's trouble, and nobody has to do anything."""

SEES_BELOW = 2
"""It is over when no service has so many any more."""

TITLES = {
    OwnTrouble.NO_DESCRIPTORS: "out of file descriptors (EMFILE)",
    OwnTrouble.NO_MEMORY: "no memory for connections (ENOBUFS)",
    OwnTrouble.NO_PORTS: "out of local ports",
    OwnTrouble.NO_WAY: "no route from its machine",
    OwnTrouble.NO_NAME_SERVER: "no name server answers",
    OwnTrouble.LOOP_LATE: "kept from its work",
    OwnTrouble.CLOCK_SET: "its clock is set again and again",
}
ADVICE = {
    OwnTrouble.NO_DESCRIPTORS: (
        "ls /proc/$(systemctl show -P MainPID dockerhealth)/fd | wc -l; systemctl show -P LimitNOFILE dockerhealth",
        "systemctl edit dockerhealth   # [Service] LimitNOFILE=65536; then: systemctl restart dockerhealth",
    ),
    OwnTrouble.NO_MEMORY: ("free -m; sysctl net.ipv4.tcp_mem; journalctl -k -n 50   # on dockerhealth's machine",),
    OwnTrouble.NO_PORTS: ("ss -s; sysctl net.ipv4.ip_local_port_range   # what holds them on dockerhealth's machine?",),
    OwnTrouble.NO_WAY: ("ip route; ip -s link   # on dockerhealth's machine: is its link up, has it its route?",),
    OwnTrouble.NO_NAME_SERVER: (
        "cat /etc/resolv.conf; resolvectl status   # on dockerhealth's machine: which name server, and does it answer?",
        "# or give the services by address in dockerhealth.yaml: then nobody is asked",
    ),
    OwnTrouble.LOOP_LATE: ("uptime; free -m; systemctl status dockerhealth   # is its machine too busy, or paused?",),
    OwnTrouble.CLOCK_SET: ("timedatectl; journalctl -u systemd-timesyncd -u chrony -n 50   # who sets the clock?",),
}
SILENCE_ADVICE = (
    "journalctl -u dockerhealth -n 100   # where it stands; uptime: is its machine too busy, or was it paused?",
    "systemctl restart dockerhealth   # if readings do not go on by themselves",
)


def is_blind(rows: Mapping[Key, int]) -> bool:
    """Whether it is to be told. ``rows``: how many readings in a row told nothing, of each service of which one did."""
    return any(row >= BLIND_AFTER for row in rows.values())


def sees_again(rows: Mapping[Key, int]) -> bool:
    return all(row < SEES_BELOW for row in rows.values())


def in_words(spoiled: Iterable[OwnTrouble]) -> str:
    """How many readings of the last minute told nothing, and why: the most frequent reason first."""
    reasons = Counter(spoiled)
    why = "; ".join(trouble.says for trouble, _ in reasons.most_common())
    count = reasons.total()
    verb = "counts" if count == 1 else "count"
    return f"{counted(count, 'reading')} of the last minute {verb} for nothing: {why}" if reasons else ""


def silence_in_words(since: datetime, *, stuck: bool) -> str:
    """Since when no reading has ended, and what the event loop did meanwhile: it stood still, or went on without."""
    why = "dockerhealth's event loop stood still" if stuck else "its event loop runs, and none is made or none ends"
    return f"no reading has ended since {since:%H:%M:%S %Z}: {why}"


def silence_report(since: datetime, unread: int, at: datetime, *, stuck: bool) -> Report:
    """What the notice says where readings have stopped; ``unread`` are the services that none has ended of since."""
    evidence = (Evidence("reading", silence_in_words(since, stuck=stuck)), _unknown(unread))
    title = "cannot see: readings have stopped"
    return Report(*ITSELF, at, Status.UNKNOWN, (), Diagnosis((_found(title, evidence, SILENCE_ADVICE),)))


def trouble_report(spoiled: Iterable[OwnTrouble], rows: Mapping[Key, int], at: datetime) -> Report:
    """What the notice says, in the form in which every incident has it. ``spoiled`` are those of the last minute."""
    reasons = Counter(spoiled)
    troubles = [trouble for trouble, _ in reasons.most_common()]
    evidence = (
        Evidence("reading", in_words(reasons.elements())),
        _unknown(len(rows)),
    )
    advice = tuple(line for trouble in troubles for line in ADVICE[trouble])
    title = f"cannot see: {TITLES[troubles[0]]}"
    return Report(*ITSELF, at, Status.UNKNOWN, (), Diagnosis((_found(title, evidence, advice),)))


def _unknown(services: int) -> Evidence:
    return Evidence("reading", f"of {counted(services, 'service')} nobody knows at the moment whether it answers")


def _found(title: str, evidence: tuple[Evidence, ...], advice: tuple[str, ...]) -> Finding:
    return Finding("watcher-blind", "", Verdict.FAIL, title, evidence, advice=advice)
