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

    Its text is escaped already; post it without ``link_names`` and with ``parse`` left alone.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()

    def payload(self) -> dict[str, Any]:
        """The arguments for ``chat.postMessage``, ``chat.update`` and ``response_url``.

        Both lists are always there: an update that leaves one out would keep the old one.
        """
        return {"text": self.text, "blocks": list(self.blocks), "attachments": list(self.attachments)}
