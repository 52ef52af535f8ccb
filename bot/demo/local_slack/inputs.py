"""What a person fills in and chooses, in the shapes that Slack gives the app. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.demo.local_slack.content import Json, buttons_in, options_of
from bot.demo.local_slack.errors import CannotDoError

Given = str | Sequence[str]
"""What a person gives: a text, the value or the label of an option, an id, or several of them."""

_KEYS = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "overflow": ("selected_option", None),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
"""For each element: the key of what was chosen, and that of what is chosen at first."""

_STATELESS = frozenset({"button", "overflow"})


def chosen(element: Json, given: Given) -> Json:
    """Return what the app is told when a person gives this."""
    key = _KEYS[element["type"]][0]
    several = [given] if isinstance(given, str) else list(given)
    if key == "selected_option":
        return {key: _option(element, several[0])}
    if key == "selected_options":
        return {key: [_option(element, each) for each in several]}
    if key == "selected_users":
        return {key: several}
    if key == "selected_date_time":
        return {key: int(several[0])}
    return {key: several[0]}


def _option(element: Json, wanted: str) -> Json:
    options = options_of(element)
    for option in options:
        if wanted in {option["value"], option["text"]["text"]}:
            return option
    labels = [option["text"]["text"] for option in options]
    raise CannotDoError(f"there is no option {wanted!r}, only {labels}")


def state_of(blocks: Iterable[Json], given: Mapping[str, Given]) -> dict[str, Json]:
    """Return the state of all inputs: what was given (by action_id or block_id), else what stands there at first."""
    state: dict[str, Json] = {}
    left = set(given)
    for field in buttons_in(list(blocks)):
        element = field.element
        if element["type"] in _STATELESS or element["type"] not in _KEYS:
            continue
        names = [name for name in (field.action_id, field.block_id) if name in given]
        left.difference_update(names)
        if names:
            value = chosen(element, given[names[0]])
        else:
            key, initial = _KEYS[element["type"]]
            value = {key: _initial(element, key, initial)}
        state.setdefault(field.block_id, {})[field.action_id] = {"type": element["type"], **value}
    if left:
        raise CannotDoError(f"there is no input {sorted(left)}")
    return state


def _initial(element: Json, key: str, initial: str | None) -> Any:
    empty: Any = [] if key in {"selected_options", "selected_users"} else None
    return element.get(initial, empty) if initial else empty


def left_empty(blocks: Iterable[Json], state: Mapping[str, Json]) -> dict[str, str]:
    """Return what Slack itself tells a person who submits a form with required inputs left empty or too long."""
    problems = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        value = next((v for k, v in state[block["block_id"]][element["action_id"]].items() if k != "type"), None)
        if not value:
            if not block.get("optional"):
                problems[block["block_id"]] = "Please complete this required field."
        elif isinstance(value, str) and len(value) > int(element.get("max_length", 3000)):
            problems[block["block_id"]] = f"Please enter no more than {element['max_length']} characters."
        elif isinstance(value, str) and len(value) < int(element.get("min_length", 0)):
            problems[block["block_id"]] = f"Please enter at least {element['min_length']} characters."
    return problems
