"""What an Engine may cost: descriptors, seconds and bytes, whatever it sends. Over real SSH, from a real socket."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from checks.collect.engine import Answers, Engine
from checks.collect.ssh import Connection
from checks.facts.engine import ENGINE
from checks.source import EngineProbe
from tests.wire.docker_engine import DockerEngine, docker_engine, dripping, endless, packed, whole
from tests.wire.sshd import sshd

INFO = EngineProbe("info", lambda client: client.info())
CONTAINERS = EngineProbe("containers", lambda client: client.api.containers())


class World:
    """An Engine behind a host's sshd, and the connection to that."""

    def __init__(self, docker: DockerEngine, connection: Connection) -> None:
        self.docker, self.connection = docker, connection
        self.engine = Engine(connection)

    async def ask(self, *probes: EngineProbe) -> Answers:
        return await self.engine.ask(probes)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with docker_engine(tmp_path) as (docker, path), sshd(tmp_path) as host:
        host.docker = path
        world = World(docker, Connection(host.host))
        yield world
        await world.engine.close()
        await world.connection.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_many_questions_are_one_connection_and_none_when_the_look_has_ended(world: World) -> None:
    def inspect(client: Any) -> Any:
        return [client.api.inspect_container(f"c{number}") for number in range(40)]

    await world.connection.connected()
    before = descriptors()
    answers = await world.ask(EngineProbe("forty", inspect), INFO)
    assert answers.missing == {}
    assert world.docker.connections - len(["to see whether somebody is there"]) == 1
    await asyncio.sleep(0.1)  # its end comes by way of the host
    assert world.docker.open == 0
    assert descriptors() == before


async def test_its_version_is_asked_once_because_dockerd_starts_programs_to_answer(world: World) -> None:
    answers = await world.ask(*(probe for probe in ENGINE.probes if isinstance(probe, EngineProbe)))
    assert answers.missing == {}
    assert [path for path in world.docker.asked if path.endswith("/version")] == ["/version"]


async def test_a_byte_at_a_time_is_given_up_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.collect.engine._SECONDS", 1.5)
    world.docker.sends["/info"] = dripping(b'{"ServerVersion": "' + b"2" * 400 + b'"}')
    began = time.monotonic()
    answers = await world.ask(INFO, CONTAINERS)
    assert time.monotonic() - began < 4
    assert answers.outputs == {}
    assert answers.missing["info"].reason.endswith("it did not come to an end within 1.5 s")
    assert not answers.missing["info"].silent


async def test_two_gigabytes_are_not_read(world: World) -> None:
    taken: list[int] = []
    world.docker.sends["/info"] = endless(2_000_000_000, taken)
    answers = await world.ask(INFO)
    assert answers.missing["info"].reason.endswith("it sent more than 4000000 bytes")
    assert sum(taken) < 50_000_000  # what the buffers on the way hold


async def test_an_answer_that_is_packed_is_not_unpacked(world: World) -> None:
    world.docker.sends["/info"] = packed(gzip.compress(b" " * 500_000_000, 1))
    tracemalloc.start()
    answers = await world.ask(INFO)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "it packed its answer (gzip)" in answers.missing["info"].reason
    assert most < 50_000_000


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe", b"1e999", b"null", b'"a word"', b"{"])
async def test_what_the_sdk_cannot_read_costs_that_answer_alone(world: World, body: bytes) -> None:
    world.docker.sends["/info"] = whole(body)
    world.docker.sends["/containers/json"] = whole([{"Id": "c1"}])
    info = EngineProbe("info", lambda client: client.info()["ServerVersion"])
    answers = await world.ask(info, CONTAINERS)
    assert "the Docker Engine did not answer" in answers.missing["info"].reason
    assert answers.outputs["containers"].stdout == '[{"Id": "c1"}]'


async def test_who_stops_does_not_wait_for_an_engine_that_drips(world: World) -> None:
    began = asyncio.Event()
    world.docker.sends["/info"] = dripping(b" " * 1000, began=began)
    asking = asyncio.create_task(world.ask(INFO))
    await began.wait()
    asking.cancel()
    told = time.monotonic()
    await world.engine.close()
    assert time.monotonic() - told < 1
