"""One warm, verified SSH connection a host. The only place that knows asyncssh."""

import asyncio
import functools
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncssh
from asyncssh.encryption import get_default_encryption_algs

from checks.collect.names import addresses_of
from checks.collect.reach import ask_who_refuses
from checks.collect.soundness import trouble_of
from checks.errors import (
    CommandTimedOutError,
    LookError,
    OutputTooLargeError,
    SshClosedError,
    SshHostKeyChangedError,
    SshHostKeyUnknownError,
    SshLoginRefusedError,
    SshLoginTimedOutError,
    SshLostError,
    SshNameUnknownError,
    SshRefusedError,
    SshRejectedError,
    SshRejectedOnTheWayError,
    SshSessionTimedOutError,
    SshTimedOutError,
    SshUnreachableError,
    WatcherTroubleError,
)
from checks.model import Host, Output

T = TypeVar("T")
E = TypeVar("E", bound=LookError)

OUTPUT_CAP = 4_000_000
"""Bytes of stdout and stderr together that one command may print."""

ANSWER_CAP = 9_000_000
"""The same of one answer of a conversation: root's session may be 8 MB, with what each of its probes may print."""

_LONGEST_FRAME = 65_536
"""Bytes in which an answer of a conversation has said how long it is."""

_SESSIONS = 4
"""Commands side by side on one connection; sshd's MaxSessions is 10 unless an admin lowered it."""

_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""AES-GCM first: CPUs help with it and it is one call a packet, where asyncssh's ChaCha20 sets up four contexts."""

_TIDYING = 1.0
"""Seconds that a command which was told that nothing more comes has for its end. It goes on by itself if it must."""

_LONG_LOGIN = 30.0
"""Seconds for a login, and for its session, of a host that has shown that it is there.

PAM does its work in both. A directory service that is down takes about ten seconds, a logind that does not answer 25.
"""

_SAID_AFTER = 9.0
"""Seconds after which it is said that a session is still waited for: a look tells what it knows within ten."""

_FOR_THE_OLD = 0.7
"""The share of the connect deadline in which a host answers on a connection that it had: the rest is for a new one."""

_UNACKNOWLEDGED = slice(24, 28)
"""Where ``struct tcp_info`` of linux/tcp.h has the number of segments that were sent and not acknowledged."""

_BACKOFF_FIRST, _BACKOFF_MOST = 0.5, 15.0
"""Seconds between attempts to connect to a host that did not let us in; doubled each time, with jitter."""

_REFUSED_FIRST, _REFUSED_MOST = 15.0, 60.0
"""The same for an sshd that refused a login, from whatever Connection: OpenSSH 9.8 and newer count 5 s of penalty for
each, and once they come to 15 s drop all that comes from the address, valid keys too (PerSourcePenalties)."""

_PENALISED = 600.0
"""Seconds after a refused login in which a connection that is dropped is a penalty for it: the most that sshd gives."""


@dataclass(frozen=True)
class RawOutput:
    """What a command printed, undecoded: the gather script's frames count bytes."""

    stdout: bytes
    stderr: bytes
    status: int

    def decoded(self) -> Output:
        return Output(self.stdout.decode(errors="replace"), self.stderr.decode(errors="replace"), self.status)


