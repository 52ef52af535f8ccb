"""What names stand for: /etc/hosts and the name servers of resolv.conf, asked without a thread of the event loop's.

The system's own getaddrinfo cannot be given up. While a name server is silent it takes every thread that the event loop
has, and then nothing is resolved any more, nor reached.
"""

import asyncio
import functools
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from checks.collect.soundness import NoNameServerError

if TYPE_CHECKING:
    from checks.collect.name_servers import NameServers

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As getaddrinfo has it: family, type, protocol, canonical name, address."""

DEADLINE = 1.5
"""Seconds in which a name server has answered. An attempt has 3 s in all, and has to connect too."""

_FRESH_FOR = 5.0, 60.0
"""Seconds for which an answer holds: as long as the name server says, but no less and no more."""

_KEPT_FOR = 3600.0
"""Seconds for which an answer is used while no name server answers. It is no sign that the service moved."""

_SILENCE = 5.0
"""Seconds in which a name that no name server answered for is not asked for again, but what is known used."""


@dataclass(frozen=True)
class _Known:
    """Where a name leads to: families and addresses without a port. ``fresh_until`` and ``at`` are the event loop's."""

    places: tuple[tuple[int, tuple[Any, ...]], ...]
    at: float
    fresh_until: float


class Names:
    """Asks for names, each one once at a time, and keeps the answers. Of one event loop."""

    def __init__(self, servers: Sequence[str] | None = None) -> None:
        """``servers``: addresses, with ``:PORT`` where it is not 53. None for those of resolv.conf, as it changes."""
        self._servers = servers
        self._asked_of: NameServers | None = None
        self._known: dict[str, _Known] = {}
        self._silent_until: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[_Known]] = {}

    async def addresses(self, name: str, port: int) -> Sequence[AddressInfo]:
        """The addresses that a TCP client would try, in this order.

        Raises socket.gaierror where there is no such name, and NoNameServerError where nobody could tell.
        """
        known = await self._lookup(name)
        return [
            (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address[0], port, *address[1:]))
            for family, address in known.places
        ]

    async def close(self) -> None:
        """Ask for nothing any more."""
        for asking in self._asking.values():
            asking.cancel()
        if self._asked_of is not None:
            await self._asked_of.close()
            self._asked_of = None

    async def _lookup(self, name: str) -> _Known:
        now = asyncio.get_running_loop().time()
        known = self._known.get(name)
        if known is not None and now < known.fresh_until:
            return known
        usable = known is not None and now < known.at + _KEPT_FOR
        if now < self._silent_until.get(name, 0.0):
            if known is not None and usable:
                return known
            raise NoNameServerError(f"no name server answered for {name} just now")
        try:
            async with asyncio.timeout(DEADLINE):
                return await asyncio.shield(self._asked(name))
        except (NoNameServerError, TimeoutError) as error:
            self._silent_until[name] = asyncio.get_running_loop().time() + _SILENCE
            if known is not None and usable:
                return known
            raise NoNameServerError(
                f"no name server could tell where {name} is: {str(error) or 'timed out'}"
            ) from error

    def _asked(self, name: str) -> asyncio.Task[_Known]:
        """The question after a name, which all share who want to know. It goes on when one of them gives up."""
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._ask(name))
            asking.add_done_callback(functools.partial(self._answered, name))
        return asking

    def _answered(self, name: str, asking: asyncio.Task[_Known]) -> None:
        del self._asking[name]
        if asking.cancelled() or isinstance(asking.exception(), NoNameServerError):
            return
        self._silent_until.pop(name, None)
        self._known.pop(name, None)
        if asking.exception() is None:
            self._known[name] = asking.result()

    async def _ask(self, name: str) -> _Known:
        from checks.collect.name_servers import NameServers  # noqa: PLC0415  # a library that addresses do not need

        if self._asked_of is None:
            self._asked_of = NameServers(self._servers)
        answer = await self._asked_of.ask(name)
        now, (least, most) = asyncio.get_running_loop().time(), _FRESH_FOR
        return _Known(answer.places, now, now + min(max(answer.ttl, least), most))


_NAMES: WeakKeyDictionary[asyncio.AbstractEventLoop, Names] = WeakKeyDictionary()


async def addresses_of(target: str, port: int) -> Sequence[AddressInfo]:
    """The addresses of a name, or of what is an address already, which nobody is asked about. See ``Names``."""
    literal = _literal(target, port)
    if literal is not None:
        return literal
    return await _NAMES.setdefault(asyncio.get_running_loop(), Names()).addresses(target, port)


def use(names: Names) -> None:
    """Ask these for names in this event loop, rather than those that are made when the first name is wanted."""
    _NAMES[asyncio.get_running_loop()] = names


async def close() -> None:
    """Ask for no name any more in this event loop, until the next one is wanted."""
    names = _NAMES.pop(asyncio.get_running_loop(), None)
    if names is not None:
        await names.close()


@functools.lru_cache(maxsize=8192)
def _literal(target: str, port: int) -> Sequence[AddressInfo] | None:
    try:
        return tuple(socket.getaddrinfo(target, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return None
