"""A demo host: an SSH server on loopback that answers from a recording, and a port that behaves as the state says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import asyncssh

from bot.demo.hosts import engine, frame
from bot.demo.hosts.endpoint import Endpoint
from bot.demo.hosts.receipts import Receipts
from bot.demo.hosts.recording import PORT, load
from bot.demo.hosts.rewrite import CONTAINER, Place, rewritten, started
from bot.demo.hosts.states import HEALTHY, Fault, HostState, Reachable, commands, derived
from checks.model import Output

USER = "dockerhealth"
_DOCKER_SOCKET = "/var/run/docker.sock"
_NOT_FOUND = 127
_UP_BEFORE = timedelta(hours=3)
"""How long nothing had been started on it when the demo began. The recorded ones had been set up seconds before."""

_Handler = Callable[[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]], Awaitable[None]]


class DemoHost:
    """One host. It never runs what it is sent: it knows a few exact lines, and what each would do."""

    def __init__(self, address: str, platform: str, clock: Callable[[], datetime]) -> None:
        """``platform`` names the folder of recordings that it answers from."""
        self.state = HostState()
        self.ran: list[str] = []  # the steps that were carried out, in order
        self.ssh_port = 0  # known once it was started
        self._platform = platform
        self._clock = clock
        self._began = self._since = clock() - _UP_BEFORE
        self._starts: dict[str, datetime] = {}  # what was started since then
        self._endpoint = Endpoint(address, PORT)
        self._commands = dict(commands(CONTAINER, self._endpoint.port))
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._mendable = True
        self._receipts = Receipts(self.execute)
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def address(self) -> str:
        return self._endpoint.address

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self._endpoint.port}/v2/"

    @property
    def known_hosts_line(self) -> str:
        key = self._host_key.export_public_key("openssh").decode().strip()
        return f"[{self.address}]:{self.ssh_port} {key}\n"

    async def start(self, authorized: asyncssh.SSHKey) -> None:
        """Answer from now on, over SSH only to who has the key."""
        await self._endpoint.become(self.state.reachable)
        await self.listen(authorized, self._host_key)

    async def listen(self, authorized: asyncssh.SSHKey, host_key: asyncssh.SSHKey) -> None:
        """Take logins, at the same port as before if it did once."""
        self._acceptor = await asyncssh.create_server(
            lambda: _Login(self, authorized),
            self.address,
            self.ssh_port,
            server_host_keys=[host_key],
            process_factory=self._run,
            encoding=None,
            allow_pty=False,
            agent_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
        )
        self.ssh_port = self._acceptor.get_port()

    def cut(self) -> None:
        """Break every connection to it, as a cable does."""
        for connection in list(self._connections):
            connection.abort()

    async def hang_up(self) -> None:
        """Take no logins any more, and end those that there are."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        self.cut()

    async def close(self) -> None:
        await self.hang_up()
        await self._endpoint.close()

    async def break_by(self, fault: Fault) -> None:
        """Make something wrong with it."""
        await self._become(self.state.broken_by(fault))

    def sabotage(self) -> None:
        """From now on the port stays as it is, whatever is mended: what a fix that does not help looks like."""
        self._mendable = False

    def outputs(self, *, again: bool = False) -> Mapping[str, Output]:
        """What every probe prints now; ``again``, what those print that count, asked a second time."""
        port = self._endpoint.port
        place = Place(self.address, port, client="127.0.0.1")  # whom every connection over loopback comes from
        recording = load(self._platform, self.state.recording)
        if again:
            recording = replace(recording, outputs={**recording.outputs, **recording.counted})
        outputs = rewritten(recording, place, self._since, self._clock())
        outputs = started(outputs, lambda name: self._starts.get(name, self._began))
        return derived({**outputs, **self._files(place)}, self.state, port)

    def _files(self, place: Place) -> Mapping[str, Output]:
        """When its configuration files were written: long before the demo, whatever was recorded since."""
        healthy = rewritten(load(self._platform, HEALTHY), place, self._began, self._clock())
        return {"config-files": healthy["config-files"]}

    def connected(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.add(connection)

    async def serve_engine(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        await engine.serve(self.outputs, reader, writer)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        line = process.command or ""
        asked = frame.asked(line)
        if asked is not None:
            await self._be_looked_at(process, asked)
            return
        answer = await self._receipts.answer(line)
        if answer is None:
            process.stderr.write(f"demo host: it does not know this command: {line or 'a shell'}\n".encode())
            process.exit(_NOT_FOUND)
            return
        process.stdout.write(answer.encode())
        process.exit(0)

    async def _be_looked_at(self, process: asyncssh.SSHServerProcess[bytes], asked: frame.Asked) -> None:
        """Answer a look: first its facts, then what it is told to count after attempts from outside."""
        outputs = self.outputs()
        process.stdout.write(frame.answer(outputs, asked.names))
        process.stdout.write(self.root_says(outputs, asked))
        async for told in process.stdin:
            outputs = self.outputs(again=True)
            if told.strip() == b"count":
                process.stdout.write(frame.answer(outputs, asked.counted))
            process.stdout.write(self.root_says(outputs, asked))
        process.exit(0)

    def root_says(self, outputs: Mapping[str, Output], asked: frame.Asked) -> bytes:
        """What root's part of a look answers."""
        return frame.answer_of_root(outputs, asked.names)

    async def execute(self, line: str) -> tuple[int, str]:
        """Carry a step out, if it is one of those that a demo host knows."""
        self.ran.append(line)
        command = self._commands.get(line)
        if command is None:
            return _NOT_FOUND, f"demo host: it does not know this command: {line}\n"
        await asyncio.sleep(command.seconds)
        await self._become(command.change(self.state))
        return 0, command.prints

    async def _become(self, state: HostState) -> None:
        before, self.state = self.state, state
        if before.recording != state.recording and state.begins_with:
            self._since = self._clock()
            self._starts |= dict.fromkeys(state.begins_with, self._since)
        mended = state.reachable is Reachable.ANSWERS
        if before.reachable is not state.reachable and (self._mendable or not mended):
            await self._endpoint.become(state.reachable)


class _Login(asyncssh.SSHServer):
    """Lets in one user with one key, to run commands and to ask the Docker Engine."""

    def __init__(self, host: DemoHost, authorized: asyncssh.SSHKey) -> None:
        self._host = host
        self._authorized = authorized.convert_to_public()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._host.connected(conn)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002  # asyncssh's signature
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key == self._authorized

    def unix_connection_requested(self, dest_path: str) -> "_Handler | bool":
        return self._host.serve_engine if dest_path == _DOCKER_SOCKET else False
