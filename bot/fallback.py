"""The second way out: what nobody can see in Slack is told by e-mail, webhook or whatever else apprise serves.

Once when an alert has waited for Slack for too long, and once when that is over. Slack gets it all the same in the end.
"""

import asyncio
import html
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot.incidents.model import LIVE, Incident, IncidentKind, IncidentState
from bot.slack import views
from bot.slack.outbox import Hold
from bot.store import Posted, Store

ONE_WAY_TAKES = 20.0  # seconds at most
TRIED_AGAIN_AFTER = timedelta(seconds=30)
ENTITY = re.compile(r"<!date\^[^|>]*\|([^>]*)>|<@(\w+)>")
JOINER = "\u2060"

log = structlog.get_logger()


class Way(Protocol):
    """One way past Slack. ``name`` is for the log, and holds no secret."""

    @property
    def name(self) -> str: ...

    async def tell(self, title: str, body: str) -> bool:
        """Whether it was taken."""
        ...


class UnknownWayError(Exception):
    """A URL of the configuration that apprise does not know. The text does not show it."""


@dataclass(frozen=True)
class AppriseWay:
    """A URL of apprise's (github.com/caronc/apprise): ``mailto://``, ``json://`` for a webhook, and many others."""

    name: str
    url: str

    async def tell(self, title: str, body: str) -> bool:
        from apprise import Apprise  # noqa: PLC0415  # heavy, and few have one

        service = Apprise()
        service.add(self.url)
        try:
            async with asyncio.timeout(ONE_WAY_TAKES):
                return bool(await service.async_notify(title=title, body=body))
        except TimeoutError:
            return False


def ways(urls: str) -> tuple[AppriseWay, ...]:
    """The ways of a list of URLs, with white space between them. Raises UnknownWayError."""
    if not urls.split():
        return ()
    from apprise import Apprise  # noqa: PLC0415  # the same

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # what it logs of a failure may hold a URL
    found = []
    for number, url in enumerate(urls.split(), 1):
        if not Apprise().add(url):
            raise UnknownWayError(
                f"URL {number} of DOCKERHEALTH_FALLBACK_URLS (it is a secret, so it is not shown) is none that apprise "
                "knows. See https://github.com/caronc/apprise/wiki for its form."
            )
        found.append(AppriseWay(f"{number}. ({url.partition(':')[0]})", url))
    return tuple(found)


def to_tell(row: Posted, incident: Incident, after: timedelta, now: datetime) -> IncidentState | None:
    """The state that has to be told past Slack now, if any. Nobody is woken for what is only prevented."""
    if incident.kind is IncidentKind.PREVENTION:
        return None
    told_open = row.elsewhere == IncidentState.OPEN
    if incident.state is IncidentState.RESOLVED:
        return IncidentState.RESOLVED if told_open else None
    unseen = not row.ts and now - incident.opened_at >= after
    return IncidentState.OPEN if incident.state in LIVE and unseen and not told_open else None


class Fallback:
    def __init__(self, store: Store, ways: Sequence[Way], after: timedelta, clock: Callable[[], datetime]) -> None:
        """``after`` is how long an alert waits for Slack."""
        self._store = store
        self._ways = ways
        self._after = after
        self._clock = clock
        self._told: dict[str, IncidentState] = {}  # what the store may not know yet
        self._failed: defaultdict[str, Hold] = defaultdict(Hold)

    async def show(self) -> None:
        """Tell what is due. Raises StoreError."""
        if not self._ways:
            return
        for row in await self._store.messages.untold():
            incident = await self._store.incidents.get(row.incident_id)
            now = self._clock()
            state = to_tell(row, incident, self._after, now) if incident is not None else None
            if incident is None or state is None or self._failed[row.incident_id].holds(now):
                continue
            if self._told.get(row.incident_id) is not state:
                taken = await self._tell(row, incident)
                if not taken:
                    self._failed[row.incident_id].again(now, TRIED_AGAIN_AFTER)
                    continue
                self._told[row.incident_id] = state
            await self._store.messages.told_elsewhere(row, state)

    async def _tell(self, row: Posted, incident: Incident) -> bool:
        """Whether any way took it."""
        title, body = letter(row, incident, self._clock())
        taken = await asyncio.gather(*(way.tell(title, body) for way in self._ways))
        by = {
            done: [way.name for way, took in zip(self._ways, taken, strict=True) if took is done]
            for done in (True, False)
        }
        log.warning("fallback: told past Slack", incident=incident.id, by=by[True], failed=by[False])
        return any(taken)


def letter(row: Posted, incident: Incident, now: datetime) -> tuple[str, str]:
    """Title and body, in plain text."""
    words = spoken(views.alert(incident, now).text)
    why = row.problem.partition(": ")[2]
    because = f"Slack has not taken this alert{': ' + why if why else ''}." if not row.ts else ""
    how = f"Look at it with: dockerhealth check {incident.host} {incident.service}"
    state = "over" if incident.state is IncidentState.RESOLVED else "open"
    return f"dockerhealth: {incident.name} ({state})", "\n\n".join(filter(None, (words, because, how)))


def spoken(mrkdwn: str) -> str:
    """What a person reads in Slack's markup."""
    words = ENTITY.sub(lambda entity: entity[1] or entity[2], mrkdwn)
    return html.unescape(words).replace(JOINER, "")
