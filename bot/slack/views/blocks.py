"""Block Kit elements within their limits, and how a message that is too long gets shorter."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.slack.message import (
    ACTION_ELEMENTS,
    ACTION_ID,
    BLOCKS,
    BUTTON_TEXT,
    BUTTON_VALUE,
    CHARACTERS,
    CONFIRM_BUTTON,
    CONFIRM_TEXT,
    CONFIRM_TITLE,
    FALLBACK,
    HEADER,
    SECTION,
    Block,
    Message,
)
from bot.slack.views.markup import cut, prose
from bot.text import plain

ALWAYS = 0  # the rank of a part that is never left out
MUST_BE_SEEN = 1  # the rank of what an approval rests on


class Colour(StrEnum):
    RED = "#d92d20"
    AMBER = "#e8912d"
    GREEN = "#2eb67d"
    GREY = "#8d8d8d"


@dataclass(frozen=True)
class Part:
    """Some blocks that stay or go together. The highest rank goes first when a message is too long."""

    name: str
    rank: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Card:
    """A coloured attachment."""

    colour: Colour
    parts: tuple[Part, ...]

    @property
    def blocks(self) -> list[Block]:
        return [block for part in self.parts for block in part.blocks]


def _mrkdwn(text: str) -> Block:
    # verbatim: otherwise Slack makes links and mentions of plain words
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": cut(text, limit), "emoji": False}


def header(text: str) -> Block:
    return {"type": "header", "text": _plain(plain(text), HEADER)}


def context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def sections(lines: Iterable[str], *, expand: bool = False) -> tuple[Block, ...]:
    """Lines of mrkdwn in as few sections as hold them. Each line fits into one by itself.

    Slack folds long sections; ``expand`` keeps open what a person must have seen before they approve.
    """
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= SECTION:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return tuple({"type": "section", "text": _mrkdwn(text), "expand": expand} for text in texts if text)


def actions(buttons: Sequence[Block]) -> tuple[Block, ...]:
    return ({"type": "actions", "elements": list(buttons[:ACTION_ELEMENTS])},) if buttons else ()


def button(text: str, action: str, value: str, *, style: str | None = None, confirm: Block | None = None) -> Block:
    made: dict[str, Any] = {
        "type": "button",
        "text": _plain(plain(text) or action, BUTTON_TEXT),
        "action_id": action[:ACTION_ID],
        "value": value[:BUTTON_VALUE],
    }
    return made | {key: option for key, option in (("style", style), ("confirm", confirm)) if option}


def confirm(title: str, text: str, yes: str, style: str) -> Block:
    return {
        "title": _plain(plain(title), CONFIRM_TITLE),
        "text": _plain(text, CONFIRM_TEXT),
        "confirm": _plain(yes, CONFIRM_BUTTON),
        "deny": _plain("Cancel", CONFIRM_BUTTON),
        "style": style,
    }


def part(name: str, rank: int, lines: Iterable[str]) -> Part:
    return Part(name, rank, sections(lines, expand=rank <= MUST_BE_SEEN))


def message(text: str, top: Sequence[Block], cards: Sequence[Card], more: str) -> Message:
    """A message within Slack's limits. ``more`` says where to see what had to be left out."""
    shown, left_out = _fit(top, cards, more)
    blocks = (*top, *_left_out(left_out, more))
    attachments = tuple({"color": card.colour.value, "blocks": card.blocks} for card in shown if card.blocks)
    return Message(prose(text, FALLBACK), blocks, attachments, more)


def _fit(top: Sequence[Block], cards: Sequence[Card], more: str) -> tuple[list[Card], list[str]]:
    shown = list(cards)
    left_out: list[str] = []
    while _too_long([*top, *_left_out(left_out, more), *(block for card in shown for block in card.blocks)]):
        last = max(
            ((part.rank, number, place) for number, card in enumerate(shown) for place, part in enumerate(card.parts)),
            default=(ALWAYS, 0, 0),
        )
        if last[0] == ALWAYS:
            break
        _, number, place = last
        parts = list(shown[number].parts)
        left_out.append(parts.pop(place).name)
        shown[number] = replace(shown[number], parts=tuple(parts))
    return shown, left_out


def _left_out(names: Sequence[str], more: str) -> tuple[Block, ...]:
    if not names:
        return ()
    return (context(f"Left out to fit: {prose(', '.join(dict.fromkeys(names)), 500)}. {more}"),)


def _too_long(blocks: Sequence[Block]) -> bool:
    return len(blocks) > BLOCKS or len(json.dumps(blocks, ensure_ascii=False)) > CHARACTERS
