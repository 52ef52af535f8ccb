"""One look at a host serves all who want one at the same moment."""

import asyncio
from datetime import timedelta

import pytest

from bot.monitoring import shared_checks
from bot.monitoring.shared_checks import Reports, SharedChecks
from checks.model import Host
from tests.unit.bot.samples import HOST, SERVICE, Clock, broken, healthy

OTHER = Host("host2", "10.0.0.12", HOST.services)


async def test_a_look_that_waits_for_its_turn_serves_whoever_comes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_checks, "AT_ONCE", 1)
    looked: list[str] = []
    may_end = asyncio.Event()

    async def check(host: Host) -> Reports:
        looked.append(host.name)
        await may_end.wait()
        return (healthy(),)

    clock = Clock()
    shared = SharedChecks(check, clock)
    wanted = [asyncio.create_task(shared.look(OTHER, clock()))]
    await asyncio.sleep(0)
    for _ in range(5):  # services of a host fail one after the other, while others are looked at
        clock.passes(1)
        wanted.append(asyncio.create_task(shared.look(HOST, clock())))
        await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(*wanted)
    assert looked == [OTHER.name, HOST.name]


async def test_reports_that_nobody_waits_for_are_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_checks, "KEPT_FOR", 0.0)

    async def check(_host: Host) -> Reports:
        return (healthy(),)

    clock = Clock()
    shared = SharedChecks(check, clock)
    for name in ("one", "two", "three"):
        await shared.look(Host(name, "10.0.0.13", HOST.services), clock() - timedelta(seconds=1))
    assert len(shared._newest) == 1  # noqa: SLF001  # what it holds


async def test_a_look_that_saw_a_service_fail_serves_who_reads_it_later() -> None:
    looked: list[str] = []

    async def check(host: Host) -> Reports:
        looked.append(host.name)
        return (broken(),)

    clock = Clock()
    well = clock()
    clock.passes(1)
    shared = SharedChecks(check, clock)
    await shared.look(HOST, clock())  # because of another service of that host
    clock.passes(1)
    assert await shared.look_at_fault(HOST, SERVICE.name, since=clock(), well=well) == (broken(),)
    assert len(looked) == 1
    await shared.look_at_fault(HOST, SERVICE.name, since=clock(), well=clock())  # it was well in between
    await shared.look_at_fault(HOST, "another", since=clock() + timedelta(seconds=1), well=well)  # which it did not see
    assert len(looked) == 3
