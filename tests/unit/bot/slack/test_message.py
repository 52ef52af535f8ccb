"""What is left of a message where a workspace does not take its blocks."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.demo.local_slack.block_kit import NEWER_BLOCKS, attachment_problems
from bot.slack import views
from bot.slack.message import Message
from tests.unit.bot.samples import T0, broken, healthy, incident, offer
from tests.unit.bot.slack.view_samples import blocks, buttons

SECOND = timedelta(seconds=1)
ALERT = views.alert(replace(incident(offer()), report=broken()), T0 + SECOND)
ANSWER = views.answer([broken()], {"registry": [offer()]}, T0 + SECOND)


def forms(message: Message) -> list[Message]:
    """A message and all that is left of it, the fullest first."""
    found = [message]
    while (plainer := found[-1].plainer) is not None:
        found.append(plainer)
    return found


@pytest.mark.parametrize("message", [ALERT, ANSWER], ids=["alert", "answer"])
def test_text_and_buttons_are_left_and_then_text(message: Message) -> None:
    full, plain, bare = forms(message)
    assert buttons(plain) == buttons(full), "with their dialogs, which say what would run"
    assert buttons(full)
    assert {block["type"] for block in blocks(plain)} == {"actions"}
    assert plain.blocks == (), "above blocks Slack shows no text"
    assert [card["color"] for card in plain.attachments] == [card["color"] for card in full.attachments]
    assert (bare.blocks, bare.attachments) == ((), ())


@pytest.mark.parametrize("message", [ALERT, ANSWER], ids=["alert", "answer"])
def test_the_text_says_what_is_wrong_and_where_all_of_it_is(message: Message) -> None:
    for plainer in forms(message)[1:]:
        assert "IP forwarding is off" in plainer.text
        assert "All of it: `dockerhealth check host1" in plainer.text


def test_an_old_workspace_takes_the_buttons() -> None:
    everything_new = NEWER_BLOCKS | {"header", "section", "context", "divider", "rich_text"}
    assert attachment_problems(list(ALERT.attachments), missing=everything_new)
    assert attachment_problems(list(forms(ALERT)[1].attachments), missing=everything_new) == []


def test_without_buttons_the_text_is_left() -> None:
    assert [type(form) for form in forms(views.answer([healthy()], {}, T0))] == [Message] * 2
    assert forms(views.help_text())[1:] == [Message(views.help_text().text)]


def test_text_has_no_plainer_form_and_no_form_is_there_twice() -> None:
    assert Message("Only words.").plainer is None
    for message in (ALERT, ANSWER, views.help_text()):
        assert all(one.payload() != another.payload() for one, another in pairwise(forms(message)))
