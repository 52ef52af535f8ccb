"""First-use pinning of a host's key in known_hosts: only ever on a person's word, and never over another key."""

import os
from enum import StrEnum
from pathlib import Path

import asyncssh


class Known(StrEnum):
    """What known_hosts says about the key that a host offers."""

    SAME = "the same key"
    NONE = "no key"
    DIFFERENT = "another key"
    REVOKED = "a revocation of this key"


def known(text: str, line: str) -> Known:
    """Compare a known_hosts text with a line ``PATTERN TYPE KEY`` of the same format. Hashed names are understood.

    A key of another type counts as different: the one who impersonates a host chooses the type.
    """
    pattern, _, key_text = line.partition(" ")
    address, port = _address(pattern)
    offered = asyncssh.import_public_key(key_text)
    keys, authorities, revoked, *_ = asyncssh.import_known_hosts(text).match(address, address, port)
    if offered in revoked:
        return Known.REVOKED
    if offered in keys:
        return Known.SAME
    return Known.DIFFERENT if keys or authorities else Known.NONE


def add(path: Path, line: str) -> None:
    """Append a line to a known_hosts file, which is made if there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)  # public keys; another user may run the bot
    with os.fdopen(descriptor, "r+b") as file:
        before = file.read()
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        file.write(gap + line.encode() + b"\n")


def _address(pattern: str) -> tuple[str, int | None]:
    """The address and port of ``10.0.0.11`` or ``[10.0.0.11]:2222``."""
    if not pattern.startswith("["):
        return pattern, None
    address, _, port = pattern[1:].partition("]:")
    return address, int(port)
