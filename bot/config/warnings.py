"""What is no mistake in a configuration and yet hardly meant, such as plans that nobody can ever approve."""

from collections.abc import Collection, Iterator
from itertools import product

from bot.approvals.policy import Policies, Policy, is_group
from bot.config.settings import Settings
from bot.incidents.model import TERMINAL
from bot.text import counted
from checks.model import Risk


def warnings(settings: Settings) -> tuple[str, ...]:
    policies = settings.approvals.policies()
    if not policies.approvers and not any(rule.terms.approvers for rule in policies.rules):
        return ("Nobody may approve a fix: approvals.approvers is empty.", *_of_auto(policies))
    return (*_of_plans(policies, settings.hosts), *_of_auto(policies))


def _of_plans(policies: Policies, hosts: Collection[str]) -> Iterator[str]:
    """Each reason once, with the first kind of plan that it is about and how many more there are."""
    named_fixes = {fix for rule in policies.rules for fix in rule.fixes}
    named_hosts = {host for rule in policies.rules for host in rule.hosts}
    kinds = product(
        _kinds("fix", named_fixes), _kinds("host", named_hosts, complete=named_hosts.issuperset(hosts)), Risk
    )
    plans: dict[str, list[str]] = {}
    for (of_fix, fix), (on_host, host), risk in kinds:
        for why in _about(policies.of(fix, host, risk)):
            plans.setdefault(why, []).append(f"{of_fix} on {on_host} at {risk} risk")
    for why, named in plans.items():
        more = f" (and {len(named) - 1} more)" if len(named) > 1 else ""
        yield f"{named[0]}{more}: {why}."


def _kinds(noun: str, named: Collection[str], *, complete: bool = False) -> list[tuple[str, str]]:
    """What rules tell apart, each with its name: those that they name, and all others, which are alike."""
    others = [] if complete else [(f"any other {noun}" if named else f"any {noun}", "")]
    return [*((name, name) for name in sorted(named)), *others]


def _about(policy: Policy) -> Iterator[str]:
    if not policy.allowed:
        return
    if not policy.approvers:
        yield "nobody may approve it, as no approvers are named"
        return
    logins = {name for name in policy.approvers if name.startswith(TERMINAL)}
    groups = {name for name in policy.approvers if is_group(name)}
    named = len(set(policy.approvers) - groups)
    if not groups and named < policy.people:
        yield f"it takes {policy.people} people, and {counted(named, 'approver')} may"
    elif logins and policy.people > 1 and len(set(policy.approvers)) > len(logins):
        yield "who is an approver in Slack and by a login of this machine counts as two people"


def _of_auto(policies: Policies) -> Iterator[str]:
    for rule in policies.auto:
        possible = [policies.of(rule.fix, rule.host, risk) for risk in Risk]
        if not any(policy.allowed for policy in possible):
            yield f"auto: {rule.fix} on {rule.host} is never carried out: {possible[0].forbidden_by} does not allow it."
        elif not any(policy.people == 1 for policy in possible if policy.allowed):
            people = min(policy.people for policy in possible if policy.allowed)
            yield f"auto: {rule.fix} on {rule.host} is never carried out: it takes {people} people."
