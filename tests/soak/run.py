"""One run: what the schedule says is done to the site, and then it is written down what became of it."""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from bot.demo.local_slack import Message
from tests.soak.bots import NICER
from tests.soak.faults import inject
from tests.soak.judge import GREEN, ITSELF, LATE, Run, Told
from tests.soak.schedule import Fault, Injected, Pace, schedule
from tests.soak.site import Site, site

_CONNECTS_WITHIN = 60.0
_BEAT = 0.1


async def soak(  # noqa: PLR0913  # what makes a run what it is
    folder: Path,
    seconds: float,
    seed: int,
    host_names: Sequence[str],
    pace: Pace,
    *,
    standby: bool,
    without: Collection[Fault] = (),
) -> Run:
    """Run it, ``without`` some faults. All that is left of it is in ``folder``."""
    async with site(folder, host_names, pace, standby=standby) as running:
        planned = schedule(seconds, seed, host_names, pace)
        injected = [each for each in planned if each.fault not in {*running.cannot, *without}]
        _write(folder / "injected.json", [asdict(each) for each in injected])
        return await _Soak(running, injected, seconds).run()


class _Soak:
    def __init__(self, site: Site, injected: Sequence[Injected], seconds: float) -> None:
        self._site = site
        self._injected = injected
        self._seconds = seconds
        self._began = time.monotonic()
        self._began_at = time.time()
        self._late: list[tuple[float, float]] = []

    async def run(self) -> Run:
        self._go_first()
        keeping = [asyncio.create_task(bot.keep(self._now)) for bot in self._site.bots]
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN):
                await self._site.slack.wait_until(lambda: self._site.slack.connected > 0, timeout=_CONNECTS_WITHIN)
            self._began, self._began_at = time.monotonic(), time.time()
            async with asyncio.TaskGroup() as faults:
                for each in self._injected:
                    faults.create_task(self._inject(each))
                watching = asyncio.create_task(self._watch_ourselves())
                await asyncio.sleep(self._seconds)
                watching.cancel()
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await asyncio.gather(*(bot.stop() for bot in self._site.bots))
        lives = [life for bot in self._site.bots for life in bot.lives]
        run = Run(self._injected, self._told(), lives, self._steps(), self._late)
        for file in self._site.store.parent.glob("dockerhealth.db*"):  # its disk goes with the site
            shutil.copy(file, self._site.folder)
        _write(self._site.folder / "told.json", [asdict(each) for each in run.told])
        return run

    def _go_first(self) -> None:
        """What stands for other machines is not to wait for the bots, nor for who else is busy here."""
        with contextlib.suppress(PermissionError):
            os.nice(-NICER)

    async def _watch_ourselves(self) -> None:
        """Note when the hosts could not answer because we did not get to it."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_BEAT)
            late = time.monotonic() - before - _BEAT
            if late > LATE:
                self._late.append((self._now() - late, late))

    async def _inject(self, injected: Injected) -> None:
        await asyncio.sleep(max(injected.at - self._now(), 0))
        await inject(self._site, injected)

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _told(self) -> list[Told]:
        return [
            Told(
                _about(message),
                float(message.ts) - self._began_at,
                message.colour or (GREEN if message.text.startswith("🟢") else None),
                "\n".join(revision.shown for revision in message.revisions),
            )
            for message in self._site.slack.messages(self._site.channel)
        ]

    def _steps(self) -> dict[str, list[tuple[float, str]]]:
        began = self._began
        return {name: [(at - began, line) for at, line in host.carried_out] for name, host in self._site.hosts.items()}


def _about(message: Message) -> str:
    """Whom its header names: what stands between the mark and the colon."""
    for block in message.blocks:
        if block.get("type") == "header":
            _, _, rest = str(block["text"]["text"]).partition(" ")
            return rest.partition(": ")[0]
    return ITSELF if "its store" in message.text else message.text.partition(" ")[0]


def _write(file: Path, what: object) -> None:
    file.write_text(json.dumps(what, indent=1, ensure_ascii=False), encoding="utf-8")
