"""What Slack accepts in blocks, attachments and views, and how it words what it refuses. Pure.

A rule takes a value and its JSON pointer and yields every problem, in Slack's words:
`must be less than 3001 characters [json-pointer:/blocks/0/text/text]`. The limits are those of the
Block Kit reference (docs.slack.dev/reference/block-kit).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.demo.local_slack.content import Json, elements_of

Rule = Callable[[Any, str], Iterator[str]]

MOST_BLOCKS_IN_MESSAGE = 50
MOST_BLOCKS_IN_VIEW = 100
MOST_ATTACHMENTS = 100
MOST_CHARACTERS_IN_MESSAGE = 13_200
MOST_BYTES_IN_VIEW = 250_000

NEWER_BLOCKS = frozenset({"markdown", "table", "data_table", "data_visualization", "card", "carousel", "alert"})
"""Rolled out workspace by workspace: missing unless the local Slack was told that this one has them."""


def _at(problem: str, pointer: str) -> str:
    return f"{problem} [json-pointer:{pointer}]"


# --- rules for plain values ---------------------------------------------------------------------------------


def string(most: int, least: int = 1) -> Rule:
    """Accept a string of so many characters."""

    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield _at("must be a string", at)
        elif len(value) < least:
            yield _at(f"must be more than {least - 1} characters", at)
        elif len(value) > most:
            yield _at(f"must be less than {most + 1} characters", at)

    return rule


def boolean(value: Any, at: str) -> Iterator[str]:
    """Accept true and false."""
    if not isinstance(value, bool):
        yield _at("must be a boolean", at)


def integer(value: Any, at: str) -> Iterator[str]:
    """Accept a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        yield _at("must be an integer", at)


def anything(_value: Any, _at_pointer: str) -> Iterator[str]:
    """Accept whatever stands there: parts that this project does not use are not looked into."""
    return iter(())


def one_of(*allowed: str) -> Rule:
    """Accept one of these words."""

    def rule(value: Any, at: str) -> Iterator[str]:
        if value not in allowed:
            yield _at(f"must be a valid enum value: {', '.join(allowed)}", at)

    return rule


# --- rules for what is made of others -----------------------------------------------------------------------


def listed(item: Rule, most: int, least: int = 1) -> Rule:
    """Accept a list of so many items that each pass."""

    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield _at("must be an array", at)
            return
        if len(value) > most:
            yield _at(f"no more than {most} items allowed", at)
        if len(value) < least:
            yield _at(f"no fewer than {least} items allowed", at)
        for index, each in enumerate(value):
            yield from item(each, f"{at}/{index}")

    return rule


