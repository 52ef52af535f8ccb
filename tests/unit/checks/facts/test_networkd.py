"""Which line decides what systemd-networkd makes of forwarding."""

import pytest

from checks.facts.networkd import Networkd, parse
from checks.model import Output
from checks.source import UnparsableError

MAIN, LATER = "/etc/systemd/networkd.conf", "/etc/systemd/networkd.conf.d/50-a.conf"


def read(*said: str) -> Networkd:
    return parse({"networkd": Output("\n".join([*said, "end"]) + "\n")})


def line(path: str, value: str, number: int = 2) -> str:
    return f"line {path}:{number}:IPv4Forwarding={value}"


def deciding(*said: str) -> str | None:
    found = read(*said).everywhere
    return found.says if found else None


def test_a_drop_in_wins_over_the_main_file_and_the_last_of_them_over_the_others() -> None:
    last = "/run/systemd/networkd.conf.d/60-b.conf"
    files = [f"file {path}" for path in (MAIN, LATER, last)]
    assert deciding(*files, line(MAIN, "yes"), line(LATER, "no")) == f"{LATER}:2 says IPv4Forwarding=no"
    assert deciding(*files, line(LATER, "no"), line(last, "yes")) == f"{last}:2 says IPv4Forwarding=yes"


def test_a_drop_in_of_etc_hides_the_one_of_its_name_elsewhere() -> None:
    hidden = "/usr/lib/systemd/networkd.conf.d/50-a.conf"
    assert deciding(f"file {LATER}", f"file {hidden}", line(hidden, "no")) is None


def test_of_two_main_files_the_first_is_read() -> None:
    vendor = "/usr/lib/systemd/networkd.conf"
    assert deciding(f"file {MAIN}", f"file {vendor}", line(vendor, "no")) is None


def test_an_interface_has_the_last_word_of_its_own_file_and_drop_ins() -> None:
    own, drop_in = "/etc/systemd/network/10-a.network", "/etc/systemd/network/10-a.network.d/x.conf"
    found = read(f"link eth0 {own} {drop_in}", "link eth1 /other", line(own, "yes", 6), line(drop_in, "no"))
    assert [one.says for one in found.against(["eth0", "eth1"])] == [f"{drop_in}:2 says IPv4Forwarding=no"]
    assert found.everywhere is None


def test_what_is_no_switch_says_nothing() -> None:
    assert deciding(f"file {MAIN}", line(MAIN, "")) is None
    assert deciding(f"file {MAIN}", line(MAIN, "maybe")) is None


def test_what_was_cut_off_is_not_read() -> None:
    with pytest.raises(UnparsableError):
        parse({"networkd": Output(f"file {MAIN}\n")})
