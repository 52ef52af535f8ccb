"""What holds for one plan: who may approve it, how many have to, where and when. Pure.

The configuration says it in general, and in rules for some fixes, hosts and risks: ``policy_of`` makes one of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from checks.model import FixId, Plan, Risk

_DAY = timedelta(days=1)


def is_group(approver: str) -> bool:
    """Whether an approver is named by the id of a user group."""
    return approver.startswith("S")


@dataclass(frozen=True)
class QuietHours:
    """The hours of every day in which nobody may approve, by the clocks of a zone. They may go over midnight."""

    begins: time
    ends: time
    zone: ZoneInfo

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that it is in now are over; None outside of them."""
        today = now.astimezone(self.zone).date()
        periods = (self._period(today + days * _DAY) for days in (-1, 0))
        return next((end for start, end in periods if start <= now < end), None)

    def _period(self, day: date) -> tuple[datetime, datetime]:
        """The quiet hours that begin on a day.

        A time that the clocks show twice, or jump over, is two moments. The hours last from the earlier to the later
        one: an hour too quiet harms less than one too few.
        """
        last = day if self.begins < self.ends else day + _DAY
        return min(self._moments(day, self.begins)), max(self._moments(last, self.ends))

    def _moments(self, day: date, clock: time) -> list[datetime]:
        return [datetime.combine(day, clock.replace(fold=fold), self.zone).astimezone(UTC) for fold in (0, 1)]


@dataclass(frozen=True)
class Policy:
    """What holds for one plan on one host."""

    approvers: tuple[str, ...]  # ids of users and user groups, "terminal:LOGIN"
    people: int  # how many different ones have to approve
    lasts: timedelta  # how long an agreement waits for the next person's
    channels: tuple[str, ...] = ()  # where clicks count; empty: wherever the alert stands
    not_requester: bool = False
    quiet_hours: QuietHours | None = None
    forbidden_by: str = ""  # the rule that allows nobody to approve it

    @property
    def allowed(self) -> bool:
        return not self.forbidden_by


@dataclass(frozen=True)
class Terms:
    """What a rule says; None where it leaves things as they are."""

    approvers: tuple[str, ...] | None = None
    people: int | None = None
    channels: tuple[str, ...] | None = None
    not_requester: bool | None = None
    quiet_hours: QuietHours | None = None
    allowed: bool | None = None


@dataclass(frozen=True)
class ApprovalRule:
    """Terms for the fixes, hosts and risks that it names; where it names none, for all of them."""

    name: str  # its place in the configuration
    terms: Terms
    fixes: frozenset[FixId] = frozenset()
    hosts: frozenset[str] = frozenset()
    risks: frozenset[Risk] = frozenset()

    def covers(self, fix: str, host: str, risk: Risk) -> bool:
        named = ((self.fixes, fix), (self.hosts, host), (self.risks, risk))
        return all(not names or value in names for names, value in named)

    @property
    def says(self) -> str:
        """``approvals.rules.2 (stop-firewalld, prod1)``."""
        names = [*sorted(self.fixes), *sorted(self.hosts), *(f"{risk} risk" for risk in Risk if risk in self.risks)]
        return f"{self.name} ({', '.join(names) or 'everything'})"

    def over(self, policy: Policy) -> Policy:
        """The policy with what this rule says."""
        said = {each.name: getattr(self.terms, each.name) for each in fields(Terms) if each.name != "allowed"}
        if self.terms.allowed is not None:
            said["forbidden_by"] = "" if self.terms.allowed else self.says
        return replace(policy, **{name: value for name, value in said.items() if value is not None})


@dataclass(frozen=True)
class AutoRule:
    """A fix that needs no click on one host: how often, and how soon it may not be needed again."""

    fix: FixId
    host: str
    per_day: int
    returns_within: timedelta


@dataclass(frozen=True)
class Policies:
    """All that the configuration says about approvals."""

    approvers: tuple[str, ...]
    people: Mapping[Risk, int]
    expire_after: timedelta
    channels: tuple[str, ...] = ()
    not_requester: bool = False
    quiet_hours: QuietHours | None = None
    rules: tuple[ApprovalRule, ...] = ()  # a later one goes over an earlier
    auto: tuple[AutoRule, ...] = ()

    def of(self, fix: str, host: str, risk: Risk) -> Policy:
        policy = Policy(
            self.approvers, self.people[risk], self.expire_after, self.channels, self.not_requester, self.quiet_hours
        )
        for rule in self.rules:
            if rule.covers(fix, host, risk):
                policy = rule.over(policy)
        return policy

    @property
    def groups(self) -> tuple[str, ...]:
        """The user groups that may approve something, in general or by a rule."""
        named = (self.approvers, *(rule.terms.approvers or () for rule in self.rules))
        return tuple(sorted({name for names in named for name in names if is_group(name)}))

    def auto_rule(self, fix: str, host: str) -> AutoRule | None:
        return next((rule for rule in self.auto if (rule.fix, rule.host) == (fix, host)), None)


def policy_of(policies: Policies, plan: Plan) -> Policy:
    """What holds for a plan. An undo follows the rules of the fix that it takes back, and its own risk."""
    return policies.of(plan.fix, plan.host, plan.risk)
