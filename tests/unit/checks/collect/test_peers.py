"""The host is cut off, or the watcher is: what other hosts see decides, and where they see too little nothing does."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from checks.causes.cause import examine
from checks.causes.host import HOST_UNREACHABLE, WATCHER_OFFLINE, peers_reach_it
from checks.collect.peers import Seen, parse, script
from checks.diagnose import diagnose
from checks.look import Look, Peer
from checks.model import (
    Confidence,
    Finding,
    OwnTrouble,
    Phase,
    ReachOutcome,
    Reading,
    Service,
    ServiceKind,
    Trouble,
    Vantage,
    Verdict,
)
from checks.source import UnparsableError
from tests.looks import ANSWERED, REFUSED, TIMED_OUT, blind, look

SSH_SILENT = Trouble("ssh-timed-out", "host1: no SSH login within 5 s")
PEER_SILENT = Trouble("ssh-timed-out", "host2: no answer over SSH within 2.5 s")
PEER_REFUSED = Trouble("ssh-refused", "host2: nobody listens for SSH")
NAME_UNKNOWN = replace(TIMED_OUT, phase=Phase.RESOLVE, ended=ReachOutcome.NAME_UNKNOWN)
NO_NETWORK = replace(TIMED_OUT, ended=ReachOutcome.NETWORK_UNREACHABLE)


def seen(reading: Reading, by: str = "host2") -> Reading:
    return replace(reading, vantage=Vantage.PEER, by=by)


WELL, ILL = seen(ANSWERED), seen(TIMED_OUT)


REJECTED = seen(replace(TIMED_OUT, ended=ReachOutcome.NO_ROUTE))


def from_outside(*peers: Peer, outside: Reading = TIMED_OUT) -> Look:
    """A look at a healthy host that does not answer from here."""
    return replace(look("debian12-docker20.10.24", "healthy", outside), peers=peers)


def cut_off(*peers: Peer, outside: Reading = TIMED_OUT) -> Look:
    """The same where SSH gets no answer either."""
    return replace(blind(outside, SSH_SILENT), peers=peers)


def offline(seen_now: Look) -> Finding:
    return examine(WATCHER_OFFLINE, seen_now)


def gone(seen_now: Look) -> Finding:
    return examine(HOST_UNREACHABLE, seen_now)


# --- the watcher is cut off ---


def test_hosts_that_see_each_other_and_are_not_reached_from_here_prove_it() -> None:
    diagnosis = diagnose(from_outside(Peer("host2", WELL, TIMED_OUT, back=WELL)))
    assert diagnosis.root is not None
    assert (diagnosis.root.cause, diagnosis.root.confidence) == ("watcher-offline", Confidence.PROVEN)
    says = [evidence.says for evidence in diagnosis.root.evidence]
    assert "from here: host2 timed out at connect" in says
    assert "from host2: host1 answered 200" in says
    assert "from host1: host2 answered 200" in says


@pytest.mark.parametrize("silence", [TIMED_OUT, NO_NETWORK, NAME_UNKNOWN])
def test_silence_of_everything_is_likely_and_no_more(silence: Reading) -> None:
    finding = offline(cut_off(Peer("host2", None, silence, PEER_SILENT), outside=silence))
    assert (finding.verdict, finding.confidence) == (Verdict.FAIL, Confidence.LIKELY)


def test_a_host_that_cannot_be_asked_to_look_back_leaves_it_likely() -> None:
    finding = offline(cut_off(Peer("host2", WELL, TIMED_OUT)))
    assert (finding.verdict, finding.confidence) == (Verdict.FAIL, Confidence.LIKELY)


def test_one_of_many_that_is_ill_itself_does_not_hide_it() -> None:
    peers = Peer("host2", WELL, TIMED_OUT, back=ILL), Peer("host3", None, TIMED_OUT, back=WELL)
    finding = offline(from_outside(*peers))
    assert (finding.verdict, finding.confidence) == (Verdict.FAIL, Confidence.PROVEN)


def test_an_attempt_without_a_route_may_show_that_it_is_cut_off() -> None:
    no_way = replace(NO_NETWORK, unsound=OwnTrouble.NO_WAY)
    diagnosis = diagnose(from_outside(Peer("host2", WELL, no_way, back=WELL), outside=no_way))
    assert diagnosis.root is not None
    assert (diagnosis.root.cause, diagnosis.root.confidence) == ("watcher-offline", Confidence.PROVEN)


@pytest.mark.parametrize("trouble", [trouble for trouble in OwnTrouble if not trouble.cuts_off])
def test_an_attempt_that_any_other_trouble_of_ours_spoiled_shows_nothing(trouble: OwnTrouble) -> None:
    spoiled = replace(TIMED_OUT, unsound=trouble)
    diagnosis = diagnose(from_outside(Peer("host2", WELL, TIMED_OUT, back=WELL), outside=spoiled))
    assert [finding.cause for finding in diagnosis.causes] == ["undetermined"]
    assert trouble.says in diagnosis.causes[0].title


# --- it is not, or that cannot be told: two hosts ---


def test_a_second_host_that_is_reached_rules_it_out() -> None:
    finding = offline(from_outside(Peer("host2", WELL, ANSWERED)))
    assert (finding.verdict, finding.why) == (Verdict.PASS, "host2 is reached: answered 200")


def test_a_second_host_that_answers_badly_is_reached_all_the_same() -> None:
    answered_badly = replace(ANSWERED, ended=ReachOutcome.BAD_STATUS, status=500)
    assert offline(from_outside(Peer("host2", WELL, answered_badly))).verdict is Verdict.PASS


def test_a_service_that_the_second_host_does_not_reach_either_is_broken_for_all() -> None:
    finding = offline(from_outside(Peer("host2", ILL, TIMED_OUT, back=ILL)))
    assert (finding.verdict, finding.why) == (
        Verdict.PASS,
        "from host2 it does not answer either: timed out at connect",
    )


def test_a_second_host_that_is_broken_itself_shows_nothing() -> None:
    finding = offline(from_outside(Peer("host2", WELL, TIMED_OUT, back=ILL)))
    assert finding.verdict is Verdict.SKIP
    assert "host2 is ill itself" in finding.why


@pytest.mark.parametrize("back", [None, seen(REFUSED)])
def test_a_second_host_that_refuses_is_not_silent_and_shows_nothing(back: Reading | None) -> None:
    assert offline(cut_off(Peer("host2", WELL, REFUSED, back=back))).verdict is Verdict.SKIP


def test_a_second_host_that_refuses_ssh_was_reached_by_ssh() -> None:
    assert offline(cut_off(Peer("host2", None, TIMED_OUT, PEER_REFUSED))).verdict is Verdict.SKIP


def test_a_host_that_ssh_reaches_is_not_cut_off_only_because_no_peer_could_be_asked() -> None:
    assert offline(from_outside(Peer("host2", None, TIMED_OUT, PEER_SILENT))).verdict is Verdict.SKIP


def test_a_single_host_cannot_tell_unless_its_sshd_answers() -> None:
    assert offline(cut_off()).verdict is Verdict.SKIP
    assert offline(from_outside()).verdict is Verdict.PASS


# --- the host is not there ---


def test_a_host_that_no_peer_hears_is_unreachable_and_the_peers_are_quoted() -> None:
    heard_nothing = seen(replace(TIMED_OUT, detail="host2's link has its hardware address"))
    peer = Peer("host2", heard_nothing, ANSWERED, sshd=ILL, on_link=True)
    finding = gone(cut_off(peer))
    assert (finding.verdict, finding.confidence) == (Verdict.FAIL, Confidence.PROVEN)
    assert "from host2: timed out at connect (host2's link has its hardware address)" in [
        evidence.says for evidence in finding.evidence
    ]
    assert "firewall-cmd --query-panic" in finding.advice[0]


def test_a_host_that_has_left_the_link_is_not_suspected_of_panic() -> None:
    finding = gone(cut_off(Peer("host2", ILL, ANSWERED, sshd=ILL, on_link=False)))
    assert not [line for line in finding.advice if "panic" in line]
    assert "nobody answers there" in finding.advice[0]


@pytest.mark.parametrize(
    "peer",
    [
        Peer("host2", WELL, ANSWERED, sshd=WELL),
        Peer("host2", seen(REFUSED), ANSWERED, sshd=ILL),
        Peer("host2", ILL, ANSWERED, sshd=WELL),
        Peer("host2", REJECTED, ANSWERED, sshd=REJECTED, on_link=True),
    ],
)
def test_a_host_that_a_peer_hears_is_there(peer: Peer) -> None:
    finding = gone(cut_off(peer))
    assert finding.verdict is Verdict.PASS
    assert "host2" in finding.why


def test_no_route_where_nobody_answers_arp_is_silence() -> None:
    assert gone(cut_off(Peer("host2", REJECTED, ANSWERED, sshd=REJECTED, on_link=False))).verdict is Verdict.FAIL


def test_without_the_word_of_a_peer_a_silent_host_beside_a_reached_one_is_likely_gone() -> None:
    finding = gone(cut_off(Peer("host2", None, ANSWERED, PEER_REFUSED)))
    assert (finding.verdict, finding.confidence) == (Verdict.FAIL, Confidence.LIKELY)


def test_where_nothing_is_reached_and_nobody_can_be_asked_no_host_is_called_gone() -> None:
    assert gone(cut_off(Peer("host2", None, TIMED_OUT, PEER_SILENT))).verdict is Verdict.SKIP


def test_the_peers_that_reach_it_are_told() -> None:
    peers = Peer("host2", WELL, ANSWERED), Peer("host3", ILL, ANSWERED), Peer("host4", None, None, PEER_REFUSED)
    assert peers_reach_it(from_outside(*peers)) == peers[:1]


# --- what a peer printed ---

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REGISTRY = Service("registry", "http://10.77.0.61:5000/v2/")
SSHD = Service("sshd", "tcp://10.77.0.61:22", ServiceKind.TCP)
ANSWER = """\
@ 0 28 10.77.0.61 known
*   Trying 10.77.0.61:5000...
* ipv4 connect timeout after 500ms, move on!
* Failed to connect to 10.77.0.61 port 5000 after 500 ms: Timeout was reached
* Closing connection 0