class Connection:
    """A host's SSH connection: made when first needed, kept alive, made again when lost."""

    def __init__(self, host: Host, refusals: "Refusals | None" = None) -> None:
        """``refusals`` are shared by all that come from this machine: sshd counts them by its address."""
        self.host = host
        self._refusals = Refusals() if refusals is None else refusals
        jump = _jump_host(host)
        self._jump = Connection(jump, self._refusals) if jump else None
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._had_session = False
        self._outwaiting: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._sessions = asyncio.Semaphore(_SESSIONS)
        self._failures = 0
        self._not_before = 0.0
        self._last_error: LookError | None = None

    async def run(self, command: str, *, what: str, timeout: float) -> RawOutput:  # noqa: ASYNC109  # the SSH channel's own
        """Run one command in the user's login shell, both streams kept apart, as bytes. ``what`` names it in errors.

        Raises LookError: the connection could not be made or broke, the deadline (seconds, from when the session
        started) ran out, or the command printed more than OUTPUT_CAP.
        """
        ssh = await self.connected()
        collector = _Collector(OUTPUT_CAP)
        async with self._sessions:
            try:
                channel = await self._session(ssh, command, collector)
                async with asyncio.timeout(timeout):
                    return await self._run(channel, collector, what)
            except TimeoutError:
                raise CommandTimedOutError(
                    self.host.name, f"{self.host.name}: {what} did not end within {timeout:g} s"
                ) from None
            except (asyncssh.Error, OSError) as error:
                raise self._lost(error) from error

    @asynccontextmanager
    async def converse(self, command: str, *, what: str) -> AsyncIterator["Conversation"]:
        """Run one command in the user's login shell that is told lines and answers them. ``what`` names it in errors.

        It reads the end of its input once this ends, and has to end by that. Raises LookError.
        """
        ssh = await self.connected()
        collector = _Collector(ANSWER_CAP)
        async with self._sessions:
            try:
                channel = await self._session(ssh, command, collector)
            except (asyncssh.Error, OSError) as error:
                raise self._lost(error) from error
            try:
                yield Conversation(self, channel, collector, what)
            finally:
                await _let_end(channel)

    async def _run(self, channel: "asyncssh.SSHClientChannel[bytes]", collector: "_Collector", what: str) -> RawOutput:
        try:
            channel.write_eof()
            await channel.wait_closed()
        finally:
            channel.close()
        self._check_size(collector, what)
        status = channel.get_exit_status()
        if status is None:
            raise self._lost(asyncssh.ConnectionLost("no exit status"))
        return RawOutput(collector.received(), collector.received(asyncssh.EXTENDED_DATA_STDERR), status)

    async def _session(
        self, ssh: asyncssh.SSHClientConnection, command: str, collector: "_Collector"
    ) -> "asyncssh.SSHClientChannel[bytes]":
        """A session that runs the command. sshd grants one at once, but the first only when PAM has opened it.

        That one is waited for beyond the command that asked for it: whoever asks next finds it.
        """
        if self._outwaiting is not None:
            await asyncio.wait((self._outwaiting,), timeout=_SAID_AFTER)
            if self._last_error is not None:
                raise _anew(self._last_error)
        patience = self.host.login.connect_timeout * _FOR_THE_OLD
        opening = asyncio.ensure_future(ssh.create_session(lambda: collector, command, encoding=None))
        try:
            channel, _ = await _ended(
                asyncio.shield(opening), patience, lambda: self._waits_for_pam(ssh), min(_SAID_AFTER, _LONG_LOGIN)
            )
        except TimeoutError:
            waits, error = self._waits_for_pam(ssh), self._no_session(ssh, patience)
            if waits:
                self._outwaiting = asyncio.create_task(self._outwait(ssh, opening))
            else:
                opening.cancel()
                self._give_up(ssh)
            raise error from None
        except asyncio.CancelledError:
            opening.cancel()
            raise
        self._had_session, self._failures, self._last_error = True, 0, None
        self._refusals.forget(self.host)
        return channel

    async def _outwait(self, ssh: asyncssh.SSHClientConnection, opening: asyncio.Future[Any]) -> None:
        """Let a session start all the same, or give its connection up."""
        try:
            await asyncio.wait((opening,), timeout=max(_LONG_LOGIN - _SAID_AFTER, 0))
            if opening.done() and opening.exception() is None:
                opening.result()[0].abort()
                self._had_session, self._failures, self._last_error = True, 0, None
            else:
                self._give_up(ssh)
        finally:
            opening.cancel()
            self._outwaiting = None

    def _give_up(self, ssh: asyncssh.SSHClientConnection) -> None:
        ssh.abort()
        if self._ssh is ssh:
            self._ssh = None

    def _waits_for_pam(self, ssh: asyncssh.SSHClientConnection) -> bool:
        """Whether it may be PAM that keeps a session waiting: it is the first, and what is sent still arrives."""
        return not self._had_session and _arrives(ssh)

    def _no_session(self, ssh: asyncssh.SSHClientConnection, waited: float) -> LookError:
        name = self.host.name
        if not self._waits_for_pam(ssh):
            return SshTimedOutError(name, f"{name}: no answer within {waited:g} s on the SSH connection that it had")
        waited = min(_SAID_AFTER, _LONG_LOGIN)  # and on, up to the long one
        error = SshSessionTimedOutError(
            name,
            f"{name}: logged in as {_user(self.host)}, and the session does not start within {waited:g} s: PAM "
            f"may wait for a directory service that is down, or systemd for the user's last session to end. "
            f"`journalctl -b -u ssh -u sshd -u systemd-logind -n 50` on its console",
        )
        self._failed(error)
        return error

    async def connected(self, within: float | None = None) -> asyncssh.SSHClientConnection:
        """The live connection, made first if there is none. Raises LookError.

        ``within``: seconds for the host to answer at all, if not the connect deadline.
        """
        async with self._connecting:
            if self._ssh is not None and not self._ssh.is_closed():
                return self._ssh
            clock = asyncio.get_running_loop().time
            if self._last_error is not None and clock() < self._not_before:
                raise _anew(self._last_error)
            self._refusals.check(self.host)
            try:
                self._ssh = await self._connect(within or self.host.login.connect_timeout)
            except LookError as error:
                self._failed(error)
                raise
            self._had_session = False
            return self._ssh

    def _failed(self, error: LookError) -> None:
        """Note that the host did not let us in: it is not asked again at once."""
        self._failures += 1
        delay = min(_BACKOFF_MOST, _BACKOFF_FIRST * 2**self._failures) * random.uniform(0.5, 1)  # noqa: S311  # jitter, no secret
        self._not_before = asyncio.get_running_loop().time() + delay
        self._last_error = _anew(error)

    @property
    def is_warm(self) -> bool:
        """Whether a command can be run without a login first."""
        return self._ssh is not None and not self._ssh.is_closed()

    @property
    def local_address(self) -> str | None:
        """This machine's address on the connection; None without one, or where it comes by way of a jump host."""
        if self._ssh is None or self._jump is not None:
            return None
        name = self._ssh.get_extra_info("sockname")
        return str(name[0]) if name else None

    async def why_no_socket(self, remote: str) -> str:
        """Why a Unix socket of the host cannot be connected to, empty if it can. Raises LookError."""
        ssh = await self.connected()
        try:
            channel, _ = await ssh.create_unix_connection(asyncssh.SSHUNIXSession, remote)
        except asyncssh.ChannelOpenError as error:
            return error.reason or "the host's sshd refused the connection"
        except (asyncssh.Error, OSError) as error:
            raise self._lost(error) from error
        channel.abort()
        return ""

    async def forward_socket(self, remote: str, local: Path) -> asyncssh.SSHListener:
        """Make a local Unix socket that leads to one on the host. Raises LookError."""
        ssh = await self.connected()
        try:
            return await ssh.forward_local_path(str(local), remote)
        except (asyncssh.Error, OSError) as error:
            raise self._lost(error) from error

    async def close(self) -> None:
        if self._outwaiting is not None:
            self._outwaiting.cancel()
        if self._ssh is not None:
            self._ssh.close()
            await self._ssh.wait_closed()
            self._ssh = None
        if self._jump is not None:
            await self._jump.close()

    async def _connect(self, within: float) -> asyncssh.SSHClientConnection:
        host = self.host
        tunnel: dict[str, Any] = {"tunnel": await self._jump.connected()} if self._jump else {}
        progress = _Progress()
        try:
            options, place = await _options(host)
        except (OSError, ValueError) as error:  # of a key file, or of ~/.ssh/config
            said = f"{host.name}: dockerhealth's own SSH configuration cannot be read: {error}"
            raise WatcherTroubleError(host.name, said) from error
        try:
            login = _login(host, place, **tunnel, **options, client_factory=lambda: progress)
            return await _ended(login, within, lambda: bool(progress.software))
        except TimeoutError:
            raise self._unanswered(progress, within) from None
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._untrusted() from error
        except asyncssh.PermissionDenied as error:
            refused = SshLoginRefusedError(
                host.name,
                f"{host.name}: refused the login of {_user(host)}; is the key in its authorized_keys? ({error.reason})",
            )
            self._refusals.note(host, refused)
            raise refused from error
        except (OSError, asyncssh.Error) as error:
            if trouble := trouble_of(error):
                said = f"{host.name}: no SSH connection to {host.address} could be tried: {trouble.says}"
                raise WatcherTroubleError(host.name, said) from error
            if progress.is_connected:
                self._refusals.check_penalty(host)
                raise SshClosedError(
                    host.name,
                    f"{host.name}: {host.address} took the SSH connection, and no login came of it: {error}. Too many "
                    f"logins at once (MaxStartups), or does its sshd penalise dockerhealth's address?",
                ) from error
            raise await self._not_connected(error, place) from error

    def _unanswered(self, progress: "_Progress", within: float) -> LookError:
        host = self.host
        if progress.software:
            return SshLoginTimedOutError(
                host.name,
                f"{host.name}: its sshd ({progress.software}) answers, and the login of {_user(host)} does not end "
                f"within {_LONG_LOGIN:g} s: does it wait for a name server, or a directory service that is down?",
            )
        if progress.is_connected:
            return SshLoginTimedOutError(
                host.name,
                f"{host.name}: {host.address} took the SSH connection and said nothing for {within:g} s: its kernel "
                f"answers and sshd does not. Is it out of memory, or does it wait for a disk?",
            )
        return SshTimedOutError(host.name, f"{host.name}: no SSH connection within {within:g} s at {host.address}")

    async def _not_connected(self, error: Exception, place: tuple[str, int] | None) -> LookError:
        """Tell nobody there, nobody who listens, and somebody who does not want us: the last two look alike."""
        name, address = self.host.name, self.host.address
        if isinstance(error, socket.gaierror):
            return SshNameUnknownError(name, f"{name}: no such name as {place[0] if place else address}: {error}")
        refusal = await ask_who_refuses(*place) if place and isinstance(error, OSError) else None
        if place and refusal and not refusal.is_told and isinstance(error, ConnectionRefusedError):
            refusal = await ask_who_refuses(*place)
        if refusal is not None and refusal.rejected_by == refusal.address:
            return SshRejectedError(
                name,
                f"{name}: it is up, and its own firewall rejects SSH from here at {refusal.address} port "
                f"{refusal.port}. Is dockerhealth's address banned (`sudo fail2ban-client banned` on its console), or "
                f"the port closed?",
            )
        if refusal is not None and refusal.rejected_by is not None:
            return SshRejectedOnTheWayError(
                name,
                f"{name}: a firewall at {refusal.rejected_by} rejects SSH from here to {refusal.address} port "
                f"{refusal.port}; ask whoever runs it",
            )
        if isinstance(error, ConnectionRefusedError) and refusal is not None and refusal.by_reset:
            return SshRefusedError(name, f"{name}: nobody listens for SSH at {address}; is sshd running?")
        if isinstance(error, ConnectionRefusedError):
            return SshRefusedError(
                name,
                f"{name}: SSH is refused at {address}: sshd is not running, or a firewall rejects what comes from here",
            )
        return SshUnreachableError(name, f"{name}: no SSH connection to {address}: {error}")

    def _untrusted(self) -> LookError:
        """Tell a changed host key (an alarm) from one that was never pinned (a step of the set-up)."""
        host = self.host
        where = known_hosts_path(host)
        if _pinned_keys(host):
            return SshHostKeyChangedError(
                host.name,
                f"{host.name}: its SSH host key is NOT the one in {where}. Someone may be in between. If the host was "
                f"reinstalled, remove its line from that file and run: dockerhealth trust {host.name}",
            )
        return SshHostKeyUnknownError(
            host.name, f"{host.name}: {where} has no host key for it. Run: dockerhealth trust {host.name}"
        )

    def _check_size(self, collector: "_Collector", what: str) -> None:
        if collector.too_large:
            raise OutputTooLargeError(
                self.host.name, f"{self.host.name}: {what} printed more than {collector.cap} bytes"
            )

    def _lost(self, error: Exception) -> LookError:
        if trouble := trouble_of(error):
            return WatcherTroubleError(self.host.name, f"{self.host.name}: could not be asked over SSH: {trouble.says}")
        if self._ssh is not None and not isinstance(error, asyncssh.ChannelOpenError):
            self._ssh.abort()
            self._ssh = None
        return SshLostError(self.host.name, f"{self.host.name}: lost the SSH connection: {error}")


