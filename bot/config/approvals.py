"""The section ``approvals``: who may approve what, and which fixes need no click at all."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Self

from pydantic import Field, field_validator, model_validator

from bot.approvals.policy import ApprovalRule, AutoRule, Policies, QuietHours, Terms
from bot.config.mistakes import Keys, found_text, nearest
from bot.config.section import Section
from bot.config.values import Approvers, Channels, Count, Duration, Fix, People, Slug, TimeOfDay, Zone
from checks.model import Risk

# The text of every ValueError here completes the sentence "expected ...".


class QuietHoursSettings(Section):
    begins: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    zone: Zone

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.begins == self.until:
            raise ValueError("two different times: a whole day would never end")
        return self

    def hours(self) -> QuietHours:
        return QuietHours(self.begins, self.until, self.zone)


class PeopleSettings(Section):
    """How many different people have to approve, by the risk of the plan."""

    low: People = 1
    medium: People = 1
    high: People = 2

    def by_risk(self) -> dict[Risk, int]:
        return {risk: getattr(self, risk) for risk in Risk}


class RuleSettings(Section):
    """What else holds for the fixes, hosts and risks that it names; for all of them where it names none."""

    fixes: list[Fix] | None = Field(default=None, min_length=1)
    hosts: list[Slug] | None = Field(default=None, min_length=1)
    risks: list[Risk] | None = Field(default=None, min_length=1)

    approvers: Approvers | None = None
    people: People | None = None
    channels: Channels | None = None
    not_requester: bool | None = None
    quiet_hours: QuietHoursSettings | None = None
    allowed: bool | None = Field(default=None, description="false: nobody may approve it.")

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:  # ``hosts:`` with nothing behind it must not mean all of them
            raise ValueError("a value, or the key left out")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.terms() == Terms():
            raise ValueError("what holds there: approvers, people, channels, not_requester, quiet_hours or allowed")
        return self

    def terms(self) -> Terms:
        return Terms(
            approvers=None if self.approvers is None else tuple(self.approvers),
            people=self.people,
            channels=None if self.channels is None else tuple(self.channels),
            not_requester=self.not_requester,
            quiet_hours=self.quiet_hours.hours() if self.quiet_hours else None,
            allowed=self.allowed,
        )

    def rule(self, name: str) -> ApprovalRule:
        return ApprovalRule(
            name, self.terms(), frozenset(self.fixes or ()), frozenset(self.hosts or ()), frozenset(self.risks or ())
        )


class AutoSettings(Section):
    """A fix that is carried out on a host without a click, where its cause is proven."""

    fix: Fix
    host: Slug
    per_day: Count = Field(default=2, description="How often in 24 hours, over all services of the host.")
    returns_within: Duration = Field(
        default=timedelta(hours=1), description="It stops, until a person decides, when the cause is back this soon."
    )

    def rule(self) -> AutoRule:
        return AutoRule(self.fix, self.host, self.per_day, self.returns_within)


class ApprovalSettings(Section):
    approvers: Approvers = Field(default=[], description="Who may approve a fix. Nobody may while this is empty.")
    expire_after: Duration = Field(
        default=timedelta(minutes=30),
        description="How long a fix button can be used, and one person's approval waits for another's.",
    )
    channels: Channels = Field(
        default=[], description="Channels where clicks count. Default: wherever the bot's message stands."
    )
    not_requester: bool = Field(default=False, description="Whoever asked for the look may not approve what it found.")
    people: PeopleSettings = PeopleSettings()
    quiet_hours: QuietHoursSettings | None = Field(default=None, description="Nobody may approve then.")
    rules: list[RuleSettings] = Field(default=[], description="A later one goes over an earlier.")
    auto: list[AutoSettings] = Field(default=[], description="What needs no click.")

    def policies(self) -> Policies:
        return Policies(
            approvers=tuple(self.approvers),
            people=self.people.by_risk(),
            expire_after=self.expire_after,
            channels=tuple(self.channels),
            not_requester=self.not_requester,
            quiet_hours=self.quiet_hours.hours() if self.quiet_hours else None,
            rules=tuple(rule.rule(f"approvals.rules.{number}") for number, rule in enumerate(self.rules)),
            auto=tuple(each.rule() for each in self.auto),
        )

    def beside(self, hosts: Collection[str]) -> Iterator[tuple[Keys, str, str]]:
        """What does not fit to the hosts or to what stands above it: where, what was found, what was expected."""
        for keys, host in self._hosts():
            if host not in hosts:
                yield keys, found_text(host), nearest(host, hosts)
        seen = set[tuple[str, str]]()
        for number, each in enumerate(self.auto):
            if (each.fix, each.host) in seen:
                yield ("auto", number), f"{each.fix} for {each.host} again", "each fix once for a host"
            seen.add((each.fix, each.host))

    def _hosts(self) -> Iterator[tuple[Keys, str]]:
        for number, rule in enumerate(self.rules):
            for place, host in enumerate(rule.hosts or ()):
                yield ("rules", number, "hosts", place), host
        for number, each in enumerate(self.auto):
            yield ("auto", number, "host"), each.host
