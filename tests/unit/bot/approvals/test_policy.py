"""What holds for one plan, by the general terms and by the rules that cover it."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.policy import ApprovalRule, AutoRule, Policies, Policy, QuietHours, Terms, policy_of
from checks.model import FixId, Risk
from tests.unit.bot.samples import plan

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)
HALF_AN_HOUR = timedelta(minutes=30)
PLAIN = Policies(("U1", "S1"), {Risk.LOW: 1, Risk.MEDIUM: 1, Risk.HIGH: 2}, HALF_AN_HOUR)
RESTART = replace(plan("restart-docker"), risk=Risk.MEDIUM)


def ruled(*rules: ApprovalRule) -> Policies:
    return replace(PLAIN, rules=rules)


def rule(terms: Terms, *, fixes: str = "", hosts: str = "", risks: str = "") -> ApprovalRule:
    of_risks = frozenset(map(Risk, risks.split()))
    return ApprovalRule(
        "approvals.rules.0", terms, frozenset(map(FixId, fixes.split())), frozenset(hosts.split()), of_risks
    )


# --- rules ----------------------------------------------------------------------------------------------------


def test_without_rules_the_general_terms_hold() -> None:
    assert policy_of(PLAIN, plan()) == Policy(("U1", "S1"), 1, HALF_AN_HOUR)


def test_a_riskier_plan_takes_more_people() -> None:
    assert [policy_of(PLAIN, replace(plan(), risk=risk)).people for risk in Risk] == [1, 1, 2]


@pytest.mark.parametrize(
    ("names", "covered"),
    [
        ({}, True),
        ({"fixes": "restart-docker"}, True),
        ({"fixes": "start-docker restart-docker"}, True),
        ({"fixes": "start-docker"}, False),
        ({"hosts": "host1"}, True),
        ({"hosts": "host2"}, False),
        ({"risks": "medium high"}, True),
        ({"risks": "low"}, False),
        ({"fixes": "restart-docker", "hosts": "host2"}, False),
        ({"fixes": "restart-docker", "hosts": "host1", "risks": "medium"}, True),
    ],
)
def test_a_rule_holds_for_what_it_names_and_where_it_names_none_for_all(
    names: dict[str, str], *, covered: bool
) -> None:
    policy = policy_of(ruled(rule(Terms(people=3), **names)), RESTART)
    assert policy.people == (3 if covered else 1)


def test_a_later_rule_goes_over_an_earlier_one_in_what_it_says() -> None:
    first = rule(Terms(approvers=("U2",), people=2, quiet_hours=NIGHT))
    second = rule(Terms(people=3, channels=("C1",), not_requester=True))
    expected = Policy(("U2",), 3, HALF_AN_HOUR, ("C1",), not_requester=True, quiet_hours=NIGHT)
    assert policy_of(ruled(first, second), plan()) == expected


def test_what_is_not_allowed_names_the_rule_and_a_later_rule_may_allow_it_again() -> None:
    never = rule(Terms(allowed=False), fixes="restart-docker", risks="high medium")
    refused = policy_of(ruled(never), RESTART)
    assert (refused.allowed, refused.forbidden_by) == (
        False,
        "approvals.rules.0 (restart-docker, medium risk, high risk)",
    )
    assert policy_of(ruled(never, rule(Terms(allowed=True), hosts="host1")), RESTART).allowed
    assert policy_of(ruled(rule(Terms(allowed=False))), plan()).forbidden_by == "approvals.rules.0 (everything)"


def test_an_empty_list_of_a_rule_goes_over_a_full_one() -> None:
    policies = replace(ruled(rule(Terms(approvers=(), channels=()))), channels=("C1",))
    policy = policy_of(policies, plan())
    assert (policy.approvers, policy.channels) == ((), ())


def test_an_undo_follows_the_rules_of_its_fix_and_its_own_risk() -> None:
    rules = ruled(rule(Terms(not_requester=True), fixes="restart-docker"))
    undo = replace(plan("restart-docker"), undoes="offer-1", risk=Risk.HIGH)
    policy = policy_of(rules, undo)
    assert (policy.not_requester, policy.people) == (True, 2)


def test_the_groups_of_all_approvers_are_those_named_in_general_and_by_rules() -> None:
    by_rules = ruled(rule(Terms(approvers=("S0DBA", "U0EVE", "S0ONCALL"))), rule(Terms(people=2)))
    assert replace(by_rules, approvers=("S0ONCALL", "terminal:root")).groups == ("S0DBA", "S0ONCALL")
    assert replace(by_rules, approvers=(), rules=()).groups == ()


def test_a_fix_needs_no_click_only_on_the_host_that_it_is_named_for() -> None:
    auto = AutoRule(FixId.ENABLE_IP_FORWARD, "host1", 2, timedelta(hours=1))
    policies = replace(PLAIN, auto=(auto,))
    assert policies.auto_rule(FixId.ENABLE_IP_FORWARD, "host1") == auto
    assert policies.auto_rule(FixId.ENABLE_IP_FORWARD, "host2") is None
    assert policies.auto_rule(FixId.RESTART_DOCKER, "host1") is None


# --- quiet hours ----------------------------------------------------------------------------------------------


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-10 21:59:59", None),
        ("2026-03-10 22:00", "2026-03-11 07:00"),
        ("2026-03-10 23:59", "2026-03-11 07:00"),
        ("2026-03-11 00:00", "2026-03-11 07:00"),
        ("2026-03-11 06:59:59", "2026-03-11 07:00"),
        ("2026-03-11 07:00", None),
        ("2026-03-11 12:00", None),
    ],
)
def test_quiet_hours_go_over_midnight(now: str, until: str | None) -> None:
    assert NIGHT.until(berlin(now)) == (berlin(until) if until else None)


def test_quiet_hours_within_a_day_are_those_of_their_zone() -> None:
    noon = QuietHours(time(12), time(13, 30), BERLIN)
    assert noon.until(datetime(2026, 1, 15, 11, 0, tzinfo=UTC)) == berlin("2026-01-15 13:30")
    assert noon.until(datetime(2026, 7, 15, 11, 0, tzinfo=UTC)) == berlin("2026-07-15 13:30")
    assert noon.until(datetime(2026, 7, 15, 12, 0, tzinfo=UTC)) is None


def test_the_night_in_which_the_clocks_change_ends_when_they_say_so() -> None:
    spring, autumn = berlin("2026-03-28 22:00"), berlin("2026-10-24 22:00")
    assert NIGHT.until(spring) == berlin("2026-03-29 07:00")
    assert NIGHT.until(autumn) == berlin("2026-10-25 07:00")
    hours = [(end - start) / timedelta(hours=1) for start in (spring, autumn) if (end := NIGHT.until(start))]
    assert hours == [8, 10]


def test_an_hour_that_is_there_twice_is_quiet_both_times() -> None:
    early = QuietHours(time(1), time(2, 30), BERLIN)
    assert early.until(berlin("2026-10-25 02:15")) == berlin("2026-10-25 02:30", fold=1)
    assert early.until(berlin("2026-10-25 02:45")) == berlin("2026-10-25 02:30", fold=1), "between the two ends"
    assert early.until(berlin("2026-10-25 02:15", fold=1)) is not None
    assert early.until(berlin("2026-10-25 02:30", fold=1)) is None
    late = QuietHours(time(2, 30), time(4), BERLIN)
    assert late.until(berlin("2026-10-25 02:30")) is not None
    assert late.until(berlin("2026-10-25 02:15", fold=1)) is not None


def test_quiet_hours_that_end_in_an_hour_that_is_not_there_end_all_the_same() -> None:
    early = QuietHours(time(1), time(2, 30), BERLIN)
    assert early.until(berlin("2026-03-29 01:59")) is not None
    assert early.until(berlin("2026-03-29 04:00")) is None


moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # as it asks
zones = st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]).map(ZoneInfo)
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@given(moments, zones, clocks, clocks)
def test_what_the_clock_on_the_wall_calls_quiet_is_quiet_and_ends_within_a_day(
    now: datetime, zone: ZoneInfo, begins: time, ends: time
) -> None:
    if begins == ends:
        return
    until = QuietHours(begins, ends, zone).until(now)
    wall = now.astimezone(zone).time()
    inside = begins <= wall < ends if begins < ends else wall >= begins or wall < ends
    assert until is not None or not inside
    assert until is None or now < until <= now + timedelta(hours=26)
