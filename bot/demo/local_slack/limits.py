"""How often each method may be called. Pure: takes the time as an argument."""

import math
from dataclasses import dataclass, field

Key = tuple[str, str]


@dataclass(frozen=True)
class Rate:
    """So many calls at once, and so many more every second."""

    burst: int
    per_second: float

    @classmethod
    def per_minute(cls, calls: int) -> "Rate":
        """Return one of Slack's tiers, which allow so many calls a minute."""
        return cls(burst=calls, per_second=calls / 60)


TIER_1, TIER_2, TIER_3, TIER_4 = (Rate.per_minute(calls) for calls in (1, 20, 50, 100))

RATES = {
    "auth.test": Rate.per_minute(600),
    "chat.postMessage": Rate(burst=4, per_second=1),
    "chat.postEphemeral": TIER_4,
    "chat.getPermalink": Rate.per_minute(600),
    "views.open": TIER_4,
    "views.update": TIER_4,
    "views.push": TIER_4,
    "views.publish": TIER_4,
    "files.getUploadURLExternal": TIER_4,
    "files.completeUploadExternal": TIER_4,
    "users.info": TIER_4,
    "conversations.members": TIER_4,
    "conversations.list": TIER_2,
    "users.list": TIER_2,
    "usergroups.list": TIER_2,
    "usergroups.users.list": TIER_2,
}
"""What is not named here is tier 3, 50 a minute, as chat.update is."""

PER_CHANNEL = frozenset({"chat.postMessage"})


@dataclass
class RateLimits:
    """One bucket a method, and a channel where Slack counts by channel."""

    _buckets: dict[Key, tuple[float, float]] = field(default_factory=dict)

    def wait(self, method: str, channel: str, now: float) -> int | None:
        """Count one call. Return None if it may go on, or the whole seconds after which to try again."""
        rate = RATES.get(method, TIER_3)
        key = (method, channel if method in PER_CHANNEL else "")
        left, since = self._buckets.get(key, (float(rate.burst), now))
        left = min(float(rate.burst), left + (now - since) * rate.per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            return max(1, math.ceil((1 - left) / rate.per_second))
        self._buckets[key] = (left - 1, now)
        return None
