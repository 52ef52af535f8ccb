"""A message for Slack, and what Slack lets one hold."""

from dataclasses import dataclass
from typing import Any, Final

Block = dict[str, Any]

BLOCKS: Final = 50
SECTION: Final = 3000
HEADER: Final = 150
ACTION_ELEMENTS: Final = 25
BUTTON_TEXT: Final = 75
BUTTON_VALUE: Final = 2000
ACTION_ID: Final = 255
CONFIRM_TITLE: Final = 100
CONFIRM_TEXT: Final = 300
CONFIRM_BUTTON: Final = 30
CHARACTERS: Final = 13_000  # of all blocks as JSON; Slack refuses from about 13,200 on
FALLBACK: Final = 1000  # a notification shows far less; Slack would take 40,000


@dataclass(frozen=True)
class Message:
    """What is posted. ``text`` is a full sentence: notifications and screen readers have nothing else.

    Its text is escaped already; post it without ``link_names`` and with ``parse`` left alone. ``more`` says where to
    see what a plainer form leaves out.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    more: str = ""

    @property
    def plainer(self) -> "Message | None":
        """What is left where a workspace does not take its blocks: text and buttons, then text; None if it is text.

        Buttons stand in blocks of the oldest kind, and each says in its dialog what it would run. They go into
        attachments: above those Slack shows the text, above blocks it does not.
        """
        if not self.blocks and not self.attachments:
            return None
        text = f"{self.text} {self.more}".strip()
        cards = tuple(card for each in ({"blocks": self.blocks}, *self.attachments) if (card := _buttons(each)))
        plain = Message(text, attachments=cards)
        return plain if plain != self else Message(text)

    def payload(self) -> dict[str, Any]:
        """The arguments for ``chat.postMessage``, ``chat.update`` and ``response_url``.

        Both lists are always there: an update that leaves one out would keep the old one.
        """
        return {"text": self.text, "blocks": list(self.blocks), "attachments": list(self.attachments)}


def _buttons(card: dict[str, Any]) -> dict[str, Any] | None:
    """An attachment with nothing but its buttons; None if it has none."""
    kept = [block for block in card.get("blocks", ()) if block["type"] == "actions"]
    return card | {"blocks": kept} if kept else None
