"""A survey of a host over real SSH: how much it asks for, and what it makes of a service that keeps silent."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.demo.hosts.endpoint import Endpoint
from bot.demo.hosts.states import Reachable
from checks.collect.survey import Survey
from checks.facts import COUNTING
from checks.facts.counters import COUNTERS
from checks.look import Look
from checks.model import Host, Phase, ReachOutcome, Service, ServiceKind
from checks.source import Probe, Unavailable
from tests.wire.cable import Cable
from tests.wire.sshd import Sshd, sshd


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path) as running:
        yield running


@pytest.fixture
async def registry() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint("127.0.0.1", 0)
    try:
        yield endpoint
    finally:
        await endpoint.close()


@contextlib.contextmanager
def accepting() -> Iterator[int]:
    """A port whose connections are made by the kernel, and answered by nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


async def surveyed(server: Sshd, port: int, kind: ServiceKind = ServiceKind.REGISTRY) -> Look:
    service = Service("registry", f"http://127.0.0.1:{port}/v2/", kind, container="registry")
    host = replace(server.host, services=(service,))
    survey = Survey([host], lambda: datetime.now(UTC), concurrency=1)
    try:
        await survey.look(host, host.services)  # the login
        server.commands.clear()
        [look] = await survey.look(host, host.services)
    finally:
        await survey.close()
    return look


async def test_a_service_that_answers_costs_its_host_one_command(server: Sshd, registry: Endpoint) -> None:
    await registry.become(Reachable.ANSWERS)
    look = await surveyed(server, registry.port)
    assert look.outside.ok
    assert look.recount is None
    assert len(server.commands) == 1


async def test_a_service_that_does_not_answer_costs_no_second_one_for_the_counters(
    server: Sshd, registry: Endpoint
) -> None:
    await registry.become(Reachable.REFUSES)
    look = await surveyed(server, registry.port)
    assert look.outside.ended is ReachOutcome.REFUSED
    assert len(server.commands) == 1
    assert look.recount is not None
    assert look.recount.attempts == 3
    probes = [probe for source in COUNTING for probe in source.probes if isinstance(probe, Probe)]
    assert set(look.recount.facts.outputs) == {probe.name for probe in probes if not probe.root}
    assert not isinstance(look.recount.facts.get(COUNTERS), Unavailable)


async def test_silence_is_asked_a_counted_number_of_times_and_not_waited_for(server: Sshd, registry: Endpoint) -> None:
    await registry.become(Reachable.SILENT)
    look = await surveyed(server, registry.port)
    assert (look.outside.phase, look.outside.ended) == (Phase.CONNECT, ReachOutcome.TIMED_OUT)
    assert look.outside.address == "127.0.0.1"


async def test_what_is_accepted_and_not_answered_is_tried_again_with_small_packets(server: Sshd) -> None:
    with accepting() as port:
        look = await surveyed(server, port)
    assert (look.outside.phase, look.outside.ended) == (Phase.HTTP, ReachOutcome.TIMED_OUT)
    assert look.small is not None
    assert look.small.ended is ReachOutcome.TIMED_OUT


async def test_what_was_before_is_remembered_with_its_time(server: Sshd, registry: Endpoint) -> None:
    service = Service("registry", f"http://127.0.0.1:{registry.port}/v2/")
    host: Host = replace(server.host, services=(service,))
    survey = Survey([host], lambda: datetime.now(UTC), concurrency=1)
    try:
        await registry.become(Reachable.ANSWERS)
        good = await survey.reach(host, service)
        await registry.become(Reachable.REFUSES)
        bad = await survey.reach(host, service)
        await survey.reach(host, service)
        [look] = await survey.look(host, host.services)
    finally:
        await survey.close()
    assert (look.before.answered_at, look.before.failed_at) == (good.at, bad.at)


async def test_a_host_that_cannot_be_looked_at_is_no_reason_to_raise(server: Sshd, registry: Endpoint) -> None:
    server.server.close()
    server.cut()
    await asyncio.sleep(0)
    service = Service("registry", f"http://127.0.0.1:{registry.port}/v2/")
    host = replace(server.host, services=(service,))
    survey = Survey([host], lambda: datetime.now(UTC), concurrency=1)
    try:
        [look] = await survey.look(host, host.services)
    finally:
        await survey.close()
    assert look.facts is None
    assert look.trouble is not None
    assert look.trouble.id == "ssh-refused"


async def test_a_connection_that_died_of_itself_is_no_host_that_did_and_costs_one_more_login(
    server: Sshd, registry: Endpoint
) -> None:
    """As where a firewall on the way has forgotten the connection."""
    await registry.become(Reachable.ANSWERS)
    cable = Cable(server.host.login.port or 0)
    async with await asyncio.start_server(cable.plug, "127.0.0.1", 0) as way:
        service = Service("registry", f"http://127.0.0.1:{registry.port}/v2/")
        host = replace(cable.leads_to(server, way), services=(service,))
        survey = Survey([host], lambda: datetime.now(UTC), concurrency=1)
        try:
            await survey.look(host, host.services)
            cable.cut.set()
            cable.cut = asyncio.Event()
            [look] = await survey.look(host, host.services)
        finally:
            await survey.close()
            await cable.close()
    assert look.trouble is None
    assert look.facts is not None
    assert len(server.connections) == len(["the one that died", "the new one"])