@dataclass
class _Refused:
    """Logins in a row that an sshd refused: the last one at ``at``, to be followed by none for ``wait`` seconds."""

    error: SshLoginRefusedError
    at: float
    wait: float


class Refusals:
    """The logins that were refused, by address and port of the sshd."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, int | None], _Refused] = {}

    def note(self, host: Host, error: SshLoginRefusedError) -> None:
        """Note that an sshd refused a login just now."""
        before = self._refused.get(_place(host))
        wait = _REFUSED_FIRST if before is None else min(_REFUSED_MOST, before.wait * 2)
        self._refused[_place(host)] = _Refused(_anew(error), asyncio.get_running_loop().time(), wait)

    def forget(self, host: Host) -> None:
        """Forget them: a login was granted."""
        self._refused.pop(_place(host), None)

    def check(self, host: Host) -> None:
        """Raise the last refusal where it is too early for another login."""
        refused = self._refused.get(_place(host))
        if refused is not None and asyncio.get_running_loop().time() < refused.at + refused.wait:
            raise _anew(refused.error)

    def check_penalty(self, host: Host) -> None:
        """Raise the last refusal where a connection was dropped that may have been for it."""
        refused = self._refused.get(_place(host))
        if refused is not None and asyncio.get_running_loop().time() < refused.at + _PENALISED:
            raise SshLoginRefusedError(
                host.name, f"{refused.error}; since then its sshd drops what comes from here (PerSourcePenalties)"
            )


def _anew(error: E) -> E:
    """The same error as it was before it was raised: then it holds all that was under way, and more each time."""
    return type(error)(error.host, str(error))


def _place(host: Host) -> tuple[str, int | None]:
    return host.address, host.login.port


class Conversation:
    """A command of a host that is told one line after another, and answers each."""

    def __init__(
        self, connection: Connection, channel: "asyncssh.SSHClientChannel[bytes]", collector: "_Collector", what: str
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._collector = collector
        self._what = what

    def tell(self, line: str) -> None:
        """Send a line. One that has ended already is told nothing: it is heard that it answers no more."""
        if not self._channel.is_closing():
            self._channel.write(line.encode() + b"\n")

    async def hear(self, whole: Callable[[bytes], int | None], timeout: float) -> bytes:  # noqa: ASYNC109  # the SSH channel's own
        """The next answer, of the length that ``whole`` finds at its start; None while that has not come.

        Of a command that has ended, whatever it printed before. Raises LookError: none within ``timeout`` seconds, the
        connection broke, or it printed more than ANSWER_CAP.
        """
        host, collector = self._connection.host, self._collector
        length: int | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    length = whole(collector.start()) if length is None else length
                    if collector.ended or (length is not None and collector.length >= length):
                        break
                    await collector.more()
        except TimeoutError:
            said = f"{host.name}: {self._what} did not answer within {timeout:g} s"
            raise CommandTimedOutError(host.name, said) from None
        self._connection._check_size(collector, self._what)  # noqa: SLF001  # they are one: see converse
        if length is not None and collector.length >= length:
            return collector.take(length)
        if self._channel.get_exit_status() is None:
            raise self._connection._lost(collector.error or asyncssh.ConnectionLost("no exit status"))  # noqa: SLF001
        return collector.take(collector.length)

    @property
    def end(self) -> Output:
        """How a command that answers no more has ended, with what it said on stderr."""
        said = self._collector.received(asyncssh.EXTENDED_DATA_STDERR).decode(errors="replace")
        status = self._channel.get_exit_status()
        return Output("", said, -1 if status is None else status)


async def _let_end(channel: "asyncssh.SSHClientChannel[bytes]") -> None:
    """Tell a command that nothing more comes, and give it a moment to tidy up."""
    try:
        channel.write_eof()
        async with asyncio.timeout(_TIDYING):
            await channel.wait_closed()
    except (TimeoutError, OSError, asyncssh.Error):
        pass  # it ends by its own deadline
    finally:
        channel.close()


class _Progress(asyncssh.SSHClient):
    """How far a login has come."""

    def __init__(self) -> None:
        self._connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    @property
    def is_connected(self) -> bool:
        """Whether the host took the TCP connection."""
        return self._connection is not None

    @property
    def software(self) -> str:
        """What the host says that it runs, empty while it has said nothing."""
        version = self._connection.get_extra_info("server_version", "") if self._connection else ""
        return str(version).removeprefix("SSH-2.0-")


async def _ended(doing: Awaitable[T], within: float, goes_on: Callable[[], bool], most: float | None = None) -> T:
    """Wait so many seconds for what a host does, and for ``most`` (a long login) where it ``goes_on``.

    Raises TimeoutError.
    """
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait((task,), timeout=within)
        if not task.done() and goes_on():
            await asyncio.wait((task,), timeout=(most or _LONG_LOGIN) - within)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def _arrives(ssh: asyncssh.SSHClientConnection) -> bool:
    """Whether the host's kernel has acknowledged all that was sent. By way of a jump host nobody says, so it may."""
    sock = ssh.get_extra_info("socket")
    if sock is None:
        return True
    information = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKNOWLEDGED.stop)
    return not any(information[_UNACKNOWLEDGED])


