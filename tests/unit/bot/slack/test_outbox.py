"""The outbox: at least once, shown once, newest state only, whatever Slack does."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.model import Incident, IncidentState, Transition, acknowledge
from bot.leadership import Leadership
from bot.slack.message import Message
from bot.slack.outbox import (
    CLAIM,
    UPDATE_GAP,
    ChannelRefusedError,
    InvalidBlocksError,
    MessageGoneError,
    Need,
    Outbox,
    RefusedError,
    RetryLaterError,
    SendError,
    Wanted,
    backoff,
    need,
)
from bot.store import Messages, Posted, Store, StoreError
from tests.postgresql import ON_BOTH
from tests.unit.bot.samples import T0, Clock, FakeSlack, broken, incident, shown

SECOND = timedelta(seconds=1)


@pytest.fixture
def slack() -> FakeSlack:
    return FakeSlack()


@pytest.fixture
def outbox(store: Store, slack: FakeSlack, clock: Clock) -> Outbox:
    return Outbox(store, slack, shown, clock, channel="#alerts")


async def opened(store: Store, due_at: datetime = T0, incident_id: str = "inc-1", service: str = "registry") -> None:
    new = replace(incident(incident_id=incident_id), service=service)
    assert await store.incidents.add(new, "#alerts", due_at)


async def clock_is_set(store: Store, clock: Clock, seconds: float) -> None:
    """It is set, and what is stored moves along."""
    await store.clock_set(timedelta(seconds=seconds), clock())
    clock.passes(seconds)


async def acknowledged(store: Store, clock: Clock) -> None:
    taken = acknowledge(incident(), "U1", clock())
    assert taken
    assert await store.incidents.move("inc-1", taken)


async def test_an_incident_is_posted_once_and_then_updated_in_place(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await outbox.deliver()
    clock.passes(5)
    await store.incidents.save_report("inc-1", broken(), (), clock())
    await outbox.deliver()
    clock.passes(5)
    await acknowledged(store, clock)
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["post", "update", "update"]
    assert slack.texts == ["inc-1 acknowledged unhealthy"]


async def test_nothing_is_sent_before_it_is_due(store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock) -> None:
    await opened(store, due_at=T0 + 2 * SECOND)
    assert await outbox.deliver() == T0 + 2 * SECOND
    assert slack.calls == []
    clock.passes(2)
    assert await outbox.deliver() is None
    assert slack.texts == ["inc-1 open no report"]


async def test_an_alert_that_waits_for_its_diagnosis_goes_out_with_it(
    store: Store, outbox: Outbox, slack: FakeSlack
) -> None:
    await opened(store, due_at=T0 + 2 * SECOND)
    await store.incidents.save_report("inc-1", broken(), (), T0)
    await outbox.deliver()
    assert slack.calls == [("post", "inc-1 open unhealthy")]


async def test_what_shows_already_is_not_sent_again(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await outbox.deliver()
    clock.passes(60)
    await store.incidents.save_report("inc-1", broken(), (), clock())
    await outbox.deliver()
    clock.passes(60)
    await store.incidents.save_report("inc-1", broken(), (), clock())
    assert await outbox.deliver() is None
    assert len(slack.calls) == 2


async def test_a_restart_repeats_nothing(store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock) -> None:
    await opened(store)
    await outbox.deliver()
    restarted = Outbox(store, slack, shown, clock)
    await restarted.deliver()
    assert len(slack.calls) == 1
    clock.passes(5)
    await acknowledged(store, clock)
    await restarted.deliver()
    assert slack.texts == ["inc-1 acknowledged no report"]


async def test_of_many_changes_only_the_newest_is_sent(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await outbox.deliver()
    for _ in range(5):
        await store.incidents.save_report("inc-1", broken(), (), clock())
    await acknowledged(store, clock)
    again = await outbox.deliver()
    assert again == T0 + UPDATE_GAP
    assert len(slack.calls) == 1
    clock.passes(UPDATE_GAP.total_seconds())
    await outbox.deliver()
    assert slack.calls[1:] == [("update", "inc-1 acknowledged unhealthy")]


async def test_when_slack_asks_to_wait_everyone_waits_that_long(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await opened(store, incident_id="inc-2", service="web")
    slack.errors = [RetryLaterError("429", after=7 * SECOND)]
    assert await outbox.deliver() == T0 + 7 * SECOND
    clock.passes(6)
    await outbox.deliver()
    assert len(slack.calls) == 1
    clock.passes(1)
    assert await outbox.deliver() is None
    assert sorted(slack.texts) == ["inc-1 open no report", "inc-2 open no report"]


async def test_a_wait_that_began_while_the_clock_was_ahead_is_over_when_it_is_right_again(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    clock.passes(3600)
    await opened(store, due_at=clock())
    slack.errors = [RetryLaterError("no answer from Slack")]
    await outbox.deliver()
    clock.passes(-3600)
    await outbox.deliver()
    assert slack.texts == ["inc-1 open no report"]
    clock.passes(3600)
    await acknowledged(store, clock)
    await outbox.deliver()
    clock.passes(-3600)
    await store.incidents.save_report("inc-1", broken(), (), clock())
    await outbox.deliver()
    assert slack.texts == ["inc-1 acknowledged unhealthy"]


@pytest.mark.parametrize("jump", [-300, -30, 300])
async def test_a_wait_for_slack_takes_no_longer_though_the_clock_is_set(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock, jump: float
) -> None:
    await opened(store)
    slack.errors = [RetryLaterError("429", after=7 * SECOND)]
    await outbox.deliver()
    await clock_is_set(store, clock, jump)
    clock.passes(7)
    await outbox.deliver()
    assert slack.texts == ["inc-1 open no report"]


@pytest.mark.parametrize("jump", [-300, 300])
async def test_an_alert_waits_for_its_diagnosis_as_long_as_ever_though_the_clock_is_set(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock, jump: float
) -> None:
    await opened(store, due_at=T0 + 2 * SECOND)
    await clock_is_set(store, clock, jump)
    await outbox.deliver()
    assert slack.texts == []
    clock.passes(2)
    await outbox.deliver()
    assert slack.texts == ["inc-1 open no report"]


async def test_the_claim_of_one_who_died_holds_nothing_up_for_longer_though_the_clock_is_put_back(
    store: Store, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    [row] = await store.messages.due(clock())
    assert await Messages(store.database, owner="another").claim(row, clock(), clock() + CLAIM)
    await clock_is_set(store, clock, -300)
    clock.passes(CLAIM.total_seconds())
    await Outbox(store, slack, shown, clock, channel="#alerts").deliver()
    assert slack.texts == ["inc-1 open no report"]


async def test_a_failing_slack_is_tried_again_ever_more_slowly_and_nothing_is_lost(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    slack.errors = [RetryLaterError("500") for _ in range(9)]
    waits = []
    for _ in range(9):
        again = await outbox.deliver()
        assert again
        waits.append((again - clock()).total_seconds())
        clock.passes(waits[-1])
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10, 10]
    await store.incidents.move("inc-1", Transition(IncidentState.OPEN, IncidentState.RESOLVED, "well", clock()))
    await outbox.deliver()  # an earlier attempt may have arrived: what Slack shows is not known before it is updated
    clock.passes(1)
    assert await outbox.deliver() is None
    assert slack.texts == ["inc-1 resolved no report"]


async def test_a_refusal_that_needs_a_person_is_logged_once_with_what_to_do_and_tried_on(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    await opened(store)
    slack.errors = [ChannelRefusedError("not_in_channel", "Invite the bot: /invite @dockerhealth.")] * 6
    waits = []
    while (again := await outbox.deliver()) is not None:
        waits.append((again - clock()).total_seconds())
        clock.passes(waits[-1])
    assert capsys.readouterr().out.count("Invite the bot: /invite @dockerhealth.") == 1
    assert max(waits) <= 10  # who has invited it sees the alert soon
    assert slack.texts == ["inc-1 open no report"]


async def test_a_channel_that_takes_nothing_is_tried_with_one_message_and_then_gets_them_all(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    for number in range(20):
        await opened(store, incident_id=f"inc-{number}", service=f"service-{number}")
    slack.errors = [ChannelRefusedError("not_in_channel", "")] * 3
    for _ in range(3):
        again = await outbox.deliver()
        assert again
        clock.passes((again - clock()).total_seconds())
    assert len(slack.calls) == 3
    while (again := await outbox.deliver()) is not None:
        clock.passes((again - clock()).total_seconds())
    assert len(slack.messages) == 20


async def test_one_message_that_cannot_be_sent_does_not_hold_up_the_others(
    store: Store, outbox: Outbox, slack: FakeSlack
) -> None:
    await opened(store)
    await opened(store, incident_id="inc-2", service="web")
    slack.errors = [RefusedError("no", "")]
    await outbox.deliver()
    assert len(slack.messages) == 1


async def test_an_error_in_a_view_holds_up_nothing_else(store: Store, slack: FakeSlack, clock: Clock) -> None:
    def breaks(incident: Incident, now: datetime) -> Message:
        if incident.id == "inc-1":
            raise ZeroDivisionError
        return shown(incident, now)

    await opened(store)
    await opened(store, incident_id="inc-2", service="web")
    await Outbox(store, slack, breaks, clock).deliver()
    assert slack.texts == ["inc-2 open no report"]


async def test_blocks_that_the_workspace_does_not_take_are_left_out(
    store: Store, outbox: Outbox, slack: FakeSlack
) -> None:
    await opened(store)
    slack.errors = [InvalidBlocksError("invalid_blocks")]
    assert await outbox.deliver() is None
    assert list(slack.messages.values()) == [Message("inc-1 open no report")]


@pytest.mark.parametrize("refusals", [1, 2])
async def test_an_alert_keeps_its_buttons_where_its_blocks_are_refused_and_its_text_where_these_are_too(
    store: Store, slack: FakeSlack, clock: Clock, refusals: int
) -> None:
    row = {"type": "actions", "elements": [{"type": "button", "action_id": "fix"}]}
    full = Message("It is broken.", ({"type": "header"},), ({"color": "#f00", "blocks": [{"type": "table"}, row]},))
    await opened(store)
    slack.errors = [InvalidBlocksError("invalid_blocks")] * refusals
    assert await Outbox(store, slack, lambda _incident, _now: full, clock).deliver() is None
    with_buttons = Message("It is broken.", attachments=({"color": "#f00", "blocks": [row]},))
    assert list(slack.messages.values()) == [with_buttons if refusals == 1 else Message("It is broken.")]


async def test_a_message_of_which_not_even_the_text_is_taken_is_told_and_tried_later(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    await opened(store)
    slack.errors = [InvalidBlocksError("msg_too_long")] * 2
    assert await outbox.deliver() == clock() + backoff(0)
    assert "NOT DELIVERED" in capsys.readouterr().out


async def test_a_message_that_is_gone_is_posted_again(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await outbox.deliver()
    clock.passes(5)
    await acknowledged(store, clock)
    slack.errors = [MessageGoneError("message_not_found")]
    assert await outbox.deliver() == clock()
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["post", "update", "post"]


async def test_new_alerts_go_before_updates(store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock) -> None:
    await opened(store)
    await outbox.deliver()
    clock.passes(5)
    await acknowledged(store, clock)
    clock.passes(1)
    await opened(store, due_at=clock(), incident_id="inc-2", service="web")
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["post", "post", "update"]


async def test_it_sends_when_woken_and_once_more_when_stopped(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(outbox.run(stop))
    await asyncio.sleep(0.05)
    await opened(store)
    outbox.wake()
    async with asyncio.timeout(1):
        await slack.called.wait()
    clock.passes(5)
    await acknowledged(store, clock)
    stop.set()
    outbox.wake()
    await running
    assert slack.texts == ["inc-1 acknowledged no report"]


# --- once, in the right place ---


async def test_a_message_that_slack_has_taken_is_not_posted_again_while_that_cannot_be_stored(
    store: Store, slack: FakeSlack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(store)
    stored = store.messages.sent

    async def full(*_arguments: object, **_more: object) -> None:
        raise StoreError("database or disk is full")

    outbox = Outbox(store, slack, shown, clock, channel="#alerts")
    monkeypatch.setattr(Messages, "sent", full)
    for _ in range(10):
        with pytest.raises(StoreError):
            await outbox.deliver()
        clock.passes(5)
    assert [call for call, _ in slack.calls] == ["post"]
    monkeypatch.undo()
    assert store.messages.sent == stored
    await outbox.deliver()
    assert [call for call, _ in slack.calls] == ["post"]
    await acknowledged(store, clock)
    await outbox.deliver()
    assert slack.texts == ["inc-1 acknowledged no report"]


async def test_nothing_is_posted_that_could_not_be_claimed(
    store: Store, slack: FakeSlack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(*_arguments: object) -> None:
        raise StoreError("database is locked")

    await opened(store)
    monkeypatch.setattr(Messages, "claim", locked)
    with pytest.raises(StoreError):
        await Outbox(store, slack, shown, clock).deliver()
    assert slack.calls == []


async def test_a_post_whose_answer_was_lost_is_found_again_and_shows_what_is_so_by_then(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    slack.answers_lost = 1
    assert await outbox.deliver() == clock() + backoff(0)
    await acknowledged(store, clock)
    clock.passes(1)
    await outbox.deliver()
    clock.passes(1)
    assert await outbox.deliver() is None
    assert [call for call, _ in slack.calls] == ["post", "post", "update"]
    assert slack.texts == ["inc-1 acknowledged no report"]


@ON_BOTH
async def test_a_process_that_dies_within_a_post_leaves_it_to_the_next_which_finds_it_again(
    store: Store, url: str, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    [row] = await store.messages.due(clock())
    claimed = await store.messages.claim(row, clock(), clock() + CLAIM)
    assert claimed
    await slack.post("#alerts", Message("what it said"), claimed.post_id)
    following = await Store.open(url)
    outbox = Outbox(following, slack, shown, clock)
    try:
        assert await outbox.deliver() == clock() + CLAIM  # the one before may live after all
        clock.passes(CLAIM.total_seconds())
        await outbox.deliver()
        clock.passes(1)
        await outbox.deliver()
    finally:
        await following.close()
    assert slack.texts == ["inc-1 open no report"]


@ON_BOTH
async def test_the_claim_of_one_who_acts_no_more_holds_nothing_up(
    store: Store, url: str, slack: FakeSlack, clock: Clock
) -> None:
    following = await Store.open(url)
    stop = asyncio.Event()
    try:
        first, second = Leadership(store.leaders), Leadership(following.leaders)
        await first.gained(stop)
        async with first.kept(stop):
            await opened(store)
            [row] = await store.messages.due(clock())
            assert await store.messages.claim(row, clock(), clock() + CLAIM)
        await second.gained(stop)
        async with second.kept(stop):
            await Outbox(following, slack, shown, clock).deliver()
    finally:
        await following.close()
    assert slack.texts == ["inc-1 open no report"]


async def test_what_was_never_posted_goes_where_alerts_go_now(store: Store, slack: FakeSlack, clock: Clock) -> None:
    await opened(store)
    slack.errors = [ChannelRefusedError("is_archived", "")]
    await Outbox(store, slack, shown, clock, channel="#alerts").deliver()
    await Outbox(store, slack, shown, clock, channel="#others").deliver()
    assert slack.channels == ["#others"]


async def test_an_alert_that_can_be_shown_no_more_where_it_stands_is_posted_where_alerts_go_now(
    store: Store, outbox: Outbox, slack: FakeSlack, clock: Clock
) -> None:
    await opened(store)
    await outbox.deliver()
    clock.passes(5)
    await acknowledged(store, clock)
    slack.errors = [ChannelRefusedError("is_archived", "")]
    moved = Outbox(store, slack, shown, clock, channel="#others")
    await moved.deliver()
    await moved.deliver()
    assert slack.channels == ["#alerts", "#others"]
    assert slack.texts == ["inc-1 open no report", "inc-1 acknowledged no report"]


# --- what needs sending, as a pure function ---

moments = st.none() | st.integers(-3, 3).map(lambda seconds: T0 + seconds * SECOND)
rows = st.builds(
    Posted,
    incident_id=st.just("inc-1"),
    channel=st.just("C1"),
    ts=st.sampled_from(["", "1.0"]),
    shown=st.sampled_from(["", "hash"]),
    version=st.just(1),
    due_at=moments,
    sent_at=moments,
    attempts=st.integers(0, 3),
    problem=st.just(""),
)


@given(rows)
def test_only_what_is_due_and_new_is_sent(row: Posted) -> None:
    wanted = Wanted(Message("text"), "hash")
    decision = need(row, wanted, T0)
    due = row.due_at is not None and row.due_at <= T0
    if decision is Need.POST:
        assert due
        assert not row.ts
    if decision is Need.UPDATE:
        assert due
        assert row.ts
        assert row.shown != "hash"
        assert row.sent_at is None or abs(T0 - row.sent_at) >= UPDATE_GAP
    if decision is Need.NOTHING_NEW:
        assert (row.ts, row.shown) == ("1.0", "hash")


def test_messages_that_look_alike_hash_alike() -> None:
    one = Message("text", ({"type": "divider", "block_id": "a"},))
    same = Message("text", ({"block_id": "a", "type": "divider"},))
    assert Wanted.of(one).hash == Wanted.of(same).hash
    assert Wanted.of(one).hash != Wanted.of(Message("text")).hash


def test_the_wait_never_grows_beyond_ten_seconds() -> None:
    assert max(backoff(attempts) for attempts in range(1000)) == timedelta(seconds=10)


def test_every_way_of_failing_is_a_send_error() -> None:
    kinds = (RetryLaterError, RefusedError, InvalidBlocksError, MessageGoneError)
    assert all(issubclass(kind, SendError) for kind in kinds)
