"""The kernel's counters, and those of loss that rose while known attempts were made."""

from checks.evidence.counting import rising
from checks.facts.counters import COUNTERS
from checks.source import Facts, Unavailable
from tests import recordings
from tests.unit.checks.watched_looks import PLATFORM

FOLDER = recordings.FOLDER / PLATFORM


def test_every_counter_of_loss_is_read() -> None:
    counters = recordings.replay(FOLDER / "docker0-forwarding-off.json").need(COUNTERS)
    names = {"XfrmOutPolBlock", "SoftnetDropped", "ConntrackDrop", "ConntrackInsertFailed", "TcpExtListenOverflows"}
    assert names <= set(counters.packets)


def test_a_recording_from_before_has_those_that_it_has() -> None:
    counters = recordings.replay(FOLDER / "container-paused.json").need(COUNTERS)
    assert "IpInAddrErrors" in counters.packets
    assert "SoftnetDropped" not in counters.packets


def test_statistics_of_each_processor_are_added_up() -> None:
    recorded = recordings.load(FOLDER / "docker0-forwarding-off.json")
    output = recorded.outputs["counters"]
    head, mark, _ = output.stdout.partition("@ dropped\n")
    rest = "entries drop early_drop insert_failed\n0 0a 1 2\n0 1 0 0\n@ xfrm\nXfrmInNoPols \t7\n@ softnet\n0 3\n0 10\n"
    facts = Facts("host1", recorded.at, {"counters": type(output)(head + mark + rest)})
    counters = facts.get(COUNTERS)
    assert not isinstance(counters, Unavailable)
    assert counters.dropped == 0x0A + 1 + 1
    assert counters.packets["ConntrackInsertFailed"] == 2
    assert counters.packets["XfrmInNoPols"] == 7
    assert counters.packets["SoftnetDropped"] == 0x13


def test_what_rose_by_the_number_of_attempts_is_quoted_whether_or_not_a_cause_knows_it() -> None:
    [told] = rising(recordings.replay(FOLDER / "docker0-forwarding-off.json"))
    assert told.says.startswith("IpInAddrErrors by ")
    assert told.says.endswith("while 3 attempts were made")


def test_what_rises_with_every_packet_is_no_loss() -> None:
    for state in ("container-drops-by-its-own-firewall", "docker-user-drops"):
        assert rising(recordings.replay(FOLDER / f"{state}.json")) == ()
