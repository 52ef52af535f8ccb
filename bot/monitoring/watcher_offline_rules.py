"""Decides when one notice, that dockerhealth reaches no host, stands for the incidents of all services. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.incidents.model import ALL_HOSTS, Key
from checks.model import WATCHER_OFFLINE, Diagnosis, Phase, Reading, Report, Vantage

EVERYWHERE: Key = (ALL_HOSTS, "")
"""Whose incident the notice is. No host of a configuration can have that name."""


def may_be_offline(
    key: Key, since: datetime, watched: Iterable[Key], newest: Mapping[Key, Reading], with_incident: Collection[Key]
) -> bool:
    """Whether a service that fails ``since`` then may fail because nothing at all is reached from here.

    ``newest``: the newest reading of each service ``watched`` that was read. What has an incident of its own was broken
    before, and is no sign of it; a service that was reached since then is a sign of the contrary. While the notice
    stands, it holds.
    """
    if _reached(newest.get(key)):
        return False
    if EVERYWHERE in with_incident:
        return True
    if any(_reached(reading) and reading.at >= since for reading in newest.values()):
        return False
    return any(other[0] != key[0] and other not in with_incident for other in watched)


def offline_report(reports: Sequence[Report]) -> Report | None:
    """The report that finds the watcher cut off, as it stands in the notice: without what is true of one host only."""
    for report in reports:
        root = report.diagnosis.root
        if root is not None and root.cause == WATCHER_OFFLINE:
            readings = tuple(one for one in report.readings if one.vantage in {Vantage.OUTSIDE, Vantage.PEER})
            return replace(
                report,
                host=ALL_HOSTS,
                service="",
                readings=readings,
                diagnosis=Diagnosis((root,)),
                plans=(),
                refused=(),
                timeline=(),
                baseline=None,
            )
    return None


def why_not_offline(reports: Sequence[Report]) -> str:
    """What rules it out, by the newest look; empty where that could not be told."""
    ruled_out = (finding for report in reports for finding in report.diagnosis.ruled_out)
    return next((finding.why for finding in ruled_out if finding.cause == WATCHER_OFFLINE), "")


def _reached(reading: Reading | None) -> bool:
    """Whether something accepted the connection, however that went on."""
    return reading is not None and (reading.ok or reading.phase not in {Phase.RESOLVE, Phase.CONNECT})
