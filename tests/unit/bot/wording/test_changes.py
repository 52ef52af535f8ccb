"""What a run changed, in words."""

from dataclasses import replace

import pytest

from bot.wording.changes import FAMILIES, Changed, Line, changed, not_restored
from checks.model import Difference, Family, Outcome, Snapshot, Values
from tests.unit.bot.slack.view_samples import FILE, FORWARDING, RULES, undone


def told(before: str | None, after: str | None, name: str = "rules nat DOCKER") -> Changed:
    [only] = changed([Difference(Family.RULES, name, before, after, announced=True)], announced=True)
    return only


def shown(changed: Changed) -> list[str]:
    return [line.says for line in changed.lines]


def test_a_short_value_is_told_in_a_line() -> None:
    assert told("0", "1", "sysctl net.ipv4.ip_forward") == Changed("sysctl net.ipv4.ip_forward 0 → 1")


def test_what_came_and_what_went_is_told_with_its_lines() -> None:
    assert told(None, "a\nb") == Changed(
        "rules nat DOCKER (new)", (Line(came=True, text="a"), Line(came=True, text="b"))
    )
    assert told("a", None) == Changed("rules nat DOCKER (gone)", (Line(came=False, text="a"),))


def test_of_a_longer_value_only_the_lines_that_differ_are_told() -> None:
    rules = [f"-A DOCKER -p tcp --dport {port} -j DNAT" for port in range(5000, 5006)]
    after = [*rules[:2], "-A DOCKER -j DROP", *rules[3:]]
    assert shown(told("\n".join(rules), "\n".join(after))) == [f"- {rules[2]}", "+ -A DOCKER -j DROP"]


def test_a_rule_that_moved_is_a_change() -> None:
    assert shown(told("a\nb", "b\na")) == ["+ b", "- b"]


def test_one_long_line_is_told_below_its_name() -> None:
    assert told("x" * 100, "y").says == "rules nat DOCKER"
    assert shown(told("x" * 100, "y")) == ["- " + "x" * 100, "+ y"]


def test_a_value_that_is_empty_now_says_so() -> None:
    assert told("running", "", "container registry") == Changed("container registry running → empty")


def test_announced_and_not_announced_are_apart() -> None:
    differences = (FORWARDING, RULES, FILE)
    assert [each.says for each in changed(differences, announced=False)] == ["rules nat DOCKER"]
    assert len(changed(differences, announced=True)) == 2


def test_an_undo_that_brought_all_back_has_nothing_to_tell() -> None:
    back = (replace(FORWARDING, before="1", after="0"), replace(FILE, before=FILE.after, after=None))
    assert not_restored(undone(Outcome.UNDONE, *back)) == []


def test_a_value_that_an_undo_did_not_bring_back_is_told_as_it_was_and_as_it_is() -> None:
    before = Snapshot(
        {
            Family.SYSCTL: Values({"sysctl net.ipv4.ip_forward": "1"}),
            Family.UNIT: Values({"unit docker.service": "active"}),
        }
    )
    left = replace(undone(Outcome.NOT_FIXED), before=before)
    assert not_restored(left) == [Changed("sysctl net.ipv4.ip_forward 0 → 1")]


def test_a_value_that_nobody_knows_is_not_said_to_be_another_one() -> None:
    assert not_restored(undone(Outcome.NOT_FIXED)) == []


def test_of_many_lines_that_were_announced_it_is_told_how_many_and_of_the_others_each_one() -> None:
    rules = [
        Difference(
            Family.RULES, f"rules nat CHAIN{number}", "-A one\n-A two", "-A two\n-A three\n-A four", announced=announced
        )
        for number in range(3)
        for announced in (True, False)
    ]
    switched = Difference(Family.SYSCTL, "sysctl net.ipv4.ip_forward", "0", "1", announced=True)
    told = [each.says for each in changed([*rules, switched], announced=True)]
    assert told == ["sysctl net.ipv4.ip_forward 0 → 1", "3 chains of iptables: 6 lines came, 3 went"]
    loud = changed([*rules, switched], announced=False)
    assert [shown(each) for each in loud] == [["- -A one", "+ -A three", "+ -A four"]] * 3


def test_a_name_without_a_word_in_it_is_counted_as_any_other() -> None:
    lines = "\n".join("abcdefgh")
    assert told(None, lines, "\x1b") == Changed(" (new): 8 lines came, 0 went")


@pytest.mark.parametrize("family", Family)
def test_whatever_came_and_went_is_counted_by_what_it_is_and_not_by_what_it_is_called(family: Family) -> None:
    lines = "\n".join("abcdefgh")
    both = [Difference(family, name, None, lines, announced=True) for name in ("zone rules file", "")]
    [counted] = changed(both, announced=True)
    assert counted.says == f"2 {FAMILIES[family]}: 16 lines came, 0 went"
