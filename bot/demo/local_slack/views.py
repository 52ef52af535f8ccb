"""The `views.*` methods: modals before one person, and home tabs."""

from typing import Any

from bot.demo.local_slack.block_kit import view_problems, view_too_large
from bot.demo.local_slack.content import Json, as_stored
from bot.demo.local_slack.core import Core
from bot.demo.local_slack.errors import SlackError
from bot.demo.local_slack.payloads import view_object
from bot.demo.local_slack.state import View
from bot.demo.local_slack.tickets import Trigger
from bot.demo.local_slack.web_api import Call, Method

MOST_VIEWS_IN_STACK = 3


def checked_view(core: Core, body: Any, kind: str) -> Json:
    """Check a view and return it as it will be stored. All problems are named, as `invalid_arguments`."""
    if problems := view_problems(body, kind, missing=core.missing_blocks):
        raise SlackError.of_problems("invalid_arguments", problems)
    if view_too_large(body):
        raise SlackError("view_too_large")
    return {**body, "blocks": as_stored(body["blocks"], core.fresh_id)}


def show_modal(core: Core, user: str, body: Any, *, on_top: bool) -> View:
    """Put a modal before a person, alone or on top of those that are open."""
    stored = checked_view(core, body, "modal")
    stack = core.workspace.modals.setdefault(user, [])
    if on_top and len(stack) >= MOST_VIEWS_IN_STACK:
        raise SlackError("push_limit_reached")
    if not on_top:
        stack.clear()
    view_id = core.workspace.fresh_id("V")
    view = View(
        id=view_id,
        user=user,
        body=stored,
        hash=core.workspace.fresh_ts(),
        root=stack[0].id if stack else view_id,
        previous=stack[-1].id if stack else None,
    )
    stack.append(view)
    core.changes.announce()
    return view


def change_view(core: Core, view: View, body: Any) -> View:
    """Let an open view show something else; its hash changes with it."""
    view.body = checked_view(core, body, view.body["type"])
    view.hash = core.workspace.fresh_ts()
    core.changes.announce()
    return view


def _trigger(call: Call) -> Trigger:
    return call.core.triggers.exchange(call.text("trigger_id"), call.core.now)


def _answer(call: Call, view: View) -> Json:
    return {"view": view_object(call.core.identity, view)}


def _open(call: Call) -> Json:
    """Open a modal, if the trigger id is fresh: it is used up even if the view is then refused."""
    return _answer(call, show_modal(call.core, _trigger(call).user, call.get("view"), on_top=False))


def _push(call: Call) -> Json:
    """Open a modal on top. The trigger must come from within one."""
    trigger = _trigger(call)
    if trigger.view is None or not call.core.workspace.modals.get(trigger.user):
        raise SlackError("invalid_trigger_id")
    return _answer(call, show_modal(call.core, trigger.user, call.get("view"), on_top=True))


def _update(call: Call) -> Json:
    if call.get("view_id") is None and call.get("external_id") is None:
        raise SlackError.of_problems("invalid_arguments", ["missing required field: view_id"])
    view = call.core.workspace.view(call.get("view_id"), call.get("external_id"))
    if view is None:
        raise SlackError("not_found")
    if call.get("hash") not in {None, view.hash}:
        raise SlackError("hash_conflict")
    return _answer(call, change_view(call.core, view, call.get("view")))


def _publish(call: Call) -> Json:
    user = call.text("user_id")
    if user not in call.core.workspace.users:
        raise SlackError("user_not_found")
    shown = call.core.workspace.homes.get(user)
    if shown is not None:
        if call.get("hash") not in {None, shown.hash}:
            raise SlackError("hash_conflict")
        return _answer(call, change_view(call.core, shown, call.get("view")))
    body = checked_view(call.core, call.get("view"), "home")
    view_id = call.core.workspace.fresh_id("V")
    view = View(id=view_id, user=user, body=body, hash=call.core.workspace.fresh_ts(), root=view_id)
    call.core.workspace.homes[user] = view
    call.core.changes.announce()
    return _answer(call, view)


METHODS = (
    Method("views.open", _open),
    Method("views.push", _push),
    Method("views.update", _update),
    Method("views.publish", _publish),
)
