"""Where a packet died, by what was seen of it at each interface, and by the kernel's own word."""

from dataclasses import replace

import pytest

from checks.evidence.journey import journey, may_journey
from checks.evidence.where import where_to_look
from checks.look import MissingError
from checks.model import Phase, ReachOutcome, Reading, Stretch, Vantage
from tests import recordings
from tests.looks import without
from tests.unit.checks.watched_looks import (
    CABLE,
    CLIENT,
    CONTAINER,
    HOST,
    PLATFORM,
    answers,
    asks,
    dropped,
    each,
    inwards,
    said,
    watched,
)

ALL = range(3)
REFUSED = Reading(Vantage.OUTSIDE, Phase.CONNECT, ReachOutcome.REFUSED, 1.0, recordings.RECORDED_AT)
SILENT = Reading(Vantage.OUTSIDE, Phase.HTTP, ReachOutcome.TIMED_OUT, 3000.0, recordings.RECORDED_AT)


def back(number: int, *places: str, by: str = f"{CONTAINER}.5000") -> list[str]:
    return [answers(number, place, by, microseconds=50 + step) for step, place in enumerate(places)]


def arrive() -> list[str]:
    return [asks(number, "host0 In") for number in ALL]


def test_it_never_came_in() -> None:
    seen = journey(watched([])).segment
    assert seen is not None
    assert seen.stretch is Stretch.BEFORE_HOST
    assert seen.says == f"it was sent by {CLIENT}, and not seen coming in by host0"


def test_most_of_them_never_came_in() -> None:
    seen = journey(watched([asks(0, "host0 In")])).segment
    assert seen is not None
    assert seen.stretch is Stretch.BEFORE_HOST


def test_it_came_in_and_the_kernel_says_why_it_went_no_further() -> None:
    drops = [dropped(number, "ip_error IP_INADDRERRORS") for number in ALL]
    found = journey(watched(arrive(), drops)).segment
    assert found is not None
    assert (found.stretch, found.reason) == (Stretch.INTO_HOST, "IP_INADDRERRORS")
    assert found.says == (
        "it was seen coming in by host0, and not leaving by docker0: the kernel dropped 3 of 3, reason "
        "IP_INADDRERRORS, in ip_error (it would have to be forwarded, and the host does not forward or has no way)"
    )


def test_a_reason_that_is_not_known_here_is_quoted() -> None:
    found = journey(watched(arrive(), [dropped(number, "f NEW_REASON") for number in ALL])).segment
    assert found is not None
    assert found.why == "the kernel dropped 3 of 3, reason NEW_REASON, in f"


def test_drops_of_others_that_are_fewer_or_at_another_time_are_noise() -> None:
    noise = [dropped(0, "ip_forward XFRM_POLICY"), dropped(1, "ip_forward XFRM_POLICY")]
    late = [dropped(number, "nft_do_chain NETFILTER_DROP", microseconds=9000) for number in ALL]
    of_ipv6 = [dropped(number, "ip6_rcv_core IPV6DISABLED", protocol=0x86DD) for number in ALL]
    found = journey(watched(arrive(), each(noise, late, of_ipv6)))
    assert found.dropped is None
    assert found.segment is not None
    assert (found.segment.why, found.segment.reason) == ("", "")
    ours = [dropped(number, "ip_error IP_INADDRERRORS") for number in ALL]
    told = journey(watched(arrive(), each(noise, late, of_ipv6, ours)))
    assert told.dropped is not None
    assert (told.dropped.kind.reason, told.dropped.noise, told.dropped.sure) == ("IP_INADDRERRORS", 2, True)
    assert told.evidence[-1].says == "other drops of the kernel in that time, which do not fit the attempts: 2"


def test_of_two_kinds_that_fit_the_nearer_is_quoted_and_is_no_reason_to_contradict_a_cause() -> None:
    near = [dropped(number, "ip_error IP_INADDRERRORS", 30) for number in ALL]
    far = [dropped(number, "ip_forward XFRM_POLICY", 90) for number in ALL]
    found = journey(watched(arrive(), each(near, far))).segment
    assert found is not None
    assert "IP_INADDRERRORS" in found.why
    assert found.reason == ""