class _Collector(asyncssh.SSHClientSession[bytes]):
    """Keeps what a command prints, up to the cap. Cheaper than asyncssh's streams: no reader tasks."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._printed: defaultdict[int | None, bytearray] = defaultdict(bytearray)
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._news = asyncio.Event()
        self.too_large = False
        self.ended = False
        self.error: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if sum(map(len, self._printed.values())) + len(data) > self.cap:
            self.too_large = self.ended = True
            self._news.set()
            if self._channel is not None:
                self._channel.close()
            return
        self._printed[datatype] += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.error = True, exc
        self._news.set()

    async def more(self) -> None:
        """Wait until something has come since the last time, or nothing comes any more."""
        await self._news.wait()
        self._news.clear()

    @property
    def length(self) -> int:
        """How many bytes of stdout have come that were not taken."""
        return len(self._printed[None])

    def start(self) -> bytes:
        """The first of them, as many as a frame takes at most."""
        return bytes(self._printed[None][:_LONGEST_FRAME])

    def received(self, datatype: int | None = None) -> bytes:
        return bytes(self._printed[datatype])

    def take(self, length: int) -> bytes:
        """So many bytes of stdout: they count no longer."""
        taken = bytes(self._printed[None][:length])
        del self._printed[None][:length]
        return taken


def _user(host: Host) -> str:
    return host.login.user or "the user of your SSH configuration"


def known_hosts_path(host: Host) -> Path:
    return host.login.known_hosts or Path("~/.ssh/known_hosts").expanduser()


async def offered_host_key(host: Host) -> tuple[str, str]:
    """The key that a host shows now: its line for known_hosts and its fingerprint. Trusts nothing by itself.

    Raises LookError when the host shows none.
    """
    port = host.login.port or 22
    jump = _jump_host(host)
    connection = Connection(jump) if jump else None
    tunnel: dict[str, Any] = {"tunnel": await connection.connected()} if connection else {}
    try:
        async with asyncio.timeout(host.login.connect_timeout):
            key = await asyncssh.get_server_host_key(host.address, port, **tunnel)
    except (TimeoutError, OSError, asyncssh.Error) as error:
        raise SshUnreachableError(
            host.name, f"{host.name}: no SSH host key from {host.address} port {port}: {str(error) or 'timed out'}"
        ) from error
    finally:
        if connection is not None:
            await connection.close()
    if key is None:
        raise SshUnreachableError(host.name, f"{host.name}: {host.address} port {port} offered no host key")
    where = host.address if port == 22 else f"[{host.address}]:{port}"  # noqa: PLR2004  # SSH's own port
    return f"{where} {key.export_public_key('openssh').decode().strip()}", key.get_fingerprint()


def _jump_host(host: Host) -> Host | None:
    """The host that this one is reached through, verified and logged in to like any other.

    ``proxy_jump`` is ``[user@]address[:port]``; of several, with commas between, the last is the nearest.
    """
    login = host.login
    if login.proxy_jump is None:
        return None
    before, _, nearest = login.proxy_jump.rpartition(",")
    user, _, place = nearest.rpartition("@")
    parts = urlsplit(f"ssh://{place}")  # knows the brackets of IPv6
    address = parts.hostname or place
    jump = replace(login, user=user or login.user, port=parts.port, proxy_jump=before or None)
    return Host(f"{host.name} by way of {address}", address, (), jump)


async def _login(host: Host, place: tuple[str, int] | None, **options: Any) -> asyncssh.SSHClientConnection:
    """Connect and log in. Names are asked for by ``addresses_of``: the event loop's own threads may all be taken."""
    if place is None:
        return await asyncssh.connect(host.address, **options)
    sock = await _connected_to(*place)
    try:
        return await asyncssh.connect(host.address, sock=sock, **options)
    except BaseException:
        sock.close()
        raise


