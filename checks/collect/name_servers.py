"""Asks /etc/hosts and the name servers of resolv.conf, by c-ares. The only place that knows aiodns."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiodns
import pycares

from checks.collect.soundness import NoNameServerError

_EACH_TRY, _TRIES = 0.6, 2
"""Seconds that one name server is waited for, and how often each is asked."""

_NO_SUCH_NAME = {pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA, pycares.errno.ARES_EBADNAME}
"""A name server's word, RFC 2308: NXDOMAIN, and a name that has no address. All else is that it could not tell."""


_COVERED = {"files", "dns", "resolve", "myhostname", "mymachines"}
"""Sources of nsswitch.conf(5) that c-ares stands for, or that know no name which anybody serves from elsewhere."""


@dataclass(frozen=True)
class Answer:
    """Families and addresses without a port, the best first, and for how many seconds that holds."""

    places: tuple[tuple[int, tuple[Any, ...]], ...]
    ttl: int


class NameServers:
    """Of one event loop."""

    def __init__(self, servers: Sequence[str] | None) -> None:
        """``servers``: see ``Names``. Raises NoNameServerError where this machine has nothing to ask with."""
        try:
            self._resolver = aiodns.DNSResolver(servers, timeout=_EACH_TRY, tries=_TRIES)
        except pycares.AresError as error:  # no descriptors, or no memory
            raise NoNameServerError(str(error)) from error

    async def ask(self, name: str) -> Answer:
        """Raises socket.gaierror where there is no such name, and NoNameServerError where nobody could tell."""
        try:
            answer = await self._resolver.getaddrinfo(name, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            number, says = error.args
            if number in _NO_SUCH_NAME and (source := not_asked(name, _nsswitch())):
                said = f"{name}: no name server knows it, and dockerhealth does not ask {source} of nsswitch.conf"
                raise NoNameServerError(said) from error
            if number in _NO_SUCH_NAME and await self._says_so_again(name):
                raise socket.gaierror(socket.EAI_NONAME, f"{name}: {says}") from error
            raise NoNameServerError(f"{name}: {says}") from error
        places = tuple((int(node.family), (node.addr[0].decode(), *node.addr[2:])) for node in answer.nodes)
        return Answer(places, min((node.ttl for node in answer.nodes), default=0))

    async def _says_so_again(self, name: str) -> bool:
        """Whether each question alone is told the same.

        Asked for both at once, c-ares says "no data" also where one question had no answer because no descriptor was
        left for it, and the other one is told that there is no address of its kind.
        """
        for kind in ("A", "AAAA"):
            try:
                await self._resolver.query_dns(name, kind)
            except aiodns.error.DNSError as error:
                if error.args[0] not in _NO_SUCH_NAME:
                    return False
            else:
                return False
        return True

    async def close(self) -> None:
        await self._resolver.close()


def not_asked(name: str, nsswitch: str) -> str:
    """A source of nsswitch.conf(5) that may know a name which none that is asked here knows; empty for none. Pure."""
    line = next((line for line in nsswitch.splitlines() if line.startswith("hosts:")), "")
    words = re.sub(r"\[[^]]*\]", " ", line.partition("#")[0]).split()[1:]
    others = (word for word in words if word not in _COVERED and (name.endswith(".local") or "mdns" not in word))
    return next(others, "")


def _nsswitch() -> str:
    try:
        return Path("/etc/nsswitch.conf").read_text()
    except OSError:
        return ""