def test_it_left_by_another_interface_than_the_container_s() -> None:
    out = [asks(number, "tailscale0 Out", f"{CONTAINER}.5000", 20) for number in ALL]
    found = journey(watched(each(arrive(), out))).segment
    assert found is not None
    assert found.stretch is Stretch.ELSEWHERE
    assert found.says == (
        f"it was seen leaving by tailscale0, and not leaving by docker0: it is sent to {CONTAINER} by tailscale0"
    )


def test_nobody_answers_for_the_container_s_hardware_address() -> None:
    question = said(0, "docker0 Out", f"Request who-has {CONTAINER} tell 172.17.0.1, length 28", "ARP (0x0806)")
    found = journey(watched(each(arrive(), [question]))).segment
    assert found is not None
    assert found.stretch is Stretch.TO_CONTAINER
    assert found.why == f"the host asks on docker0 who has {CONTAINER}, and nobody answers"
    elsewhere = question.replace("docker0 Out", "wg0 Out    ")
    vpn = journey(watched(each(arrive(), [elsewhere]))).segment
    assert vpn is not None
    assert (vpn.stretch, vpn.first_missed.name) == (Stretch.ELSEWHERE, "docker0")
    told = said(0, "docker0 In", f"Reply {CONTAINER} is-at 02:42:ac:11:00:02, length 28", "ARP (0x0806)")
    answered = journey(watched(each(arrive(), [question, told]))).segment
    assert answered is not None
    assert answered.stretch is Stretch.INTO_HOST


def test_the_bridge_keeps_it_from_the_container_s_cable() -> None:
    found = journey(watched([line for number in ALL for line in inwards(number)[:2]])).segment
    assert found is not None
    assert (found.stretch, found.first_missed.name) == (Stretch.TO_CONTAINER, CABLE)


def test_it_was_handed_to_the_container_which_is_silent() -> None:
    found = journey(watched([line for number in ALL for line in inwards(number)])).segment
    assert found is not None
    assert found.stretch is Stretch.IN_CONTAINER
    assert (
        found.says == f"it was seen leaving by {CABLE}, and not answered by container registry: {CONTAINER} is silent"
    )


def test_the_container_resets_it() -> None:
    lines = [
        line for number in ALL for line in (*inwards(number), answers(number, f"{CABLE} P", f"{CONTAINER}.5000", "R."))
    ]
    found = journey(watched(lines, outside=REFUSED)).segment
    assert found is not None
    assert found.stretch is Stretch.REFUSED_BY_CONTAINER


def test_the_host_resets_it() -> None:
    lines = [line for n in ALL for line in (asks(n, "host0 In"), answers(n, "host0 Out", f"{HOST}.5000", "R."))]
    found = journey(watched(lines, outside=REFUSED)).segment
    assert found is not None
    assert found.stretch is Stretch.REFUSED_BY_HOST
    assert found.why == "the host itself resets it: nothing listens on its port 5000, or a rule rejects it"


def test_the_host_itself_accepts_it_and_asks_no_container() -> None:
    lines = [line for n in ALL for line in (asks(n, "host0 In"), answers(n, "host0 Out", f"{HOST}.5000"))]
    found = journey(watched(lines, outside=SILENT)).segment
    assert found is not None
    assert found.stretch is Stretch.TAKEN_BY_HOST
    proxied = asks(7, "docker0 Out", f"{CONTAINER}.5000").replace(f"{CLIENT}.40007", "172.17.0.1.40007")
    assert journey(watched(each(lines, [proxied]), outside=SILENT)).segment is None


def test_where_the_container_is_not_known_it_is_who_was_sent_to_that_is_silent() -> None:
    seen = watched([line for number in ALL for line in inwards(number)])
    blind = replace(without(seen, "engine-containers", "no answer"), recount=seen.recount)
    found = journey(blind).segment
    assert found is not None
    assert (found.stretch, found.first_missed.says) == (Stretch.IN_CONTAINER, f"answered by {CONTAINER}")


@pytest.mark.parametrize(
    ("by", "stretch"), [(HOST, Stretch.REFUSED_BY_HOST), (CONTAINER, Stretch.REFUSED_BY_CONTAINER)]
)
def test_an_icmp_error_names_who_refuses_and_how(by: str, stretch: Stretch) -> None:
    error = said(0, "host0 Out", f"{by} > {CLIENT}: ICMP host {HOST} unreachable - admin prohibited filter, length 68")
    found = journey(watched(each(arrive(), [error]), outside=REFUSED)).segment
    assert found is not None
    assert found.stretch is stretch
    assert found.why == f"{by} refuses it by ICMP: host {HOST} unreachable - admin prohibited filter"


