"""A host that is up and looks dead to dockerhealth, which it keeps out or keeps waiting."""

from dataclasses import replace

import pytest

from checks.causes.cause import examine
from checks.causes.host import HOST_UNREACHABLE, WATCHER_REFUSED
from checks.check import report
from checks.diagnose import diagnose
from checks.look import Look, Peer
from checks.model import Confidence, Finding, ReachOutcome, Reading, Status, Trouble, Vantage, Verdict
from tests import recordings
from tests.looks import ANSWERED, REFUSED, TIMED_OUT, blind

PLATFORMS = recordings.having("watcher-dropped")
ADDRESS = "192.0.2.7"
ROUTER = "192.0.2.1"
SILENT = Trouble("ssh-timed-out", "host1: no SSH connection within 5 s at 192.0.2.7")
RESET = Trouble("ssh-refused", "host1: nobody listens for SSH at 192.0.2.7")
REJECTED = Trouble("ssh-rejected", "host1: it is up, and its own firewall rejects SSH from here")
BY_ITS_FIREWALL = replace(REFUSED, address=ADDRESS, rejected_by=ADDRESS)
BY_A_ROUTER = replace(REFUSED, address=ADDRESS, rejected_by=ROUTER)


def seen(reading: Reading) -> Reading:
    return replace(reading, vantage=Vantage.PEER, by="host2")


ANSWERS_OTHERS = Peer("host2", seen(ANSWERED), ANSWERED, sshd=seen(ANSWERED))
ILL = Peer("host2", seen(REFUSED), ANSWERED, sshd=seen(REFUSED))
UNASKED = Peer("host2", None, ANSWERED, Trouble("ssh-login-refused", "host2: refused the login"))


def blocked(outside: Reading, trouble: Trouble, *peers: Peer) -> Look:
    return replace(blind(outside, trouble), peers=peers)


def refused(look: Look) -> Finding:
    return examine(WATCHER_REFUSED, look)


def recorded(platform: str, state: str) -> Look:
    return recordings.replay(recordings.FOLDER / platform / f"{state}.json")


def root(look: Look) -> tuple[str, Confidence]:
    found = diagnose(look).root
    assert found is not None
    return found.cause, found.confidence


# --- a host that keeps dockerhealth waiting ---


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("state", ["session-slow-and-ip-forward-off", "login-slow-and-ip-forward-off"])
def test_a_login_of_nine_seconds_is_waited_for_and_what_is_really_wrong_is_found(platform: str, state: str) -> None:
    assert root(recorded(platform, state)) == ("ip-forward-off", Confidence.PROVEN)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        ("session-does-not-start-and-ip-forward-off", "ssh-session-timed-out"),
        ("login-does-not-end-and-ip-forward-off", "ssh-login-timed-out"),
    ],
)
def test_a_host_that_keeps_us_waiting_is_up_and_what_else_is_wrong_is_undetermined(
    platform: str, state: str, trouble: str
) -> None:
    look = recorded(platform, state)
    assert look.trouble is not None
    assert look.trouble.id == trouble
    assert root(look)[0] == "undetermined"
    assert "something at that address answers" in examine(HOST_UNREACHABLE, look).why


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_service_that_answers_is_not_ill_because_nobody_can_log_in(platform: str) -> None:
    look = recorded(platform, "session-does-not-start")
    assert report(look, recordings.RECORDED_AT, 0).status is Status.UNKNOWN
    assert "logged in as dockerhealth, and the session does not start" in (look.trouble.says if look.trouble else "")


@pytest.mark.parametrize(
    "trouble", ["ssh-closed", "ssh-login-timed-out", "ssh-session-timed-out", "ssh-rejected", "ssh-rejected-on-the-way"]
)
def test_an_answer_of_any_kind_on_the_ssh_port_is_no_host_that_does_not_answer(trouble: str) -> None:
    look = blind(TIMED_OUT, Trouble(trouble, "host1: no login"))
    assert root(look)[0] == "undetermined"


# --- a host that does not let dockerhealth in: no other one can be asked ---


@pytest.mark.parametrize("platform", PLATFORMS)
def test_silence_that_only_this_address_has_seen_is_likely_and_no_more(platform: str) -> None:
    """It is a ban by DROP, and would look the same were the host dead."""
    look = recorded(platform, "watcher-dropped")
    assert root(look) == ("host-unreachable", Confidence.LIKELY)
    advice = diagnose(look).causes[0].advice
    assert any("fail2ban-client banned" in line for line in advice)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("state", ["watcher-rejected", "watcher-rejected-before-the-login"])