=> 000 0.500583
@ 1 0 10.77.0.61 known

=> tcp 0.004173221
@ end
"""


def test_an_answer_is_read_service_by_service() -> None:
    registry, sshd = parse(ANSWER, (REGISTRY, SSHD), AT, "host2")
    assert isinstance(registry, Seen)
    assert isinstance(sshd, Seen)
    assert (registry.reading.says, registry.on_link) == ("timed out at connect", True)
    assert registry.reading.detail == "host2's link has its hardware address"
    assert (registry.reading.vantage, registry.reading.by) == (Vantage.PEER, "host2")
    assert (sshd.reading.ok, sshd.reading.phase) == (True, Phase.CONNECT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Welcome to host2\n",
        ANSWER.removesuffix("@ end\n"),
        ANSWER.replace("@ 1 0", "@ 7 28"),
        ANSWER.replace("@ 1 0", "@ 0 28"),
        ANSWER.replace("@ 1 0", "@ 1"),
        ANSWER.replace("known", "maybe"),
    ],
)
def test_an_answer_that_is_not_whole_is_no_reading(text: str) -> None:
    with pytest.raises(UnparsableError):
        parse(text, (REGISTRY, SSHD), AT, "host2")


def test_a_host_without_curl_still_says_whether_the_host_s_sshd_is_reached() -> None:
    text = ANSWER.replace("@ 0 28", "@ 0 127").replace("=> 000 0.500583", "curl: not found")
    registry, sshd = parse(text, (REGISTRY, SSHD), AT, "host2")
    assert registry == Trouble("output-unreadable", "host2: curl or bash is not installed on the host")
    assert isinstance(sshd, Seen)
    assert sshd.reading.ok


def test_what_is_asked_is_data_and_never_a_command() -> None:
    odd = replace(REGISTRY, kind=ServiceKind.HTTP, url="http://10.77.0.61:5000/';touch${IFS}x;'")
    assert "SERVICES='http 10.77.0.61 5000 /'\"'\"';touch${IFS}x;'\"'\"''" in script((odd,))
