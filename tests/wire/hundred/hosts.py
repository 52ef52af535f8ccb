"""The hosts: says where they are in one line of JSON, then breaks each host whose number it is told."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncssh

from bot.demo.hosts import USER, DemoHost
from bot.demo.hosts.endpoint import Endpoint
from bot.demo.hosts.states import Fault, Reachable


async def main(folder: Path, well: int, mute: int) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "id")
    hosts = [DemoHost(f"127.0.1.{number}", "debian12-docker20.10.24", now) for number in range(1, well + 1)]
    for host in hosts:
        await host.start(key)
    (folder / "known_hosts").write_text("".join(host.known_hosts_line for host in hosts))
    holes = [Endpoint(f"127.0.2.{number}", 0) for number in range(1, mute + 1)]
    for hole in holes:
        await hole.become(Reachable.SILENT)
    told = {
        "user": USER,
        "well": [(host.address, host.ssh_port, host.url) for host in hosts],
        "mute": [(hole.address, hole.port, f"http://{hole.address}:{hole.port}/v2/") for hole in holes],
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        await hosts[int(line)].break_by(Fault.FORWARDING_OFF)


def now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
