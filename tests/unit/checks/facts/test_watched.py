"""What tcpdump and the kernel write while known attempts are watched."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import ALL_FACTS, WATCHING
from checks.facts.capture import CAPTURE, MOST_PORTS, Capture, clients_to_watch, parse, ports_to_watch
from checks.facts.drops import DROPS, DropKind
from checks.facts.drops import parse as parse_drops
from checks.model import Output, Service
from checks.source import Facts, Unavailable, UnparsableError, WatchProbe
from tests import recordings
from tests.unit.checks.watched_looks import LISTENING, NONE_LOST, PLATFORM

TUN = (
    "1795897422.3 tun0 Out ifindex 9 ethertype IPv4 (0x0800), length 66: "
    "10.8.0.1.7 > 10.8.0.2.80: Flags [S], seq 5, win 1"
)
IPV6 = (
    "1795897422.4 eth0 In  ifindex 2 02:00:0a:4d:00:01 ethertype IPv6 (0x86dd), length 100: "
    "fd77::1.54118 > fd77::11.5000: Flags [S.], seq 6, ack 7, win 64800, length 0"
)
SOLICITS = (
    "1795897422.5 docker0 Out ifindex 4 02:42:0f:9b:60:4d ethertype IPv6 (0x86dd), length 92: "
    "fd01::1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fd01::2, length 32"
)
REFUSES = (
    "1795897422.6 eth0 Out ifindex 2 02:00:0a:4d:00:01 ethertype IPv6 (0x86dd), length 148: "
    "fd77::11 > fd77::1: ICMP6, destination unreachable, unreachable prohibited fd77::11, length 88"
)


def capture(*lines: str, said: str = LISTENING + NONE_LOST, status: int = 0) -> Capture | Unavailable:
    return parse({"capture": Output("".join(f"{line}\n" for line in lines), said, status)})


def seen(*lines: str) -> Capture:
    found = capture(*lines)
    assert isinstance(found, Capture)
    return found


def test_a_link_without_hardware_addresses_is_read_too() -> None:
    [one] = seen(TUN).tcp
    assert (one.interface, one.incoming, one.mac) == ("tun0", False, None)
    assert (one.destination, one.destination_port, one.asks, one.sequence) == ("10.8.0.2", 80, True, 5)


def test_ipv6_is_read_as_ipv4_is() -> None:
    found = seen(IPV6, SOLICITS, REFUSES)
    [one], [asked], [refused] = found.tcp, found.neighbours, found.icmp
    assert (one.source, one.destination_port, one.accepts, one.ack) == ("fd77::1", 5000, True, 7)
    assert (asked.address, asked.is_answer, asked.incoming) == ("fd01::2", False, False)
    assert refused.says == "destination unreachable, unreachable prohibited fd77::11"


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    assert len(seen(TUN, TUN[:90]).tcp) == 1


def test_silence_is_an_observation() -> None:
    assert seen() == Capture((), (), (), whole=True)
    assert seen("") == Capture((), (), (), whole=True)  # tcpdump 4.99 ends a line that it may not have ended


def test_what_may_not_be_all_says_so() -> None:
    assert not seen(*[TUN] * 2500).whole
    for said in (
        NONE_LOST.replace("0 packets", "7 packets"),
        NONE_LOST.replace("1 packet received", "36 packets received"),
        "",
    ):
        lossy = capture(TUN, said=LISTENING + said)
        assert isinstance(lossy, Capture)
        assert not lossy.whole


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        ("timeout: failed to run command 'tcpdump': No such file or directory\n", 127, "tcpdump is not installed"),
        (
            f"{LISTENING}dockerhealth-root: tcpdump was late\n{NONE_LOST}",
            0,
            "began only when the attempts were under way",
        ),
        ("tcpdump: any: You don't have permission\n", 1, "did not start (status 1): tcpdump: any: You don't have"),
        ("listening on any, link-type LINUX_SLL (Linux cooked v1)\n", 0, "too old to name interfaces"),
    ],
)
def test_a_host_that_cannot_be_watched_says_why(said: str, status: int, why: str) -> None:
    found = capture(said=said, status=status)
    assert isinstance(found, Unavailable)
    assert why in found.reason


def test_lines_that_nobody_knows_are_no_silence() -> None:
    with pytest.raises(UnparsableError, match="cannot read the line"):
        capture("12:00:01 IP 10.0.0.1 > 10.0.0.2")


MARK = "   sh-1  [000] ...1. 25780.9: tracing_mark_write: dockerhealth 1795897597.7 local"
LATER_MARK = "   sh-1  [000] ...1. 25781.9: tracing_mark_write: dockerhealth 1795897598.69 local"
EVENT = (
    "  curl-1 [001] .Ns1. 25781.4: kfree_skb: skbaddr=00000000af41 protocol=2048 location={} reason: IP_INADDRERRORS"
)


def drops(*lines: str, status: int = 0, said: str = "") -> Output:
    return Output("".join(f"{line}\n" for line in ("# tracer: nop", *lines)), said, status)


def test_drops_are_told_by_the_host_s_clock() -> None:
    found = parse_drops({"drops": drops(MARK, EVENT.format("ip_error+0x94/0x210"), LATER_MARK)})
    assert not isinstance(found, Unavailable)
    [one] = found
    assert one.kind == DropKind("ip_error", "IP_INADDRERRORS")
    assert one.at == pytest.approx(1795897598.2)


def test_a_kernel_that_names_no_function_still_gives_its_reason() -> None:
    found = parse_drops({"drops": drops(MARK, EVENT.format("00000000f00dcafe"))})
    assert not isinstance(found, Unavailable)
    assert found[0].kind.says == "reason IP_INADDRERRORS"


@pytest.mark.parametrize("location", ["packet_rcv", "tpacket_rcv", "__udp4_lib_rcv", "icmp_rcv", "arp_rcv"])
def test_copies_for_tcpdump_and_other_protocols_are_no_drops_of_ours(location: str) -> None:
    assert parse_drops({"drops": drops(MARK, EVENT.format(f"{location}+0x1/0x2"))}) == ()


def test_a_kernel_without_the_event_says_so() -> None:
    found = parse_drops({"drops": drops(status=69, said="the kernel has no event skb:kfree_skb\n")})
    assert found == Unavailable("what the kernel drops could not be traced: the kernel has no event skb:kfree_skb")


@given(st.data())
def test_what_is_cut_off_anywhere_is_a_fact_or_a_reason_and_never_more_than_there_was(data: st.DataObject) -> None:
    counted = recordings.replay(recordings.FOLDER / PLATFORM / "container-rejects-by-its-own-firewall.json").recount
    assert counted is not None
    whole = counted.facts.outputs
    ends = {name: data.draw(st.integers(0, len(whole[name].stdout))) for name in ("capture", "drops")}
    cut = {name: replace(whole[name], stdout=whole[name].stdout[:end]) for name, end in ends.items()}
    was, now = (Facts("host1", counted.facts.at, outputs) for outputs in (whole, cut))
    tcp_before, tcp_after = was.get(CAPTURE), now.get(CAPTURE)
    if not isinstance(tcp_after, Unavailable) and not isinstance(tcp_before, Unavailable):
        assert len(tcp_after.tcp) <= len(tcp_before.tcp)
    drops_before, drops_after = was.get(DROPS), now.get(DROPS)
    if not isinstance(drops_after, Unavailable) and not isinstance(drops_before, Unavailable):
        assert len(drops_after) <= len(drops_before)


def test_they_are_asked_of_known_attempts_only() -> None:
    assert not set(WATCHING) & set(ALL_FACTS)
    assert all(isinstance(probe, WatchProbe) for source in WATCHING for probe in source.probes)


def test_the_port_of_the_container_is_watched_beside_the_published_one() -> None:
    facts = recordings.load(recordings.FOLDER / PLATFORM / "healthy.json")
    assert ports_to_watch(facts, (Service("registry", "http://192.0.2.7:5000/v2/"),)) == (5000,)
    many = tuple(Service(str(port), f"tcp://192.0.2.7:{port}") for port in range(1, 20))
    assert len(ports_to_watch(facts, many)) == MOST_PORTS


def test_the_client_is_watched_by_itself_because_a_port_may_be_rewritten() -> None:
    facts = recordings.load(recordings.FOLDER / PLATFORM / "healthy.json")
    assert clients_to_watch(facts, (Service("registry", "http://192.0.2.7:5000/v2/"),)) == ("10.77.0.1",)
    assert clients_to_watch(facts, (Service("another", "http://192.0.2.7:5001/"),)) == ()
    assert clients_to_watch(Facts("host1", facts.at, {}), ()) == ()