def test_the_answer_came_back_and_did_not_leave_the_host() -> None:
    lines = [line for n in ALL for line in (*inwards(n), *back(n, f"{CABLE} P", "docker0 In"))]
    drops = [dropped(number, "ip_forward XFRM_POLICY", 56) for number in ALL]
    found = journey(watched(lines, drops)).segment
    assert found is not None
    assert (found.stretch, found.reason) == (Stretch.BACK_INTO_HOST, "XFRM_POLICY")
    assert found.says.startswith("its answer was seen coming in by docker0, and not leaving by host0: the kernel")


def test_the_answer_left_by_another_interface() -> None:
    lines = [line for n in ALL for line in (*inwards(n), *back(n, f"{CABLE} P", "docker0 In", "wg0 Out"))]
    found = journey(watched(lines)).segment
    assert found is not None
    assert found.stretch is Stretch.BACK_ELSEWHERE
    assert found.says == "its answer was seen leaving by wg0, and not leaving by host0: the question came in by host0"


def test_nobody_answers_for_the_client_s_hardware_address_where_the_answer_is_to_leave() -> None:
    lines = [line for n in ALL for line in (*inwards(n), *back(n, f"{CABLE} P", "docker0 In"))]
    question = said(0, "wg0 Out", f"Request who-has {CLIENT} tell {HOST}, length 28", "ARP (0x0806)")
    found = journey(watched(each(lines, [question]))).segment
    assert found is not None
    assert found.stretch is Stretch.BACK_ELSEWHERE
    assert found.why == f"the host asks on wg0 who has {CLIENT}, and nobody answers"


def test_the_answer_left_as_from_a_port_that_nobody_asked() -> None:
    """A rule rewrites it behind all that is watched by its ports: the client's packets are watched by themselves."""
    lines = [
        line
        for n in ALL
        for line in (
            *inwards(n),
            *back(n, f"{CABLE} P", "docker0 In"),
            answers(n, "host0 Out", f"{HOST}.5999", microseconds=60),
        )
    ]
    found = journey(watched(lines)).segment
    assert found is not None
    assert (found.stretch, found.why) == (
        Stretch.BACK_UNTRANSLATED,
        f"it leaves as from {HOST} port 5999, and {HOST} port 5000 was asked",
    )


def test_the_answer_left_as_from_an_address_that_nobody_asked() -> None:
    lines = [line for n in ALL for line in (*inwards(n), *back(n, f"{CABLE} P", "docker0 In", "host0 Out"))]
    found = journey(watched(lines)).segment
    assert found is not None
    assert found.stretch is Stretch.BACK_UNTRANSLATED


def healthy_way(number: int) -> list[str]:
    out = answers(number, "host0 Out", f"{HOST}.5000", microseconds=55)
    return [*inwards(number), *back(number, f"{CABLE} P", "docker0 In"), out]


def test_the_answer_left_as_it_should_and_is_lost_after_the_host() -> None:
    found = journey(watched([line for n in ALL for line in healthy_way(n)])).segment
    assert found is not None
    assert (found.stretch, found.first_missed.name) == (Stretch.AFTER_HOST, CLIENT)


def test_no_packet_died_where_the_connection_was_made() -> None:
    found = journey(watched([line for n in ALL for line in healthy_way(n)], outside=SILENT))
    assert found.segment is None
    assert found.says == (
        f"3 of 3 attempts: host0 in, docker0 out, {CABLE} out (translated to {CONTAINER}); "
        f"accepted: {CABLE} in, docker0 in, host0 out"
    )


def test_an_earlier_attempt_that_is_repeated_is_none_of_the_known_ones() -> None:
    """Its drop may be older than the trace."""
    earlier = asks(0, "host0 In", microseconds=-60_000).replace("seq 1000", "seq 9")
    drops = [dropped(number, "ip_error IP_INADDRERRORS") for number in ALL]
    found = journey(watched([earlier, *arrive()], drops))
    assert (found.seen, found.segment and found.segment.reason) == (3, "IP_INADDRERRORS")


