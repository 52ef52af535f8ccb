"""A new configuration for a bot that runs: all of it is taken, or none, and whoever asked for it is told."""

import asyncio
from collections.abc import Callable

import structlog

from bot.config import ConfigError, Settings
from bot.fallback import UnknownWayError, ways
from bot.remediation.runner import Runner
from bot.slack.client import SlackClient
from bot.slack.outbox import SendError
from bot.store import ReloadState, Store, StoreError

log = structlog.get_logger()


class Reload:
    """``load`` reads the configuration; ``asked`` is set by whoever wants it read again.

    ``settings`` are the newest that are right, and ``changed`` tells that they are not in use yet.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self.settings = settings
        self.asked = asyncio.Event()
        self.changed = asyncio.Event()
        self.acts = False  # or stands by: then nothing has to be changed before the new ones are in use
        self._load = load
        self._told = True

    async def watch(self, store: Store) -> None:
        """Read it as often as it is asked for, for ever."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            try:
                self.settings = await read_again(self._load, self.settings)
            except RejectedError as error:
                log.error("reload: THE OLD CONFIGURATION IS KEPT", mistakes=error.mistakes)  # noqa: TRY400  # they say it all
                await _tell(store, ReloadState.KEPT, error.mistakes)
                continue
            self._told = False
            self.changed.set()
            if not self.acts:
                await self.used(store)

    async def used(self, store: Store) -> None:
        """Tell, where somebody waits to hear it, that the newest configuration is in use."""
        self.changed.clear()
        if not self._told:
            self._told = True
            log.info("reload: the new configuration is in use")
            await _tell(store, ReloadState.TAKEN)

    async def when_due(self, store: Store, runner: Runner) -> None:
        """Return when there is a new configuration, and no fix runs that its taking would break off."""
        await self.changed.wait()
        if runner.busy:
            log.info("reload: the new configuration is right, and is taken when the fix that runs has ended")
            await _tell(store, ReloadState.WAITING)
        await runner.settled()


class RejectedError(Exception):
    """The new configuration cannot be used."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


async def read_again(load: Callable[[], Settings], using: Settings) -> Settings:
    """The configuration as it is now. Raises RejectedError with all that speaks against taking it."""
    try:
        new = load()
    except ConfigError as error:
        raise RejectedError(tuple(map(str, error.mistakes))) from error
    if new.store != using.store:
        raise RejectedError(("store: it cannot change while dockerhealth runs. Restart it.",))
    if new.slack_bot_token is None or new.slack_app_token is None:
        raise RejectedError(("SLACK_BOT_TOKEN and SLACK_APP_TOKEN, or their _FILE, must be set.",))
    try:
        ways(new.fallback_urls.get_secret_value() if new.fallback_urls else "")
    except UnknownWayError as error:
        raise RejectedError((str(error),)) from error
    if _of_slack(new) != _of_slack(using):
        slack = await SlackClient.open(new.slack_bot_token.get_secret_value(), new.slack_api_url)
        try:
            await slack.greet(new.slack_app_token.get_secret_value())
            await slack.team()
        except SendError as error:
            raise RejectedError((f"Slack does not take the new tokens: {error}",)) from error
        finally:
            await slack.close()
    return new


def _of_slack(settings: Settings) -> tuple[object, ...]:
    return settings.slack_bot_token, settings.slack_app_token, settings.slack_api_url


async def _tell(store: Store, state: ReloadState, says: tuple[str, ...] = ()) -> None:
    try:
        await store.lives.reloading(state, says)
    except StoreError as error:
        log.warning("reload: the terminal could not be told", why=str(error))
