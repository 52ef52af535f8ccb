"""The local Slack's Block Kit rules: the limits of Slack's reference, each at its edge."""

from typing import Any

import pytest

from bot.demo.local_slack.block_kit import attachment_problems, block_problems, view_problems

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def button(**changes: Any) -> Json:
    return {"type": "button", "text": plain("Fix"), "action_id": "fix", **changes}


def buttons(count: int) -> Json:
    return actions(*(button(action_id=f"fix-{number}") for number in range(count)))


def confirm(**changes: Any) -> Json:
    whole = {"title": plain("Sure?"), "text": mrkdwn("It restarts."), "confirm": plain("Yes"), "deny": plain("No")}
    return {**whole, **changes}


def asking(**changes: Any) -> Json:
    return actions(button(confirm=confirm(**changes)))


def modal(**changes: Any) -> Json:
    return {"type": "modal", "title": plain("Silence"), "blocks": [], **changes}


DIVIDER: Json = {"type": "divider"}

ALLOWED: dict[str, list[Json]] = {
    "50 blocks": [DIVIDER] * 50,
    "section of 3000": [{"type": "section", "text": mrkdwn("x" * 3000)}],
    "10 fields of 2000": [{"type": "section", "fields": [mrkdwn("x" * 2000)] * 10}],
    "header of 150": [{"type": "header", "text": plain("x" * 150)}],
    "10 context elements": [{"type": "context", "elements": [mrkdwn("x")] * 10}],
    "25 actions": [buttons(25)],
    "button text of 75": [actions(button(text=plain("x" * 75)))],
    "button value of 2000": [actions(button(value="x" * 2000))],
    "ids of 255": [{"type": "actions", "block_id": "b" * 255, "elements": [button(action_id="a" * 255)]}],
    "confirm title of 100": [asking(title=plain("x" * 100))],
    "confirm text of 300": [asking(text=plain("x" * 300))],
    "confirm buttons of 30": [asking(confirm=plain("x" * 30), deny=plain("x" * 30))],
    "the same action in two blocks": [actions(button()), actions(button())],
    "rich text": [
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}],
        }
    ],
}

REFUSED: dict[str, tuple[list[Json], str]] = {
    "51 blocks": ([DIVIDER] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    "section of 3001": (
        [{"type": "section", "text": mrkdwn("x" * 3001)}],
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ),
    "section of nothing": (
        [{"type": "section", "text": mrkdwn("")}],
        "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
    ),
    "section without text": ([{"type": "section"}], "missing required field: text or fields [json-pointer:/blocks/0]"),
    "11 fields": (
        [{"type": "section", "fields": [mrkdwn("x")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    "field of 2001": (
        [{"type": "section", "fields": [mrkdwn("x" * 2001)]}],
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    "header of 151": (
        [{"type": "header", "text": plain("x" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    "header in mrkdwn": (
        [{"type": "header", "text": mrkdwn("x")}],
        "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
    ),
    "11 context elements": (
        [{"type": "context", "elements": [mrkdwn("x")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "button in a context": (
        [{"type": "context", "elements": [button()]}],
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "26 actions": ([buttons(26)], "no more than 25 items allowed [json-pointer:/blocks/0/elements]"),
    "no actions": ([actions()], "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]"),
    "button text of 76": (
        [actions(button(text=plain("x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    "button text in mrkdwn": (
        [actions(button(text=mrkdwn("Fix")))],
        "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/text/type]",
    ),
    "button value of 2001": (
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    "button value that is a number": (
        [actions(button(value=1))],
        "must be a string [json-pointer:/blocks/0/elements/0/value]",
    ),
    "button in a colour of its own": (
        [actions(button(style="warning"))],
        "must be a valid enum value: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    "action_id of 256": (
        [actions(button(action_id="x" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    "the same action twice in a block": (
        [actions(button(), button())],
        "`action_id` 'fix' already exists [json-pointer:/blocks/0]",
    ),
    "the same block_id twice": (
        [{**DIVIDER, "block_id": "b"}, {**DIVIDER, "block_id": "b"}],
        "`block_id` 'b' already exists [json-pointer:/blocks]",
    ),
    "confirm title of 101": (
        [asking(title=plain("x" * 101))],
        "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]",
    ),
    "confirm text of 301": (
        [asking(text=mrkdwn("x" * 301))],
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    "confirm button of 31": (
        [asking(deny=plain("x" * 31))],
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/deny/text]",
    ),
    "a key that Slack does not know": (
        [{**DIVIDER, "color": "red"}],
        "invalid additional property: color [json-pointer:/blocks/0]",
    ),
    "emoji in mrkdwn": (
        [{"type": "section", "text": {**mrkdwn("x"), "emoji": True}}],
        "invalid additional property: emoji [json-pointer:/blocks/0/text]",
    ),
    "a block that Slack does not know": (
        [{"type": "paragraph"}],
        "unsupported type: paragraph [json-pointer:/blocks/0/type]",
    ),
    "a block without a type": ([{}], "missing required field: type [json-pointer:/blocks/0]"),
    "a block that is a string": (["hello"], "must provide an object [json-pointer:/blocks/0]"),  # type: ignore[list-item]
    "a newer block": ([{"type": "table", "rows": []}], "unsupported type: table [json-pointer:/blocks/0/type]"),
}


@pytest.mark.parametrize("blocks", ALLOWED.values(), ids=ALLOWED.keys())
def test_at_the_limit_blocks_are_allowed(blocks: list[Json]) -> None:
    assert block_problems(blocks) == []


@pytest.mark.parametrize(("blocks", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_over_the_limit_blocks_are_refused_with_the_place(blocks: list[Json], problem: str) -> None:
    assert problem in block_problems(blocks)


def test_every_problem_is_named() -> None:
    blocks = [{"type": "header", "text": plain("")}, {"type": "section"}]
    assert len(block_problems(blocks)) == 2


def test_blocks_must_be_a_list() -> None:
    assert block_problems({"type": "divider"}) == ["must be an array [json-pointer:/blocks]"]


def test_an_attachment_may_hold_a_colour_and_blocks() -> None:
    assert attachment_problems([{"color": "#d40e0d", "fallback": "down", "blocks": [DIVIDER]}]) == []


def test_an_older_attachment_may_hold_text_but_no_key_that_slack_does_not_know() -> None:
    assert attachment_problems([{"color": "danger", "text": "down", "footer": "host1"}]) == []
    assert attachment_problems([{"colour": "danger", "text": "down"}]) == ["invalid_keys"]


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (modal(title=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (
            modal(private_metadata="x" * 3001),
            "must be less than 3001 characters [json-pointer:/view/private_metadata]",
        ),
        (modal(blocks=[DIVIDER] * 101), "no more than 100 items allowed [json-pointer:/view/blocks]"),
        (
            modal(blocks=[{"type": "input", "label": plain("Why?"), "element": {"type": "plain_text_input"}}]),
            "missing required field: submit [json-pointer:/view]",
        ),
        ({"type": "home", "blocks": []}, "unsupported type: home [json-pointer:/view/type]"),
        (None, "must provide an object [json-pointer:/view]"),
    ],
)
def test_a_modal_has_its_own_limits(view: Json, problem: str) -> None:
    assert problem in view_problems(view, "modal")


def test_a_modal_at_its_limits_is_allowed() -> None:
    view = modal(title=plain("x" * 24), private_metadata="x" * 3000, blocks=[DIVIDER] * 100)
    assert view_problems(view, "modal") == []