def test_what_was_not_wholly_seen_is_not_told() -> None:
    lost = watched(arrive(), said="listening on any, link-type LINUX_SLL2\n5 packets dropped by kernel\n")
    assert may_journey(lost) is None
    with pytest.raises(MissingError, match="tcpdump has not told all that passed by"):
        journey(lost)


TRIXIE, BOOKWORM = PLATFORM, "debian12-docker20.10.24"


@pytest.mark.parametrize(
    ("platform", "state", "stretch", "reason"),
    [
        (TRIXIE, "answer-leaves-from-another-port", Stretch.BACK_UNTRANSLATED, ""),
        (BOOKWORM, "answer-leaves-from-another-port", Stretch.BACK_UNTRANSLATED, ""),
        (TRIXIE, "question-goes-on-to-another-port", Stretch.REFUSED_BY_CONTAINER, "NO_SOCKET"),
        (BOOKWORM, "question-goes-on-to-another-port", Stretch.REFUSED_BY_CONTAINER, "NO_SOCKET"),
        (TRIXIE, "question-comes-in-for-another-port", Stretch.REFUSED_BY_HOST, "NO_SOCKET"),
        (BOOKWORM, "question-comes-in-for-another-port", Stretch.REFUSED_BY_HOST, "NO_SOCKET"),
        (TRIXIE, "container-drops-by-its-own-firewall", Stretch.IN_CONTAINER, "NETFILTER_DROP"),
        (BOOKWORM, "container-drops-by-its-own-firewall", Stretch.IN_CONTAINER, "NETFILTER_DROP"),
        (TRIXIE, "container-rejects-by-its-own-firewall", Stretch.REFUSED_BY_CONTAINER, "NETFILTER_DROP"),
        (BOOKWORM, "container-rejects-by-its-own-firewall", Stretch.REFUSED_BY_CONTAINER, "NETFILTER_DROP"),
        (TRIXIE, "container-without-default-route", Stretch.IN_CONTAINER, ""),
        (BOOKWORM, "container-without-default-route", Stretch.IN_CONTAINER, ""),
        (TRIXIE, "docker0-forwarding-off", Stretch.BACK_INTO_HOST, "IP_INADDRERRORS"),
        (BOOKWORM, "docker0-forwarding-off", Stretch.BACK_INTO_HOST, "IP_INADDRERRORS"),
        (TRIXIE, "docker-user-drops", Stretch.INTO_HOST, "NETFILTER_DROP"),
        (TRIXIE, "rule-sends-what-is-for-containers-to-a-vpn", Stretch.INTO_HOST, "NETFILTER_DROP"),
        (BOOKWORM, "dropped-before-the-host", Stretch.BEFORE_HOST, ""),
    ],
)
def test_recorded_hosts_say_where_the_packet_died(platform: str, state: str, stretch: Stretch, reason: str) -> None:
    found = journey(recordings.replay(recordings.FOLDER / platform / f"{state}.json")).segment
    assert found is not None
    assert (found.stretch, found.reason) == (stretch, reason)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        arrive(),
        [line for number in ALL for line in inwards(number)],
        [line for number in ALL for line in healthy_way(number)],
    ],
)
def test_where_it_died_is_where_to_look(lines: list[str]) -> None:
    told = where_to_look(watched(lines))
    assert told
    assert any(name in line for line in told for name in ("5000", "registry", CONTAINER, str(CLIENT)))


def test_the_kernel_s_reason_says_what_to_look_at_first() -> None:
    blocked = watched(arrive(), [dropped(number, "ip_forward XFRM_POLICY") for number in ALL])
    assert where_to_look(blocked)[0].startswith("sudo ip xfrm policy")


def test_a_drop_in_the_container_is_looked_for_there() -> None:
    reached = [line for number in ALL for line in inwards(number)]
    own = watched(reached, [dropped(number, "nft_do_chain NETFILTER_DROP") for number in ALL])
    found = journey(own).segment
    assert found is not None
    assert "dropped 3 of 3 in the container, reason NETFILTER_DROP" in found.why
    assert where_to_look(own)[0].startswith("sudo nsenter")


def test_where_nobody_watched_there_is_no_place_to_look_at() -> None:
    assert where_to_look(recordings.replay(recordings.FOLDER / PLATFORM / "healthy.json")) == ()
