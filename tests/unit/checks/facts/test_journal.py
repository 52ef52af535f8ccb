"""The host's journal: what real hosts print, what older ones print otherwise, and what is no answer at all."""

import json

import pytest

from checks.facts.journal import JOURNAL, Event, EventKind, Journal, parse
from checks.model import Output
from checks.source import Unavailable, UnparsableError
from tests import histories
from tests.histories import at, journal, record, sudo, unit

POLKIT = (
    "Operator of unix-session:1 successfully authenticated as unix-user:root to gain ONE-SHOT authorization for "
    "action org.freedesktop.systemd1.manage-units for system-bus-name::1.23 [systemctl restart network] "
    "(owned by unix-user:ops)"
)
ALL = sorted(path.stem for path in histories.JOURNALS.iterdir())


def read(text: str, stderr: str = "") -> Journal:
    found = parse({"journal": Output(text, stderr)})
    assert not isinstance(found, Unavailable)
    return found


def only(*records: str) -> Event:
    [event] = read(journal(*records)).events
    return event


@pytest.mark.parametrize("name", ALL)
def test_the_stop_and_the_start_of_the_network_service_are_read_in_order(name: str) -> None:
    events = read(histories.recorded(name)).of_unit("network.service")
    assert [event.kind for event in events][-4:] == [
        EventKind.STOPPING,
        EventKind.STOPPED,
        EventKind.STARTING,
        EventKind.STARTED,
    ]
    assert list(events) == sorted(events, key=lambda event: event.at)


@pytest.mark.parametrize(
    ("name", "who", "by_unit"),
    [("debian12-web-program", "webpanel", "webpanel.service"), ("debian12-person", "ops", "session-")],
)
def test_a_command_of_sudo_names_its_user_and_the_unit_it_ran_in(name: str, who: str, by_unit: str) -> None:
    [asked] = [event for event in read(histories.recorded(name)).events if event.kind is EventKind.SUDO]
    assert (asked.who, asked.what) == (who, "/usr/bin/systemctl restart network.service")
    assert asked.by_unit.startswith(by_unit)


def test_a_program_that_runs_as_root_leaves_only_lines_of_its_own() -> None:
    events = read(histories.recorded("debian13-root-program")).events
    assert not [event for event in events if event.kind is EventKind.SUDO]
    assert "webpanel.service" in {event.by_unit for event in events if event.kind is EventKind.SAID}


@pytest.mark.parametrize("name", ALL)
def test_what_was_found_twice_is_one_event(name: str) -> None:
    events = read(histories.recorded(name)).events
    assert len(set(events)) == len(events)


def test_a_journal_that_may_not_be_read_is_not_an_empty_one() -> None:
    found = parse({"journal": Output("unreadable\n")})
    assert isinstance(found, Unavailable)
    assert "systemd-journal" in found.reason


@pytest.mark.parametrize("text", ["", "ended 1\n"])
def test_a_journalctl_that_failed_is_not_an_empty_journal(text: str) -> None:
    with pytest.raises(UnparsableError, match="Failed to open"):
        read(text, "Failed to open the journal")


@pytest.mark.parametrize("end", ["ended 124", ""])
def test_of_too_much_the_newest_is_kept_and_it_is_said(end: str) -> None:
    found = read("\n".join((unit("14:03:14", "Stopped", "network.service"), end)).rstrip("\n"))
    assert len(found.events) == 1
    assert not found.complete


def test_systemd_219_writes_its_json_with_blanks() -> None:
    spaced = json.dumps(json.loads(sudo("14:03:13", "ops", "/bin/systemctl restart network")), separators=(", ", " : "))
    assert only(spaced).what == "/bin/systemctl restart network"


def test_bytes_and_what_is_too_long_are_no_reason_to_fail() -> None:
    odd = record("14:03:13", list(b"\xffcaf\xc3\xa9"), SYSLOG_IDENTIFIER="tool", _SYSTEMD_UNIT="tool.service")
    assert only(odd).what.endswith("café")
    assert only(record("14:03:13", None, SYSLOG_IDENTIFIER="tool")).what == ""


def test_a_separator_within_a_message_ends_no_record() -> None:
    odd = json.loads(record("14:03:13", "one\u2028two", SYSLOG_IDENTIFIER="tool"))
    assert only(json.dumps(odd, ensure_ascii=False)).what == "one\u2028two"


def test_the_time_at_which_it_was_said_counts() -> None:
    said = str(round(at("14:03:13.900").timestamp() * 1_000_000))
    assert only(record("14:03:14", "x", _SOURCE_REALTIME_TIMESTAMP=said)).at == at("14:03:13.900")


def test_a_command_that_sudo_refused_did_nothing() -> None:
    refused = "     eve : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/systemctl stop docker"
    assert read(journal(record("14:03:13", refused, SYSLOG_IDENTIFIER="sudo"))).events == ()


@pytest.mark.parametrize(
    ("identifier", "message", "expected"),
    [
        (
            "sshd",
            "Accepted publickey for ops from 10.0.0.5 port 50 ssh2: RSA",
            (EventKind.LOGIN, "ops", "over SSH from 10.0.0.5"),
        ),
        (
            "sshd-session",
            "Accepted password for ops from ::1 port 5 ssh2",
            (EventKind.LOGIN, "ops", "over SSH from ::1"),
        ),
        ("su", "(to root) ops on pts/1", (EventKind.LOGIN, "ops", "as root, by su")),
        ("login", "ROOT LOGIN ON tty1", (EventKind.LOGIN, "root", "at tty1")),
        ("CROND", "(root) CMD (/usr/local/bin/renew)", (EventKind.CRON, "root", "/usr/local/bin/renew")),
        (
            "polkitd",
            POLKIT,
            (EventKind.POLKIT, "ops", "systemctl restart network (org.freedesktop.systemd1.manage-units)"),
        ),
        (
            "dockerd",
            'time="2026-11-24T14:03:14Z" level=info msg="Firewalld: docker zone already exists, returning"',
            (EventKind.DOCKERD, "dockerd", "Firewalld: docker zone already exists, returning"),
        ),
        (
            "kernel",
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            (EventKind.KERNEL, "", "nf_conntrack: nf_conntrack: table full, dropping packet"),
        ),
        (
            "ansible-sysctl",
            "Invoked with name=net.ipv4.ip_forward value=0",
            (EventKind.ANSIBLE, "", "ansible-sysctl: Invoked with name=net.ipv4.ip_forward value=0"),
        ),
        ("", "ansible-sysctl Invoked with value=0", (EventKind.ANSIBLE, "", "ansible-sysctl Invoked with value=0")),
    ],
)
def test_each_program_says_it_in_its_own_way(
    identifier: str, message: str, expected: tuple[EventKind, str, str]
) -> None:
    event = only(record("14:03:14", message, SYSLOG_IDENTIFIER=identifier))
    assert (event.kind, event.who, event.what) == expected


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("sshd", "Invalid user admin from 203.0.113.9"),
        ("sudo", "pam_unix(sudo:session): session closed"),
        ("kernel", "x"),
    ],
)
def test_lines_that_tell_nothing_are_no_events(identifier: str, message: str) -> None:
    assert read(journal(record("14:03:14", message, SYSLOG_IDENTIFIER=identifier))).events == ()


def test_the_probe_needs_no_root_and_leaves_our_own_looks_out() -> None:
    [probe] = JOURNAL.probes
    assert not getattr(probe, "root", True)
    assert "COMMAND=(/usr/bin/timeout -k |/usr/local/sbin/dockerhealth-root look|list)" in getattr(probe, "command", "")
