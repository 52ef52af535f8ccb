"""Pinning a host's key: on a person's word, and never over another key."""

import hmac
from base64 import b64encode
from pathlib import Path

import asyncssh

from bot.cli.known_hosts import Known, add, known


def line(pattern: str = "10.0.0.11", kind: str = "ssh-ed25519") -> str:
    key = asyncssh.generate_private_key(kind)
    return f"{pattern} {key.export_public_key('openssh').decode().strip()}"


def test_a_host_without_a_key_may_be_pinned() -> None:
    assert known("", line()) is Known.NONE
    assert known(line("10.0.0.12"), line("10.0.0.11")) is Known.NONE


def test_a_key_that_is_pinned_already_is_the_same() -> None:
    pinned = line()
    assert known(f"# a comment\n{pinned}\n", pinned) is Known.SAME


def test_another_key_is_never_overwritten() -> None:
    assert known(line(), line()) is Known.DIFFERENT


def test_a_key_of_another_type_is_another_key() -> None:
    assert known(line(kind="ecdsa-sha2-nistp256"), line()) is Known.DIFFERENT


def test_a_revoked_key_is_refused() -> None:
    pinned = line()
    assert known(f"@revoked {pinned}", pinned) is Known.REVOKED


def test_another_port_is_another_server() -> None:
    pinned = line("[10.0.0.11]:2222")
    assert known(pinned, pinned) is Known.SAME
    assert known(pinned, line("[10.0.0.11]:2200")) is Known.NONE
    assert known(pinned, line("[10.0.0.11]:2222")) is Known.DIFFERENT


def test_a_hashed_entry_is_understood() -> None:
    salt = b"twenty bytes of salt"
    name = b64encode(hmac.digest(salt, b"10.0.0.11", "sha1")).decode()
    pinned = line("10.0.0.11")
    hashed = pinned.replace("10.0.0.11", f"|1|{b64encode(salt).decode()}|{name}")
    assert known(hashed, pinned) is Known.SAME
    assert known(hashed, line("10.0.0.11")) is Known.DIFFERENT
    assert known(hashed, line("10.0.0.99")) is Known.NONE


def test_a_key_is_added_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known_hosts"
    add(path, "first")
    path.write_text("first")  # somebody's editor left out the newline
    add(path, "second")
    assert path.read_text() == "first\nsecond\n"
    assert path.stat().st_mode & 0o022 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
