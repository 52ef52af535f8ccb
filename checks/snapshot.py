"""A host before and after a plan."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from checks.facts.forwarding import FORWARDING
from checks.model import Difference, Snapshot
from checks.source import Facts, Unavailable


def snapshot(facts: Facts) -> Snapshot:
    forwarding = facts.get(FORWARDING)
    if isinstance(forwarding, Unavailable):
        return Snapshot({})
    return Snapshot({"sysctl net.ipv4.ip_forward": str(int(forwarding.ip_forward))})


def differences(before: Snapshot, after: Snapshot, announced: Sequence[str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(name, value, after.states.get(name), any(fnmatchcase(name, pattern) for pattern in announced))
        for name, value in before.states.items()
        if after.states.get(name) != value
    )
