"""The Docker SDK through the SSH connection."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from bot.demo.hosts import USER, DemoHost
from checks.collect.engine import Engine
from checks.collect.ssh import Connection
from checks.facts.engine import ENGINE, EngineInfo
from checks.model import Host, Login
from checks.source import EngineProbe


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    demo = DemoHost("127.0.0.61", "debian13-docker26.1.5", lambda: datetime.now(UTC))
    await demo.start(key)
    key.write_private_key(tmp_path / "id")
    (tmp_path / "known_hosts").write_text(demo.known_hosts_line)
    login = Login(USER, demo.ssh_port, tmp_path / "id", tmp_path / "known_hosts")
    connection = Connection(Host("host1", demo.address, (), login))
    try:
        yield connection
    finally:
        await connection.close()
        await demo.close()


async def test_the_engine_is_asked_and_the_answer_kept_as_json(connection: Connection) -> None:
    engine = Engine(connection)
    answers = await engine.ask([EngineProbe("info", lambda client: client.info()["ServerVersion"])])
    await engine.close()
    assert answers.missing == {}
    assert answers.outputs["info"].stdout.startswith('"26.1.5')


async def test_the_engine_says_of_itself_who_it_is(connection: Connection) -> None:
    engine = Engine(connection)
    answers = await engine.ask([probe for probe in ENGINE.probes if isinstance(probe, EngineProbe)])
    await engine.close()
    said = ENGINE.parse(answers.outputs)
    assert isinstance(said, EngineInfo)
    assert said.is_docker
    assert said.says.startswith("Docker 26.1.5")


async def test_closing_waits_for_the_thread_of_a_question_that_was_given_up(connection: Connection) -> None:
    asked, may_end = threading.Event(), threading.Event()

    def slow(client: Any) -> Any:
        asked.set()
        may_end.wait(10)
        return client.info()["ServerVersion"]  # still needs the socket

    engine = Engine(connection)
    asking = asyncio.create_task(engine.ask([EngineProbe("slow", slow)]))
    await asyncio.to_thread(asked.wait, 10)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    closing = asyncio.create_task(engine.close())
    done, _ = await asyncio.wait([closing], timeout=0.1)
    assert not done
    may_end.set()
    await closing
