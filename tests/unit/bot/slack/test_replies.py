"""What Slack's errors mean, and what people are told."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.approvals.approvers import Approvers, Withheld
from bot.approvals.decision import Acknowledged, Agreed, Approved, Refusal, RefusalReason, Repeated
from bot.incidents.model import Approval
from bot.slack.client import classified, direct, not_shown
from bot.slack.listeners import click
from bot.slack.outbox import ChannelRefusedError, InvalidBlocksError, MessageGoneError, RefusedError, RetryLaterError
from bot.slack.replies import NOTHING_RUN, reply
from tests.unit.bot.samples import APPROVER, T0, incident, offer, plan


class Answer(dict[str, Any]):
    """What slack_sdk puts into its errors."""

    def __init__(self, status: int, headers: dict[str, str] | None = None, **data: object) -> None:
        super().__init__(data)
        self.status_code = status
        self.headers = headers or {}


def of(answer: object) -> Exception:
    return classified("chat.postMessage", SlackApiError("no", answer))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(429, {"Retry-After": "7"}, error="ratelimited"), RetryLaterError),
        (Answer(500), RetryLaterError),
        (Answer(503, error="service_unavailable"), RetryLaterError),
        (Answer(200, error="internal_error"), RetryLaterError),
        (Answer(200, error="team_added_to_org"), RetryLaterError),
        (SimpleNamespace(status=502), RetryLaterError),
        (Answer(200, error="invalid_blocks"), InvalidBlocksError),
        (Answer(200, error="msg_blocks_too_long"), InvalidBlocksError),
        (Answer(200, error="message_not_found"), MessageGoneError),
        (Answer(200, error="access_denied"), RetryLaterError),
        (Answer(200, error="unknown_error"), RetryLaterError),
        (Answer(200, error="channel_not_found"), ChannelRefusedError),
        (Answer(200, error="something_new"), RefusedError),
    ],
)
def test_each_failure_has_its_kind(answer: object, kind: type[Exception]) -> None:
    assert type(of(answer)) is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "invalid_blocks", InvalidBlocksError),
        (400, "invalid_attachments\n", InvalidBlocksError),
        (400, '{"ok":false,"error":"invalid_blocks"}', InvalidBlocksError),
        (400, "no_text", RefusedError),
        (404, '{"ok":false,"error":"used_url"}', RefusedError),
        (404, "[]", RefusedError),
        (404, "", RefusedError),
        (500, "<html>Server Error</html>", RetryLaterError),
    ],
)
def test_a_response_url_says_in_a_word_or_in_json_what_it_does_not_take(
    status: int, body: str, kind: type[Exception]
) -> None:
    assert type(not_shown(status, body)) is kind


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("99999", 300), ("soon", 5), ("", 5), ("1.5", 5)])
def test_slack_is_waited_for_as_long_as_it_asks(header: str, seconds: int) -> None:
    error = of(Answer(429, {"Retry-After": header}, error="ratelimited"))
    assert isinstance(error, RetryLaterError)
    assert error.after
    assert error.after.total_seconds() == seconds


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_in_channel", "/invite @dockerhealth"),
        ("invalid_auth", "Set SLACK_BOT_TOKEN"),
        ("missing_scope", "needed: chat:write"),
        ("no_such_subteam", "Check that id in approvals.approvers and approvals.rules"),
        ("plan_upgrade_required", "name people in approvals.approvers"),
        ("something_new", "https://docs.slack.dev/reference/methods/chat.postMessage"),
    ],
)
def test_a_refusal_says_what_to_do(code: str, words: str) -> None:
    assert words in str(of(Answer(200, error=code, needed="chat:write" if code == "missing_scope" else None)))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9/api/", True),
        ("http://localhost/api/", True),
        ("http://[::1]:9/", True),
        ("https://slack.inside.example/api/", True),
        ("https://slack.com/api/", False),
    ],
)
def test_the_proxy_is_left_out_where_it_must_be(url: str, *, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "inside.example")
    assert direct(url) is expected


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_refusal_has_words(reason: RefusalReason) -> None:
    full = Refusal(reason, incident(offer()), offer(), (APPROVER, "S1", "terminal:root"), T0, "a rule")
    for each in (Refusal(reason), full):
        message = reply(each)
        assert message
        assert message.text.endswith((".", "."))
        assert "None" not in message.text


def test_only_a_repeated_click_gets_no_answer() -> None:
    assert reply(Repeated()) is None
    assert reply(Acknowledged(incident()))
    approved = reply(Approved(incident(), offer(), Approval(APPROVER, T0, plan().fingerprint)))
    assert approved
    assert "Switch IP forwarding on" in approved.text


def told(answer: Agreed | Refusal) -> str:
    message = reply(answer)
    assert message
    return message.text


def test_the_first_of_two_learns_that_nothing_runs_yet() -> None:
    approval = Approval(APPROVER, T0, plan().fingerprint)
    two = told(Agreed(incident(offer()), offer(), approval, people=2, missing=1))
    assert two.startswith("Noted: 1 of 2 approved *Switch IP forwarding on, for good* on host1/registry.")
    assert "Nothing runs until another person approves" in two
    assert "until 2 more people approve" in told(Agreed(incident(offer()), offer(), approval, people=3, missing=2))


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(RefusalReason.QUIET, until=T0), "quiet hours until <!date^"),
        (Refusal(RefusalReason.CHANNEL, incident(), names=("C0OPS",)), "only in <#C0OPS>. Nothing was run."),
        (Refusal(RefusalReason.SAME_PERSON, names=("U0BOB", "S1")), "Ask one of these: <@U0BOB>, <!subteam^S1>."),
        (Refusal(RefusalReason.SAME_PERSON), "The configuration names nobody else."),
        (Refusal(RefusalReason.REQUESTER, names=("terminal:root",)), "someone else has to approve"),
        (Refusal(RefusalReason.GROUP_UNKNOWN, names=("S1",)), "Try again in a minute"),
        (
            Refusal(RefusalReason.GROUP_WITHHELD, withheld={"S1": Withheld("no_such_subteam", "Check it.")}),
            "does not tell who is in `S1` (no_such_subteam)",
        ),
        (
            Refusal(RefusalReason.NOT_ALLOWED, why="a rule <!here>"),
            "Nobody may approve this fix: a rule &lt;!here&gt;.",
        ),
        (
            Refusal(RefusalReason.HOST_BUSY, incident(), replace(offer(), approval=Approval("U0BOB", T0, ""))),
            "for host1/registry: *",
        ),
    ],
)
def test_a_refusal_says_first_what_happened_and_then_what_to_do(refusal: Refusal, words: str) -> None:
    assert words in told(refusal)
    assert NOTHING_RUN in told(refusal) or "was not run" in told(refusal)


def test_a_reason_that_two_groups_share_is_told_once() -> None:
    scope = Withheld("missing_scope (needed: usergroups:read)", "Install the app again.")
    words = told(Refusal(RefusalReason.GROUP_WITHHELD, withheld={"S1": scope, "S2": scope}))
    assert "`S1` (missing_scope (needed: usergroups:read)); `S2` (" in words
    assert words.count("Install the app again.") == 1
    assert "Try again" not in words


def test_an_ephemeral_message_is_known_by_its_container_and_any_other_needs_a_ts() -> None:
    body: dict[str, Any] = {
        "actions": [{"action_id": "approve:x", "value": "offer-1", "action_ts": "1"}],
        "user": {"id": "U1"},
        "team": {"id": "T1"},
        "api_app_id": "A1",
        "trigger_id": "t",
    }
    private = click(body | {"container": {"channel_id": "C1", "message_ts": "5.0", "is_ephemeral": True}})
    public = click(body | {"container": {"channel_id": "C1", "message_ts": "5.0", "is_ephemeral": False}})
    strange = click(body)
    assert [each.place and each.place.ts for each in (private, public)] == ["", "5.0"]
    assert strange.place
    assert strange.place.ts


def test_no_approvers_is_false() -> None:
    assert not Approvers()
    assert Approvers(frozenset({"U1"}))