def shape(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """Accept an object with these keys and no others; `type` was looked at by whoever chose this rule."""
    known = {"type": anything, **required, **(optional or {})}

    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _at("must provide an object", at)
            return
        for key in required:
            if key not in value:
                yield _at(f"missing required field: {key}", at)
        for key, each in value.items():
            if key in known:
                yield from known[key](each, f"{at}/{key}")
            else:
                yield _at(f"invalid additional property: {key}", at)

    return rule


def typed(rules: Mapping[str, Rule]) -> Rule:
    """Accept an object whose `type` is known here, by the rule of that type."""

    def rule(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _at("must provide an object", at)
        elif "type" not in value:
            yield _at("missing required field: type", at)
        elif value["type"] not in rules:
            yield _at(f"unsupported type: {value['type']}", f"{at}/type")
        else:
            yield from rules[value["type"]](value, at)

    return rule


def either(*keys: str, then: Rule) -> Rule:
    """Accept what passes and has at least one of these keys."""

    def rule(value: Any, at: str) -> Iterator[str]:
        yield from then(value, at)
        if isinstance(value, dict) and not any(value.get(key) for key in keys):
            yield _at(f"missing required field: {' or '.join(keys)}", at)

    return rule


# --- text ---------------------------------------------------------------------------------------------------


def plain_text(most: int) -> Rule:
    """Accept a `plain_text` object only."""
    return typed({"plain_text": shape({"text": string(most)}, {"emoji": boolean})})


def any_text(most: int) -> Rule:
    """Accept `plain_text` or `mrkdwn`. Slack tells first that no schema matched, then what is wrong."""
    inner = typed(
        {
            "plain_text": shape({"text": string(most)}, {"emoji": boolean}),
            "mrkdwn": shape({"text": string(most)}, {"verbatim": boolean}),
        }
    )

    def rule(value: Any, at: str) -> Iterator[str]:
        problems = list(inner(value, at))
        if problems:
            yield _at("failed to match all allowed schemas", at)
            yield from problems

    return rule


# --- elements -----------------------------------------------------------------------------------------------

_ID = string(255)
_STYLE = one_of("primary", "danger")
_CONFIRM = shape(
    {"title": plain_text(100), "text": any_text(300), "confirm": plain_text(30), "deny": plain_text(30)},
    {"style": _STYLE},
)
_ACTION: Mapping[str, Rule] = {"action_id": _ID, "confirm": _CONFIRM, "focus_on_load": boolean}
_PLACEHOLDER: Mapping[str, Rule] = {"placeholder": plain_text(150)}
_OPTION = shape({"text": plain_text(75), "value": string(150)}, {"description": plain_text(75), "url": string(3000)})
_RICH_OPTION = shape({"text": any_text(75), "value": string(150)}, {"description": any_text(75)})
_GROUP = shape({"label": plain_text(75), "options": listed(_OPTION, 100)})
_OPTIONS: Mapping[str, Rule] = {"options": listed(_OPTION, 100), "option_groups": listed(_GROUP, 100)}


def _select(extra: Mapping[str, Rule]) -> Rule:
    return shape({}, {**_ACTION, **_PLACEHOLDER, **extra})


_BUTTON = shape(
    {"text": plain_text(75)},
    {
        "action_id": _ID,
        "confirm": _CONFIRM,
        "value": string(2000, least=0),
        "url": string(3000),
        "style": _STYLE,
        "accessibility_label": string(75),
    },
)
_IMAGE = either(
    "image_url",
    "slack_file",
    then=shape({"alt_text": string(2000, least=0)}, {"image_url": string(3000), "slack_file": anything}),
)
_STATIC_SELECT = either("options", "option_groups", then=_select({**_OPTIONS, "initial_option": _OPTION}))
_PICKERS: Mapping[str, Rule] = {
    "static_select": _STATIC_SELECT,
    "external_select": _select({"initial_option": _OPTION, "min_query_length": integer}),
    "users_select": _select({"initial_user": string(255)}),
    "channels_select": _select({"initial_channel": string(255), "response_url_enabled": boolean}),
    "conversations_select": _select(
        {
            "initial_conversation": string(255),
            "default_to_current_conversation": boolean,
            "response_url_enabled": boolean,
            "filter": anything,
        }
    ),
    "radio_buttons": shape({"options": listed(_RICH_OPTION, 10)}, {**_ACTION, "initial_option": _RICH_OPTION}),
    "checkboxes": shape(
        {"options": listed(_RICH_OPTION, 10)}, {**_ACTION, "initial_options": listed(_RICH_OPTION, 10)}
    ),
    "datepicker": _select({"initial_date": string(10)}),
    "timepicker": _select({"initial_time": string(5), "timezone": string(255)}),
    "datetimepicker": shape({}, {**_ACTION, "initial_date_time": integer}),
}
_MULTI_PICKERS: Mapping[str, Rule] = {
    "multi_static_select": either(
        "options",
        "option_groups",
        then=_select({**_OPTIONS, "initial_options": listed(_OPTION, 100), "max_selected_items": integer}),
    ),
    "multi_users_select": _select({"initial_users": listed(string(255), 100), "max_selected_items": integer}),
}
_WRITING: Mapping[str, Rule] = {**_PLACEHOLDER, "action_id": _ID, "focus_on_load": boolean}
_TEXT_INPUT = shape(
    {},
    {
        **_WRITING,
        "initial_value": string(3000, least=0),
        "multiline": boolean,
        "min_length": integer,
        "max_length": integer,
        "dispatch_action_config": anything,
    },
)
_INPUTS: Mapping[str, Rule] = {
    **_PICKERS,
    **_MULTI_PICKERS,
    "plain_text_input": _TEXT_INPUT,
    "email_text_input": shape({}, {**_WRITING, "initial_value": string(3000), "dispatch_action_config": anything}),
    "url_text_input": shape({}, {**_WRITING, "initial_value": string(3000), "dispatch_action_config": anything}),
    "number_input": shape(
        {"is_decimal_allowed": boolean},
        {
            **_WRITING,
            "initial_value": string(3000),
            "min_value": string(255),
            "max_value": string(255),
            "dispatch_action_config": anything,
        },
    ),
}
_OVERFLOW = shape({"options": listed(_OPTION, 5)}, {"action_id": _ID, "confirm": _CONFIRM})
_IN_ACTIONS = typed({"button": _BUTTON, "overflow": _OVERFLOW, **_PICKERS})
_AS_ACCESSORY = typed({"button": _BUTTON, "overflow": _OVERFLOW, "image": _IMAGE, **_PICKERS, **_MULTI_PICKERS})


def _in_context(value: Any, at: str) -> Iterator[str]:
    """Accept an image or a text: the only two things that a context line holds."""
    if isinstance(value, dict) and value.get("type") == "image":
        yield from _IMAGE(value, at)
    else:
        yield from any_text(2000)(value, at)


# --- blocks -------------------------------------------------------------------------------------------------

_RICH_TEXT_PARTS = typed(
    {
        kind: shape({"elements": listed(anything, 1000, least=0)}, dict.fromkeys(extra, anything))
        for kind, extra in (
            ("rich_text_section", ()),
            ("rich_text_preformatted", ("border", "language")),
            ("rich_text_quote", ("border",)),
            ("rich_text_list", ("style", "indent", "offset", "border")),
        )
    }
)


def _block(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    return shape(required, {"block_id": _ID, **(optional or {})})


_BLOCKS: Mapping[str, Rule] = {
    "section": either(
        "text",
        "fields",
        then=_block(
            {},
            {
                "text": any_text(3000),
                "fields": listed(any_text(2000), 10),
                "accessory": _AS_ACCESSORY,
                "expand": boolean,
            },
        ),
    ),
    "header": _block({"text": plain_text(150)}),
    "divider": _block({}),
    "context": _block({"elements": listed(_in_context, 10)}),
    "actions": _block({"elements": listed(_IN_ACTIONS, 25)}),
    "image": either(
        "image_url",
        "slack_file",
        then=_block(
            {"alt_text": string(2000)},
            {"image_url": string(3000), "slack_file": anything, "title": plain_text(2000)},
        ),
    ),
    "input": _block(
        {"label": plain_text(2000), "element": typed(_INPUTS)},
        {"hint": plain_text(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": _block({"elements": listed(_RICH_TEXT_PARTS, 100)}),
}


def _one_block(value: Any, at: str, missing: frozenset[str]) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in missing:
        yield _at(f"unsupported type: {kind}", f"{at}/type")
    elif kind == "markdown":
        yield from _block({"text": string(12_000)})(value, at)
    elif kind not in NEWER_BLOCKS:
        yield from typed(_BLOCKS)(value, at)


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]


def _unique_ids(blocks: Sequence[Any], at: str) -> Iterator[str]:
    """A `block_id` is unique in its message, an `action_id` in its block."""
    known = [block for block in blocks if isinstance(block, dict)]
    for block_id in _repeated([str(block["block_id"]) for block in known if "block_id" in block]):
        yield _at(f"`block_id` {block_id!r} already exists", at)
    for index, block in enumerate(known):
        elements = [each for each in elements_of(block) if "action_id" in each]
        for action_id in _repeated([str(each["action_id"]) for each in elements]):
            yield _at(f"`action_id` {action_id!r} already exists", f"{at}/{index}")


def block_problems(
    blocks: Any, at: str = "/blocks", *, most: int = MOST_BLOCKS_IN_MESSAGE, missing: frozenset[str] = NEWER_BLOCKS
) -> list[str]:
    """Return everything that Slack would refuse in these blocks, in a workspace where those kinds are missing."""

    def item(value: Any, pointer: str) -> Iterator[str]:
        return _one_block(value, pointer, missing)

    problems = list(listed(item, most, least=0)(blocks, at))
    if isinstance(blocks, list):
        problems.extend(_unique_ids(blocks, at))
    return problems


# --- attachments --------------------------------------------------------------------------------------------

_WITH_BLOCKS = frozenset({"color", "blocks", "fallback"})
_WITHOUT_BLOCKS = frozenset(
    {
        "actions",
        "author_icon",
        "author_link",
        "author_name",
        "callback_id",
        "color",
        "fallback",
        "fields",
        "footer",
        "footer_icon",
        "image_url",
        "mrkdwn_in",
        "pretext",
        "text",
        "thumb_url",
        "title",
        "title_link",
        "ts",
    }
)


def attachment_problems(attachments: Any, *, missing: frozenset[str] = NEWER_BLOCKS) -> list[str]:
    """Return everything that Slack would refuse in these attachments.

    An attachment that has blocks may have a colour and a fallback beside them: Slack refuses each of the older
    keys there with `invalid_keys`.
    """
    if not isinstance(attachments, list):
        return [_at("must be an array", "/attachments")]
    problems = []
    for index, attachment in enumerate(attachments):
        at = f"/attachments/{index}"
        if not isinstance(attachment, dict):
            problems.append(_at("must provide an object", at))
            continue
        if set(attachment) - (_WITH_BLOCKS if "blocks" in attachment else _WITHOUT_BLOCKS):
            problems.append("invalid_keys")
        if "blocks" in attachment:
            problems.extend(block_problems(attachment["blocks"], f"{at}/blocks", missing=missing))
    return problems


def characters_in(node: Any) -> int:
    """Return how many characters of text blocks hold, over all: Slack bounds the sum as well as each part."""
    if isinstance(node, dict):
        return sum(
            len(value) if key == "text" and isinstance(value, str) else characters_in(value)
            for key, value in node.items()
        )
    if isinstance(node, list):
        return sum(characters_in(value) for value in node)
    return 0


# --- views --------------------------------------------------------------------------------------------------

_VIEW_KEYS: Mapping[str, Rule] = {
    "private_metadata": string(3000, least=0),
    "callback_id": string(255, least=0),
    "external_id": string(255, least=0),
}
_MODAL = shape(
    {"title": plain_text(24), "blocks": anything},
    {
        **_VIEW_KEYS,
        "submit": plain_text(24),
        "close": plain_text(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
_HOME = shape({"blocks": anything}, _VIEW_KEYS)


def view_problems(view: Any, kind: str, *, missing: frozenset[str] = NEWER_BLOCKS) -> list[str]:
    """Return everything that Slack would refuse in a view of that kind, `modal` or `home`."""
    problems = list(typed({kind: _MODAL if kind == "modal" else _HOME})(view, "/view"))
    if not isinstance(view, dict):
        return problems
    blocks = view.get("blocks", [])
    problems.extend(block_problems(blocks, "/view/blocks", most=MOST_BLOCKS_IN_VIEW, missing=missing))
    inputs = [block for block in blocks if isinstance(block, dict) and block.get("type") == "input"]
    if kind == "modal" and inputs and "submit" not in view:
        problems.append(_at("missing required field: submit", "/view"))
    return problems


def view_too_large(view: Json) -> bool:
    """Tell whether a view is over Slack's 250 kB."""
    return len(json.dumps(view).encode()) > MOST_BYTES_IN_VIEW
