"""What a look cannot see of a host that answers is known as what it is: over real SSH, with the Docker SDK."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from bot.demo.hosts import USER
from checks.check import Checker
from checks.model import Hidden, Host, Login, Report, Service
from tests.soak.hosts import SoakHost
from tests.soak.schedule import Fault


class Seen:
    """One host, and who looks at it."""

    def __init__(self, demo: SoakHost, folder: Path) -> None:
        login = Login(USER, demo.ssh_port, folder / "id", folder / "known_hosts")
        self.demo = demo
        self.host = Host("host1", demo.address, (Service("registry", demo.url, container="registry"),), login)
        self.checker = Checker([self.host], clock=_now)

    async def look(self) -> Report:
        [report] = await self.checker.check(self.host)
        return report


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def seen(tmp_path: Path) -> AsyncIterator[Seen]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    demo = SoakHost(1999, key, _now)
    await demo.serve()
    key.write_private_key(str(tmp_path / "id"))
    (tmp_path / "known_hosts").write_text(demo.known_hosts_line)
    seen = Seen(demo, tmp_path)
    yield seen
    await seen.checker.close()
    await demo.close()


async def test_of_a_host_that_is_well_all_is_seen(seen: Seen) -> None:
    report = await seen.look()
    assert report.answered
    assert report.blind == ()


@pytest.mark.parametrize(
    ("fault", "hidden", "says"),
    [
        (Fault.SSH_REFUSED, Hidden.HOST, "nobody listens for SSH"),
        (Fault.KEY_CHANGED, Hidden.HOST, "its SSH host key is NOT the one in"),
        (Fault.ENGINE_GONE, Hidden.ENGINE, "Docker Engine"),
        (Fault.SUDO_REFUSED, Hidden.ROOT, "sudo-refused: a password is required"),
    ],
)
async def test_what_is_hidden_is_told_and_why(seen: Seen, fault: Fault, hidden: Hidden, says: str) -> None:
    await seen.look()
    await seen.demo.suffer(fault)
    report = await seen.look()
    assert report.answered
    [blind] = report.blind
    assert blind.of is hidden
    assert says in blind.says
    await seen.demo.heal()
