"""What a message is made of: how Slack stores it, what a person reads in it, what can be pressed. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

Json = dict[str, Any]

NAMED_COLOURS = {"good": "2eb886", "warning": "daa038", "danger": "a30200"}

INTERACTIVE = frozenset(
    {
        "button",
        "overflow",
        "static_select",
        "external_select",
        "users_select",
        "conversations_select",
        "channels_select",
        "multi_static_select",
        "multi_users_select",
        "radio_buttons",
        "checkboxes",
        "datepicker",
        "timepicker",
        "datetimepicker",
        "plain_text_input",
        "number_input",
        "email_text_input",
        "url_text_input",
    }
)


@dataclass(frozen=True)
class Confirm:
    """The dialog that Slack shows before it sends the click, word by word as the person reads it."""

    title: str
    text: str
    confirm: str
    deny: str
    style: str | None = None

    @classmethod
    def of(cls, element: Json) -> "Confirm | None":
        """Read the dialog of an element, if it has one."""
        dialog = element.get("confirm")
        if not dialog:
            return None
        return cls(
            title=dialog["title"]["text"],
            text=dialog["text"]["text"],
            confirm=dialog["confirm"]["text"],
            deny=dialog["deny"]["text"],
            style=dialog.get("style"),
        )


@dataclass(frozen=True)
class Button:
    """Something that a person can press or choose from, where it stands in its message or view."""

    action_id: str
    block_id: str
    text: str
    element: Json
    attachment_id: int | None = None

    @property
    def value(self) -> str | None:
        """Return what the app gets back; None if the app gave the button no value."""
        value = self.element.get("value")
        return None if value is None else str(value)

    @property
    def style(self) -> str | None:
        """Return "primary", "danger" or None."""
        style = self.element.get("style")
        return None if style is None else str(style)

    @property
    def url(self) -> str | None:
        """Return where a link button leads."""
        url = self.element.get("url")
        return None if url is None else str(url)

    @property
    def confirm(self) -> Confirm | None:
        """Return the dialog shown before the click is sent."""
        return Confirm.of(self.element)

    @property
    def options(self) -> list[Json]:
        """Return what can be chosen, for a menu; nothing for a button."""
        return options_of(self.element)


def options_of(element: Json) -> list[Json]:
    """Return the options of a menu, those in groups too."""
    grouped = [option for group in element.get("option_groups", ()) for option in group["options"]]
    return [*element.get("options", ()), *grouped]


def elements_of(block: Json) -> Iterator[Json]:
    """Return the elements of one block, wherever that kind of block keeps them."""
    for element in (*block.get("elements", ()), block.get("accessory"), block.get("element")):
        if isinstance(element, dict):
            yield element


def buttons_in(blocks: Sequence[Json], attachment_id: int | None = None) -> Iterator[Button]:
    """Return everything in these blocks that a person can act on."""
    for block in blocks:
        if block["type"] == "rich_text":
            continue
        for element in elements_of(block):
            if element["type"] in INTERACTIVE:
                label = element.get("text") or element.get("placeholder") or {"text": ""}
                yield Button(element["action_id"], block["block_id"], label["text"], element, attachment_id)


def as_stored(blocks: Sequence[Json], fresh_id: Callable[[], str]) -> list[Json]:
    """Return the blocks as Slack keeps them and sends them back.

    Slack gives a `block_id` and `action_id` to whatever has none, and spells out `emoji` and `verbatim`.
    """
    return [_block_as_stored(block, fresh_id) for block in blocks]


def _block_as_stored(block: Json, fresh_id: Callable[[], str]) -> Json:
    stored: Json = {"type": block["type"], "block_id": block.get("block_id") or fresh_id()}
    for key, value in block.items():
        if key not in {"type", "block_id"}:
            stored[key] = _spelled_out(value, fresh_id)
    return stored


def _spelled_out(value: Any, fresh_id: Callable[[], str]) -> Any:
    if isinstance(value, list):
        return [_spelled_out(each, fresh_id) for each in value]
    if not isinstance(value, dict):
        return value
    stored = {key: _spelled_out(each, fresh_id) for key, each in value.items()}
    if stored.get("type") == "plain_text":
        stored.setdefault("emoji", True)
    elif stored.get("type") == "mrkdwn":
        stored.setdefault("verbatim", False)
    elif stored.get("type") in INTERACTIVE and not stored.get("action_id"):
        stored["action_id"] = fresh_id()
    return stored


def attachments_as_stored(attachments: Sequence[Json], fresh_id: Callable[[], str]) -> list[Json]:
    """Return the attachments as Slack keeps them: numbered from 1, colour without its hash, with a fallback."""
    stored = []
    for number, attachment in enumerate(attachments, start=1):
        kept = {**attachment, "id": number}
        if "color" in attachment:
            colour = str(attachment["color"])
            kept["color"] = NAMED_COLOURS.get(colour, colour.lstrip("#").lower())
        if "blocks" in attachment:
            kept["blocks"] = as_stored(attachment["blocks"], fresh_id)
        kept.setdefault("fallback", attachment.get("text") or "[no preview available]")
        stored.append(kept)
    return stored


def shown_text(text: str, blocks: Sequence[Json], attachments: Sequence[Json]) -> str:
    """Return everything that a person reads, line by line.

    The text itself is shown only if there are no blocks: with blocks it is for notifications alone.
    Attachments are shown below either.
    """
    lines = list(_words(blocks)) if blocks else [text]
    for attachment in attachments:
        for key in ("pretext", "title", "text"):
            if attachment.get(key):
                lines.append(str(attachment[key]))
        lines.extend(_words(attachment.get("fields", ())))
        lines.extend(_words(attachment.get("blocks", ())))
        if attachment.get("footer"):
            lines.append(str(attachment["footer"]))
    return "\n".join(line for line in lines if line)


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"text", "title", "alt_text"} and isinstance(value, str):
                yield value
            elif key != "confirm":
                yield from _words(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _words(value)


_MARKUP = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


def plain(text: str) -> str:
    """Return what is left of mrkdwn for the eye: labels of links, entities unescaped."""
    return unescape(_MARKUP.sub(lambda found: found[2] or found[1], text))
