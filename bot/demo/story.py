"""The story of ``dockerhealth demo --auto``: everything goes through Slack, and every step must be seen."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.demo import excerpt
from bot.demo.hosts import Fault
from bot.demo.local_slack import CannotDoError, ClickResult, Message, NeverHappenedError, User
from bot.demo.teller import Teller
from bot.demo.world import World
from bot.slack.views.blocks import Colour
from checks.causes.cause import Cause
from checks.causes.docker_rules import DOCKER_CHAINS_MISSING
from checks.causes.forwarding import IP_FORWARD_OFF
from checks.collect.reach import reach
from checks.model import FixId, Service

PATIENCE = 30.0
"""Seconds that each step has to be seen. It takes one or two, but for a machine that is busy with other things."""

T = TypeVar("T")


_SUSPECTS_SHOWN = 6


class NotSeenError(Exception):
    """A step of the story was not seen; ``instead`` says what was there."""

    def __init__(self, step: str, instead: str) -> None:
        super().__init__(f"not seen: {step}")
        self.step = step
        self.instead = instead


@dataclass(frozen=True)
class Episode:
    """One host that breaks: how, what must be found as its cause, and which fix is approved."""

    host: str
    fault: Fault
    cause: Cause
    value: str  # that must be in the proof
    fix: FixId


FORWARDING = Episode("host1", Fault.FORWARDING_OFF, IP_FORWARD_OFF, "net.ipv4.ip_forward = 0", FixId.ENABLE_IP_FORWARD)
CHAINS = Episode(
    "host2", Fault.CHAINS_GONE, DOCKER_CHAINS_MISSING, "nothing of Docker's chains is left", FixId.RESTART_DOCKER
)


class Story:
    def __init__(self, world: World, teller: Teller) -> None:
        self._world = world
        self._slack = world.slack
        self._teller = teller

    async def play(self) -> None:
        """Play it to the end. Raises NotSeenError."""
        channel = self._world.channel.name
        self._teller.chapter("All is well")
        self._teller.tells(f"In #{channel}: Dana, a developer; Olga, who is on call and may approve fixes; Nick.")
        await self._see("the bot connects to Slack", self._until(lambda: self._slack.connected > 0))
        await self._ask_and_see_healthy(FORWARDING.host)
        self._teller.chapter(f"{FORWARDING.host}: forwarding is switched off")
        alert = await self._break_and_see_the_alert(FORWARDING)
        await self._see_a_newcomer_refused(FORWARDING, alert)
        await self._approve_and_see_it_mended(FORWARDING, alert)
        await self._ask_and_see_healthy(FORWARDING.host)
        self._teller.chapter(f"{CHAINS.host}: firewalld wipes Docker's chains")
        alert = await self._break_and_see_the_alert(CHAINS)
        await self._approve_and_see_it_mended(CHAINS, alert)
        await self._ask_and_see_healthy(CHAINS.host)
        if len(self._slack.messages(self._world.channel)) != len((FORWARDING, CHAINS)):
            raise NotSeenError("one message in the channel for each fault, and no other", self._what_there_is())

    # --- the scenes -----------------------------------------------------------------------------------------

    async def _ask_and_see_healthy(self, host: str) -> None:
        developer, teller = self._world.developer, self._teller
        before = self._slack.ephemerals(developer)
        teller.tells(f"{_name(developer)} types: /dockerhealth {host}", "cyan")
        asked = self._slack.command(developer, self._world.channel, "/dockerhealth", host)
        result = await self._see(f"Slack takes /dockerhealth {host}", asked)
        if not result.acked:
            raise NotSeenError(f"the bot acknowledges /dockerhealth {host}", str(result.error))
        answer = await self._see(
            f"an answer that {host} is healthy",
            self._slack.wait_for_ephemeral(
                developer, lambda message: message not in before and _well(message, host), PATIENCE
            ),
        )
        teller.tells("dockerhealth answers, to her alone:", "green")
        teller.shows(self._lines(answer))

    async def _break_and_see_the_alert(self, episode: Episode) -> Message:
        teller, name = self._teller, episode.host
        began = teller.elapsed
        await self._world.hosts[name].break_by(episode.fault)
        teller.tells(f"On {name} {episode.fault.says}.", "yellow")
        await self._see_from_outside(name, answers=False)
        alert = await self._see(
            f"an alert for {name} with its cause ({episode.cause.id}), proof and the button {episode.fix}",
            self._slack.wait_for_message(self._world.channel, lambda message: _diagnosed(message, episode), PATIENCE),
        )
        teller.tells(f"In #{self._world.channel.name}, {teller.elapsed - began:.1f} s after the fault:", "red")
        teller.shows([excerpt.headline(alert)], "bold red")
        teller.shows(f"• {line}" for line in excerpt.proof(alert))
        teller.shows([_ruled_out(alert)], "dim")
        teller.shows([excerpt.buttons(alert)], "bold")
        return alert

    async def _see_a_newcomer_refused(self, episode: Episode, alert: Message) -> None:
        newcomer = self._world.newcomer
        self._teller.tells(f'{_name(newcomer)} presses "{_label(alert, episode.fix)}".', "cyan")
        await self._see("Slack takes the newcomer's click", self._press(newcomer, alert, episode.fix))
        refusal = await self._see(
            "the newcomer's click is refused",
            self._slack.wait_for_ephemeral(newcomer, "You may not approve this fix. Nothing was run.", PATIENCE),
        )
        self._teller.tells(f"dockerhealth answers, to him alone: {' '.join(self._lines(refusal))}", "red")
        if self._world.hosts[episode.host].ran:
            raise NotSeenError("nothing runs on the host after a refused click", self._what_there_is())

    async def _approve_and_see_it_mended(self, episode: Episode, alert: Message) -> None:
        on_call, teller = self._world.on_call, self._teller
        teller.tells(f'{_name(on_call)} presses "{_label(alert, episode.fix)}", and is asked:', "cyan")
        began, revisions = teller.elapsed, len(alert.revisions)
        click = await self._see("Slack takes the approver's click", self._press(on_call, alert, episode.fix))
        if click.confirm is None:
            raise NotSeenError("a dialog asks before anything runs", "the button has none")
        teller.shows([click.confirm.title, *click.confirm.text.splitlines()], "italic")
        teller.shows([f"[{click.confirm.deny}] [{click.confirm.confirm}]"], "bold")
        teller.tells(f'She chooses "{click.confirm.confirm}".', "cyan")
        await self._see("the approval is confirmed", self._slack.wait_for_ephemeral(on_call, "Approved.", PATIENCE))
        await self._see(f"progress of {episode.fix}", self._follow(alert, revisions))
        if alert.colour != Colour.GREEN or "Verified" not in alert.plain:
            raise NotSeenError(f"{episode.host} is fixed and verified, its message green", self._what_there_is(alert))
        teller.tells(f"The message turns green, {teller.elapsed - began:.1f} s after the click:", "green")
        teller.shows(_up_to(self._lines(alert), "It was:"))
        await self._see_from_outside(episode.host, answers=True)

    async def _follow(self, alert: Message, since: int) -> None:
        """Tell of each step as the message does, until it says how the fix ended. At least one must be told of.

        ``since`` is the number of revisions that the message had before the click.
        """
        told: list[str] = []

        def said() -> list[str]:
            steps = (excerpt.progress(revision) for revision in alert.revisions[since:])
            return [step for step in dict.fromkeys(steps) if step and step not in told]

        def ended() -> bool:
            return len(alert.revisions) > since and alert.colour != Colour.AMBER and "approved by" in alert.shown

        while not ended() or said():
            for step in said():
                told.append(step)
                self._teller.tells(f"The message says: {step}", "yellow")
            await self._until(lambda: ended() or bool(said()))
        if not told:
            raise NeverHappenedError("the message never said what was being done")

    async def _see_from_outside(self, host: str, *, answers: bool) -> None:
        """Reach the registry as any client would, without the bot."""
        service = Service("registry", self._world.hosts[host].url)
        reading = await reach(service, lambda: datetime.now(UTC))
        self._teller.tells(
            f"A client that asks for {service.url}: {reading.says}.", "green" if reading.ok else "yellow"
        )
        if reading.ok is not answers:
            raise NotSeenError(f"{host} {'answers again' if answers else 'stops answering'}", reading.says)

    # --- seeing ---------------------------------------------------------------------------------------------

    async def _see(self, step: str, seen: Coroutine[Any, Any, T]) -> T:
        """Wait for what must be seen, as long as the bot lives."""
        looking = asyncio.create_task(seen)
        await asyncio.wait({looking, self._world.bot}, return_when=asyncio.FIRST_COMPLETED)
        if not looking.done():
            looking.cancel()
            raise NotSeenError(step, f"the bot ended: {self._world.bot.exception()!r}")
        try:
            return looking.result()
        except (NeverHappenedError, CannotDoError) as error:
            raise NotSeenError(step, f"{str(error).splitlines()[0]}\n{self._what_there_is()}") from error

    def _until(self, true: Callable[[], bool]) -> Coroutine[Any, Any, None]:
        return self._slack.wait_until(true, PATIENCE)

    def _press(self, who: User, alert: Message, fix: FixId) -> Coroutine[Any, Any, ClickResult]:
        return self._slack.click(who, alert, f"approve:{fix}")

    def _lines(self, message: Message) -> list[str]:
        """All that a message says, with names for the ids of people and groups, as Slack shows them."""
        group, on_call = self._slack.group("oncall"), self._world.on_call
        names = {f"!subteam^{group.id}": f"@{group.handle}", f"@{on_call.id}": f"@{on_call.name}"}
        return [excerpt.named(line, names) for line in excerpt.whole(message)]

    def _what_there_is(self, message: Message | None = None) -> str:
        """What stands in the channel instead of what was expected, and what the hosts were told to do."""
        messages = self._slack.messages(self._world.channel)
        shown = message or (messages[-1] if messages else None)
        lines = self._lines(shown) if shown else ["nothing was said in the channel"]
        ran = [f"{name} was sent: {line}" for name, host in self._world.hosts.items() for line in host.ran]
        return "\n".join([*lines, *ran])


def _name(user: User) -> str:
    return user.name.title()


def _up_to(lines: list[str], start: str) -> list[str]:
    """The lines up to the first one that starts so; all of them if none does."""
    last = next((number for number, line in enumerate(lines) if line.startswith(start)), len(lines))
    return lines[: last + 1]


def _label(alert: Message, fix: FixId) -> str:
    return next((button.text for button in alert.buttons if button.action_id == f"approve:{fix}"), fix)


def _well(answer: Message, host: str) -> bool:
    return excerpt.headline(answer).startswith("🟢") and host in excerpt.headline(answer)


def _diagnosed(message: Message, episode: Episode) -> bool:
    head = excerpt.headline(message)
    offered = any(button.action_id == f"approve:{episode.fix}" for button in message.buttons)
    proven = any(episode.value in line for line in excerpt.proof(message))
    return episode.host in head and episode.cause.title in head and proven and offered and message.colour == Colour.RED


def _ruled_out(alert: Message) -> str:
    """The first suspects of the alert, and how many more there are."""
    suspects = excerpt.ruled_out(alert)
    rest = len(suspects) - _SUSPECTS_SHOWN
    return f"Ruled out: {'; '.join(suspects[:_SUSPECTS_SHOWN])}" + (f"; and {rest} reasons more" if rest > 0 else "")