def test_a_host_that_rejects_is_up_and_without_another_one_that_is_all_that_is_said(platform: str, state: str) -> None:
    look = recorded(platform, state)
    assert root(look)[0] == "undetermined"
    assert look.trouble is not None
    assert look.trouble.id == "ssh-rejected"
    assert "nobody listens" not in look.trouble.says
    assert refused(look).verdict is Verdict.SKIP


def test_that_it_rejects_this_address_is_part_of_what_is_known() -> None:
    diagnosis = diagnose(blocked(BY_ITS_FIREWALL, REJECTED))
    assert diagnosis.root is not None
    says = [evidence.says for evidence in diagnosis.root.evidence]
    assert f"outside: refused at connect, by a REJECT of {ADDRESS}" in says
    assert "host1 is up: it is its own firewall that rejects port 5000, for this address" in says


def test_no_route_by_the_hosts_own_word_is_no_silence() -> None:
    prohibited = replace(TIMED_OUT, ended=ReachOutcome.NO_ROUTE, address=ADDRESS, rejected_by=ADDRESS)
    assert examine(HOST_UNREACHABLE, blocked(prohibited, SILENT)).verdict is Verdict.PASS
    nobody = replace(prohibited, rejected_by=None)
    assert examine(HOST_UNREACHABLE, blocked(nobody, SILENT)).verdict is Verdict.FAIL


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_service_that_answers_is_well_where_only_sshd_is_kept_from_us(platform: str) -> None:
    look = recorded(platform, "watcher-rejected-at-sshd")
    assert diagnose(look).causes == ()
    assert report(look, recordings.RECORDED_AT, 0).status is Status.UNKNOWN
    assert look.trouble is not None
    assert look.trouble.id == "ssh-rejected"


# --- the same with a host that can be asked ---


def test_a_host_that_rejects_this_address_and_answers_another_has_a_rule_about_this_one() -> None:
    look = blocked(BY_ITS_FIREWALL, REJECTED, ANSWERS_OTHERS)
    assert root(look) == ("watcher-refused", Confidence.PROVEN)
    says = [evidence.says for evidence in diagnose(look).causes[0].evidence]
    assert f"from here: port 5000 refused at connect, by a REJECT of {ADDRESS}" in says
    assert REJECTED.says in says
    assert "from host2: port 5000 answered 200" in says
    assert "from host2: its sshd answered 200" in says


@pytest.mark.parametrize(
    ("outside", "trouble"),
    [
        (BY_A_ROUTER, SILENT),  # a firewall on the way, which others need not pass
        (replace(TIMED_OUT, address=ADDRESS), REJECTED),  # what became of the service's packets is not known
    ],
)
def test_where_it_does_not_say_itself_that_it_rejects_the_service_that_is_likely_and_no_more(
    outside: Reading, trouble: Trouble
) -> None:
    assert root(blocked(outside, trouble, ANSWERS_OTHERS)) == ("watcher-refused", Confidence.LIKELY)


@pytest.mark.parametrize(
    ("outside", "trouble"),
    [
        (TIMED_OUT, SILENT),
        (replace(REFUSED, address=ADDRESS), RESET),  # a host that boots, maybe: the other one has asked a moment later
    ],
)
def test_without_a_reject_a_host_that_answers_another_is_undetermined_and_that_is_said(
    outside: Reading, trouble: Trouble
) -> None:
    look = blocked(outside, trouble, ANSWERS_OTHERS)
    assert root(look)[0] == "undetermined"
    assert refused(look).verdict is Verdict.SKIP
    says = [evidence.says for evidence in diagnose(look).causes[0].evidence]
    assert "host1 answers host2: a rule about this address, or what lies between, stops it" in says


def test_a_host_that_refuses_everybody_has_no_rule_about_this_address() -> None:
    finding = refused(blocked(BY_ITS_FIREWALL, REJECTED, ILL))
    assert (finding.verdict, finding.why) == (
        Verdict.PASS,
        "from host2 it does not answer either: refused at connect",
    )


def test_a_host_that_cannot_be_asked_tells_nothing_of_others() -> None:
    finding = refused(blocked(BY_ITS_FIREWALL, REJECTED, UNASKED))
    assert (finding.verdict, finding.why) == (Verdict.SKIP, "peers: host2: refused the login")


def test_a_host_that_could_be_looked_at_does_not_refuse_us() -> None:
    look = replace(recorded(PLATFORMS[0], "ip-forward-off"), peers=(ANSWERS_OTHERS,))
    assert refused(look).verdict is Verdict.PASS
