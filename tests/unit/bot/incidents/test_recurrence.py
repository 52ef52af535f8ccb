"""What an alert says of the times that the same fault was there before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.model import Approval, Incident, IncidentKind, IncidentState, Offer
from bot.incidents.recurrence import recurrence
from checks.look import Before
from checks.model import Applied, Change, ChangeKind, Lasts, Outcome, Plan
from checks.timeline import timeline
from tests.histories import NOW, at, journal, look, record, restart, sudo
from tests.unit.bot.samples import T0, broken, fixed, healthy, incident, offer, plan
from tests.unit.checks.test_timeline import GOOD

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ASKER = "webpanel (in webpanel.service) ran `sudo systemctl restart network`"
STOP_GAP = replace(plan("restart-docker"), lasts=Lasts.UNTIL_CHANGED)
LASTING = "The lasting fix is `enable-ip-forward`."


def was(days: float = 0, *changes: Change, plans: Sequence[Plan] = (STOP_GAP, plan()), **of: object) -> Incident:
    """An incident so many days before T0, whose report tells of these changes."""
    opened = T0 - days * DAY
    report = replace(broken(*plans, at=opened), timeline=changes)
    known = replace(incident(incident_id=f"inc-{days}"), opened_at=opened, report=report)
    return replace(known, **of)  # type: ignore[arg-type]  # fields of an Incident


def restarted(days: float = 0, before: float = 2, who: str = ASKER, unit: str = "network.service") -> Change:
    at = T0 - days * DAY - before * SECOND
    return Change(ChangeKind.UNIT, (unit, "restarted"), at, f"{unit} restarted", who, asked=bool(who))


def said(*incidents: Incident) -> str:
    """What the last of these incidents says of the others."""
    *past, newest = incidents
    return recurrence(past, newest, T0)


def mended_by(of: Plan, applied: Applied | None = None) -> Offer:
    return replace(offer(of=of), approval=Approval("U1", T0, of.fingerprint), applied=applied or fixed())


# --- how often ------------------------------------------------------------------------------------------------


def test_a_first_time_is_nothing_to_speak_of() -> None:
    assert said(was()) == ""


def test_what_came_first_each_time_and_what_lasts_is_said() -> None:
    times = [was(days, restarted(days)) for days in (4, 1, 0)]
    assert said(*times) == (
        "Third time in 7 days, each time 2 s after network.service restarted: webpanel (in webpanel.service) ran "
        "`sudo systemctl restart network`. The lasting fix is `enable-ip-forward`."
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (2, "Second"),
        (9, "Ninth"),
        (10, "Tenth"),
        (11, "11th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (112, "112th"),
    ],
)
def test_times_are_counted_in_words_up_to_ten(count: int, words: str) -> None:
    assert said(*[was(number / 100) for number in range(count - 1, -1, -1)]).startswith(f"{words} time in 7 days.")


def test_only_the_same_fault_of_the_same_service_in_the_last_days_counts() -> None:
    others = [
        was(8),
        was(1, host="host2"),
        was(1, service="web"),
        was(1, report=None),
        was(1, report=healthy()),
        was(-1),
    ]
    root = broken().diagnosis.causes[0]
    for cause in ("docker-chains-missing", "undetermined"):
        report = broken()
        diagnosis = replace(report.diagnosis, causes=(replace(root, cause=cause),))
        others.append(was(1, report=replace(report, diagnosis=diagnosis)))
    assert said(*others, was()) == ""
    assert said(*others, was(2), was()).startswith("Second time")


def test_two_faults_of_which_nothing_is_known_are_not_the_same() -> None:
    nothing = replace(broken().diagnosis.causes[0], cause="undetermined")
    diagnosis = replace(broken().diagnosis, causes=(nothing,))
    assert said(*[replace(was(days), report=replace(broken(), diagnosis=diagnosis)) for days in (1, 0)]) == ""


def test_a_fault_that_was_mended_is_known_by_its_fix_where_the_last_look_found_all_well() -> None:
    before = was(1, report=healthy(), offers=(mended_by(STOP_GAP),))
    assert said(before, was()).startswith("Second time in 7 days.")


def test_a_fault_that_was_prevented_was_none() -> None:
    before = was(1, report=healthy(), offers=(mended_by(plan()),), kind=IncidentKind.PREVENTION)
    assert said(before, was()) == ""


# --- what came first ------------------------------------------------------------------------------------------


def test_distances_that_differ_a_little_are_said_as_they_are() -> None:
    assert "each time 2 s to 6 s after network.service" in said(was(1, restarted(1, 6)), was(0, restarted(0, 2)))
    assert "each time just after network.service" in said(was(1, restarted(1, -1)), was(0, restarted(0, 0.2)))


def test_of_several_changes_of_a_kind_the_nearest_one_counts() -> None:
    words = said(was(1, restarted(1, 4)), was(0, restarted(before=100), restarted(before=4), restarted(before=90)))
    assert "each time 4 s after network.service" in words


def test_what_was_not_there_each_time_says_how_often_it_was() -> None:
    times = [was(3, restarted(3)), was(2), was(1, restarted(1)), was(0, restarted(0, before=250))]
    assert "Fourth time in 7 days, 2 of 4 times 2 s after network.service restarted" in said(*times)


def test_what_was_there_once_or_long_before_or_afterwards_is_left_out() -> None:
    for changes in (
        [(), (restarted(),)],
        [(restarted(1, before=600),), (restarted(before=600),)],
        [(restarted(1, before=-60),), (restarted(before=-60),)],
        [(restarted(1, before=2),), (restarted(before=200),)],
    ):
        assert said(*[was(day, *these) for day, these in zip((1, 0), changes, strict=True)]) == (
            f"Second time in 7 days. {LASTING}"
        )


def test_a_change_is_known_by_what_it_is_of_and_not_by_its_words() -> None:
    first = Change(ChangeKind.CONTAINER, ("ended",), T0 - DAY - 3 * SECOND, "container a ended with 137")
    second = replace(first, at=T0 - 3 * SECOND, what="container b ended with 1", times=3)
    assert "3 s after container b ended with 1 (the last of 3 times)" in said(was(1, first), was(0, second))
    for other in (replace(second, of=("started",)), replace(second, kind=ChangeKind.UNIT)):
        assert said(was(1, first), was(0, other)) == f"Second time in 7 days. {LASTING}"


@pytest.mark.parametrize("kind", [ChangeKind.DIFFERENCE, ChangeKind.LOOK])
def test_what_only_a_look_found_or_says_of_itself_is_not_taken_for_what_came_first(kind: ChangeKind) -> None:
    both = [replace(restarted(days), kind=kind) for days in (1, 0)]
    assert said(was(1, both[0]), was(0, both[1])) == f"Second time in 7 days. {LASTING}"


def test_the_same_thing_with_other_numbers_is_the_same_to_a_real_timeline() -> None:
    def told(day: int, *records: tuple[str, str]) -> tuple[Change, ...]:
        written = [record("14:03:15", message, SYSLOG_IDENTIFIER=by, _TRANSPORT="kernel") for by, message in records]
        changes = timeline(look(journal(*written), good=GOOD))
        recorded = [change for change in changes if change.kind in {ChangeKind.LOGIN, ChangeKind.MESSAGE}]
        return tuple(replace(change, at=change.at - NOW + T0 - day * DAY) for change in recorded)

    for first, second, says in (
        (
            ("sshd", "Accepted publickey for ops from 10.0.0.5 port 50812 ssh2"),
            ("sshd", "Accepted publickey for ops from 10.0.0.7 port 4 ssh2"),
            "ops logged in over SSH from 10.0.0.7",
        ),
        (
            ("kernel", "Out of memory: Killed process 1234 (registry)"),
            ("kernel", "Out of memory: Killed process 77 (registry)"),
            "the kernel says: Out of memory: Killed process 77 (registry)",
        ),
    ):
        assert f"each time 5 s after {says}" in said(was(1, *told(1, first)), was(0, *told(0, second)))


def test_what_somebody_asked_for_comes_before_what_only_happened_and_what_is_earliest_before_the_rest() -> None:
    def both(days: float) -> tuple[Change, ...]:
        at = T0 - (days * DAY) - 9 * SECOND
        login = Change(ChangeKind.LOGIN, ("ops",), at, "ops logged in over SSH from 10.0.0.5", "ops")
        docker = restarted(days, 1, "", "docker.service")
        return login, docker, restarted(days, 3), restarted(days, 5, "", "firewalld.service")

    assert "after network.service restarted" in said(was(1, *both(1)), was(0, *both(0)))
    nobody = [[each for each in both(day) if not each.who] for day in (1, 0)]
    assert "after firewalld.service restarted. " in said(was(1, *nobody[0]), was(0, *nobody[1]))


def test_a_long_text_of_a_host_does_not_push_the_fix_out() -> None:
    who = "x" * 5000
    words = said(was(1, restarted(1, who=who)), was(0, restarted(who=f"\x1b[2J{who}\n")))
    assert len(words) < 400
    assert words.isprintable()
    assert words.endswith(LASTING)


@pytest.mark.parametrize("asked", [True, False])
def test_what_a_real_timeline_says_of_its_looks_is_not_taken_for_what_came_first(*, asked: bool) -> None:
    def told(clock: datetime) -> tuple[Change, ...]:
        request = [sudo("14:03:13", "webpanel", "/bin/systemctl restart network", "webpanel.service")] if asked else []
        seen = look(journal(*request, *restart("14:03:14", "network.service")), good=GOOD)
        changes = timeline(replace(seen, before=Before(GOOD, at("14:03:12"), at("14:03:16"))))
        of_looks = [change for change in changes if not change.kind.happened]
        assert len(of_looks) == 4, "healthy, answered, did not answer, and the switch"
        restarts = [change for change in changes if change.of == ("network.service", "restarted")]
        assert [change.asked for change in restarts] == [asked]
        happened = [*of_looks, *restarts]
        return tuple(replace(change, at=change.at - NOW + clock) for change in happened)

    times = [was(day, *told(T0 - day * DAY + 2 * SECOND)) for day in (1, 0)]
    assert "each time 4 s after network.service restarted" in said(*times)


# --- what lasts -----------------------------------------------------------------------------------------------


def test_a_fix_that_did_not_last_is_named() -> None:
    before = was(1, offers=(mended_by(STOP_GAP),), state=IncidentState.RESOLVED)
    assert (
        said(before, was()) == f"Second time in 7 days. `restart-docker` mended it before and did not last. {LASTING}"
    )


def test_a_fix_that_was_to_last_and_did_not_is_not_recommended_again() -> None:
    before = was(1, restarted(1), offers=(mended_by(plan()),))
    assert said(before, was(0, restarted())).endswith(
        "`enable-ip-forward` mended it before and was to last, so something took it back: "
        "what came first is what to stop."
    )


def test_a_fix_that_failed_or_that_a_person_took_back_has_not_mended_it() -> None:
    failed = mended_by(STOP_GAP, Applied(Outcome.NOT_FIXED, "no"))
    assert said(was(1, offers=(failed,)), was()) == f"Second time in 7 days. {LASTING}"
    undo = mended_by(replace(plan(), undoes="offer-1"), Applied(Outcome.UNDONE, "back"))
    assert said(was(1, offers=(mended_by(plan()), replace(undo, id="offer-2"))), was()) == (
        f"Second time in 7 days. {LASTING}"
    )


def test_without_a_fix_that_lasts_the_reason_is_to_be_looked_for() -> None:
    only = [STOP_GAP]
    assert said(was(1), was(0, plans=only)).endswith("No fix for it lasts: find out what does it.")
    known = said(was(1, restarted(1)), was(0, restarted(), plans=only))
    assert known.endswith("No fix for it lasts: what came first is what to stop.")


def test_a_lasting_fix_of_something_else_is_none_of_this() -> None:
    risk = replace(plan(), cause="firewalld-not-at-boot")
    assert "No fix for it lasts" in said(was(1), was(0, plans=[risk]))


changes = st.builds(
    lambda kind, of, who, days, before: Change(
        kind, (of,), T0 - days * DAY - before * SECOND, f"{kind} {of}", who, asked=who == ASKER
    ),
    st.sampled_from([ChangeKind.UNIT, ChangeKind.LOGIN, ChangeKind.DIFFERENCE]),
    st.sampled_from(["network.service", "x"]),
    st.sampled_from(["", ASKER, "ops"]),
    st.integers(0, 3),
    st.floats(-10, 400),
)


@given(st.lists(st.lists(changes, max_size=6), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_in_which_incidents_come_says_nothing(told: list[list[Change]], random: Random) -> None:
    *past, newest = [was(days, *each) for days, each in zip(range(len(told) - 1, -1, -1), told, strict=True)]
    words = recurrence(past, newest, T0)
    assert recurrence(random.sample(past, len(past)), newest, T0) == words
    assert words.endswith(LASTING)