async def _connected_to(target: str, port: int) -> socket.socket:
    """The first address that accepts. Raises OSError, of the last one."""
    failed: OSError | None = None
    for family, kind, protocol, _, address in await addresses_of(target, port):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)  # noqa: FBT003  # the socket API has no keyword for it
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or socket.gaierror(socket.EAI_NODATA, f"{target} has no address")


async def _options(host: Host) -> tuple[dict[str, Any], tuple[str, int] | None]:
    """The options of asyncssh, and the name and port that it would connect to: None where it goes another way.

    What is left out comes from the user's ~/.ssh/config and agent.
    """
    login = host.login
    options: dict[str, Any] = {
        "known_hosts": _known_hosts(known_hosts_path(host)),
        "keepalive_interval": login.keepalive,
        "keepalive_count_max": 3,
        "preferred_auth": "publickey",
        "family": socket.AF_UNSPEC,
    }
    chosen = {
        "username": login.user,
        "port": login.port,
        "client_keys": [str(login.identity_file)] if login.identity_file else None,
    }
    options |= {name: value for name, value in chosen.items() if value is not None}
    resolved = await _resolved(host, options)
    if resolved.encryption_algs == get_default_encryption_algs():  # ~/.ssh/config does not say which to use
        options["encryption_algs"] = _CIPHERS
    another_way = any((login.proxy_jump, resolved.tunnel, resolved.proxy_command, resolved.local_addr))
    return options, None if another_way else (resolved.host, resolved.port)


async def _resolved(host: Host, options: dict[str, Any]) -> asyncssh.SSHClientConnectionOptions:
    """The options, together with what the user's ~/.ssh/config says."""
    absent: dict[str, Any] = {"config": (), "port": (), "tunnel": (), "local_addr": ()}
    resolved: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
        None, host=host.address, **(absent | options)
    )
    return resolved


def _known_hosts(path: Path) -> asyncssh.SSHKnownHosts:
    """The pinned keys, none where there is no file. Read again only when the file changed."""
    try:
        stat = path.stat()
    except OSError:
        return asyncssh.import_known_hosts("")
    return _read_known_hosts(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=8)
def _read_known_hosts(path: Path, mtime_ns: int, size: int) -> asyncssh.SSHKnownHosts:
    del mtime_ns, size  # they are the version of the file
    return asyncssh.read_known_hosts(str(path))


def _pinned_keys(host: Host) -> bool:
    known = _known_hosts(known_hosts_path(host))
    keys, authorities, *_ = known.match(host.address, host.address, host.login.port or 22)
    return bool(keys or authorities)
