"""The walk on what real hosts printed: which rule ends a client's packet, and how sure that is."""

import pytest

from checks.model import ReachOutcome
from checks.walk import Backend, Fate, Hook, Stop, rises, ruleset, walk
from tests.unit.checks.walk.samples import FIREWALLD, HEALTHY, NO_NATIVE, facts, in_docker_user, packet, rules, table_of

DROP = [{"counter": {"packets": 0, "bytes": 0}}, {"drop": None}]
TO_DOCKER = {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "docker0"}}


def stopped(save: str = HEALTHY, native: str = NO_NATIVE, legacy: str = "", port: int = 5000) -> Stop:
    """The one stop of a packet."""
    trace = walk(rules(save, native, legacy), packet(port))
    [stop] = trace.stops
    assert not trace.clear
    return stop


def test_a_healthy_host_is_clear_up_to_the_container() -> None:
    trace = walk(rules(), packet())
    assert trace.clear
    assert (trace.translated, trace.egress) == (("172.17.0.2", 5000), "docker0")
    assert (trace.stop, trace.ended, trace.hook_reached) == (None, None, Hook.POSTROUTING)


def test_a_port_that_nobody_translates_goes_to_the_host_itself() -> None:
    trace = walk(rules(), packet(81))
    assert trace.clear
    assert (trace.translated, trace.egress, trace.hook_reached) == (None, None, Hook.INPUT)


@pytest.mark.parametrize(
    ("spec", "ended"),
    [
        ("-j DROP", ReachOutcome.TIMED_OUT),
        ("-i host0 ! -s 10.99.0.0/16 -j DROP", ReachOutcome.TIMED_OUT),
        ("-p tcp -m multiport --dports 80,5000:5010 -j REJECT --reject-with tcp-reset", ReachOutcome.REFUSED),
        ("-j REJECT --reject-with icmp-port-unreachable", ReachOutcome.REFUSED),
        ("-j REJECT --reject-with icmp-host-prohibited", ReachOutcome.NO_ROUTE),
        ("-j REJECT --reject-with icmp-net-unreachable", ReachOutcome.NETWORK_UNREACHABLE),
        ("-p tcp -m conntrack --ctorigdstport 5000 --ctdir ORIGINAL -j DROP", ReachOutcome.TIMED_OUT),
        ("-m conntrack --ctstate DNAT -j DROP", ReachOutcome.TIMED_OUT),
        ('-m comment --comment "-j ACCEPT, or not" -j DROP', ReachOutcome.TIMED_OUT),
        ('-m comment --comment "-j" -p tcp -j DROP', ReachOutcome.TIMED_OUT),
        ('-m comment --comment "!" -i host0 -j DROP', ReachOutcome.TIMED_OUT),
        ("-o docker+ -m mark --mark 0x0/0xff -j DROP", ReachOutcome.TIMED_OUT),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", ReachOutcome.TIMED_OUT),
    ],
)
def test_a_rule_that_holds_is_named_with_what_a_client_gets_of_it(spec: str, ended: ReachOutcome) -> None:
    stop = stopped(in_docker_user(spec))
    assert stop.says == f"table filter, chain DOCKER-USER: -A DOCKER-USER {spec}"
    assert (stop.certain, stop.ended, stop.hook) == (True, ended, Hook.FORWARD)


@pytest.mark.parametrize(
    "spec",
    [
        "-s 10.99.0.0/16 -j DROP",
        "! -i host0 -o docker0 -p udp -j DROP",
        "-p udp -m udp --dport 5000 -j DROP",
        "-p tcp -m tcp --dport 443 -j DROP",
        "-m conntrack --ctstate INVALID -j DROP",
        "-m conntrack --ctorigdst 10.77.0.99/32 -j DROP",
        "-m mark --mark 0x1/0x1 -j DROP",
        "-m set --match-set bad src -p udp -j DROP",
        "-m limit --limit 3/min -j LOG",
        "-m iprange --src-range 10.78.0.1-10.78.0.9 -j DROP",
        "-f -j DROP",
    ],
)
def test_a_rule_for_other_packets_leaves_the_way_clear(spec: str) -> None:
    assert walk(rules(in_docker_user(spec)), packet()).clear


@pytest.mark.parametrize(
    "spec",
    [
        "-m set --match-set bad src -j DROP",
        "-m recent --update --seconds 60 --hitcount 4 -j DROP",
        "-m limit --limit 3/min -j DROP",
        "-m newmodule --some value -j DROP",
        "-m tcp --newoption 1 -j DROP",
        "-j NFQUEUE --queue-num 1",
        "-s not-an-address -j DROP",
    ],
)
def test_what_cannot_be_judged_is_a_possible_stop_and_never_clear(spec: str) -> None:
    trace = walk(rules(in_docker_user(spec)), packet())
    [stop] = trace.stops
    assert (stop.certain, trace.stop, trace.blocked, trace.clear) == (False, None, False, False)


def test_behind_an_accept_that_cannot_be_judged_a_drop_is_possible() -> None:
    trace = walk(rules(in_docker_user("-m set --match-set good src -j ACCEPT", "-j DROP")), packet())
    [stop] = trace.stops
    assert (stop.fate, stop.certain, trace.blocked) == (Fate.DROP, False, False)


def test_where_ways_meet_again_the_rest_is_certain() -> None:
    save = in_docker_user("-m set --match-set any src -j RETURN").replace(
        "[2:120] -A FORWARD -o docker0 -j DOCKER\n", ""
    )
    stop = stopped(save)
    assert (stop.place.is_policy, stop.certain) == (True, True)
    assert stop.says == "table filter, chain FORWARD: policy DROP"


def test_two_drops_of_which_the_first_is_possible_end_it_for_certain_by_either() -> None:
    trace = walk(rules(in_docker_user("-m set --match-set bad src -j DROP", "-j DROP")), packet())
    assert [stop.certain for stop in trace.stops] == [False, False]
    assert (trace.stop, trace.blocked, trace.ended) == (None, True, ReachOutcome.TIMED_OUT)


@pytest.mark.parametrize(
    "rules",
    [
        ("-j MARK --set-xmark 0x1/0xffffffff",),
        ("-j MARK --set-xmark 0x1/0x1",),
        ("-j MARK --set-xmark 0x3/0xff", "-j MARK --set-xmark 0x2/0x0"),
        ("-j CONNMARK --set-xmark 0x1/0xffffffff", "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"),
        (
            "-j MARK --set-xmark 0x1/0xffffffff",
            "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "-j MARK --set-xmark 0x0/0xffffffff",
            "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
        ),
    ],
)
def test_a_mark_that_rules_set_is_the_packet_s_from_then_on(rules: tuple[str, ...]) -> None:
    assert stopped(in_docker_user(*rules, "-m mark --mark 0x1 -j DROP")).certain


def test_a_mark_whose_number_cannot_be_read_is_not_known() -> None:
    assert not stopped(in_docker_user("-j MARK --somehow 1", "-m mark --mark 0x1 -j DROP")).certain


def test_a_goto_does_not_come_back() -> None:
    own = HEALTHY.replace(
        "[12:911] -A FORWARD -j DOCKER-USER", "[0:0] -A FORWARD -g DOCKER-USER\n[0:0] -A FORWARD -j ACCEPT", 1
    )
    assert stopped(own).says == "table filter, chain FORWARD: policy DROP"


def test_an_answer_that_is_dropped_times_out() -> None:
    stop = stopped(in_docker_user("-i docker0 -j REJECT --reject-with tcp-reset"))
    assert (stop.reply, stop.certain, stop.ended) == (True, True, ReachOutcome.TIMED_OUT)


def test_both_packet_filters_of_iptables_are_asked() -> None:
    legacy = HEALTHY.replace(" (nf_tables)", "").replace("*nat", "*raw").replace("-j ACCEPT", "-j DROP")
    stop = stopped(legacy=legacy)
    assert stop.place.backend is Backend.LEGACY
    assert stop.says.startswith("legacy table filter, chain DOCKER")


def test_a_legacy_iptables_save_is_not_counted_twice() -> None:
    old = HEALTHY.replace("v1.8.9 (nf_tables)", "v1.4.21")
    both = rules(old, legacy_save=old)
    assert {table.backend for table in both.tables} == {Backend.LEGACY}
    assert len(both.tables) == 2
    assert walk(both, packet()).clear


@pytest.mark.parametrize(("priority", "policy"), [(-1, "drop"), (10, "drop"), (-300, "accept")])
def test_a_native_chain_before_or_behind_ends_it_too(priority: int, policy: str) -> None:
    statements = [TO_DOCKER, *DROP] if policy == "accept" else []
    stop = stopped(native=table_of(statements, priority=priority, policy=policy))
    assert stop.certain
    assert stop.place.backend is Backend.NFTABLES


def test_of_two_chains_of_one_priority_either_may_be_the_first() -> None:
    trace = walk(rules(in_docker_user("-j DROP"), table_of([TO_DOCKER, *DROP], priority=0)), packet())
    assert [stop.certain for stop in trace.stops] == [False, False]
    assert (trace.blocked, trace.ended) == (True, ReachOutcome.TIMED_OUT)


def test_firewalld_lets_through_what_docker_translated() -> None:
    assert walk(rules(native=FIREWALLD), packet()).clear


def test_firewalld_ends_in_its_zone_what_it_does_not_admit() -> None:
    stop = stopped(native=FIREWALLD, port=5001)
    assert stop.says == (
        "nft table inet firewalld, chain filter_IN_public: reject with icmpx admin-prohibited (handle 72)"
    )
    assert (stop.certain, stop.ended, stop.hook) == (True, ReachOutcome.NO_ROUTE, Hook.INPUT)
    assert walk(rules(native=FIREWALLD), packet(22)).clear


def test_without_one_of_the_backends_nothing_is_clear_and_nothing_certain() -> None:
    saved, legacy, native = facts(in_docker_user("-j DROP"))
    for less in (ruleset(None, legacy, native), ruleset(saved, None, native), ruleset(saved, legacy, None)):
        [missing] = less.missing
        assert missing in {"netfilter", "legacy netfilter", "nftables"}
        trace = walk(less, packet())
        assert (trace.clear, trace.stop) == (False, None)


def test_without_legacy_tools_a_host_whose_only_iptables_is_legacy_lacks_nothing() -> None:
    old, _, native = facts(HEALTHY.replace("v1.8.9 (nf_tables)", "v1.4.21"))
    assert walk(ruleset(old, None, native), packet()).clear


def test_a_table_that_iptables_cannot_read_is_walked_as_nftables_has_it() -> None:
    said = "# Table `filter' is incompatible, use 'nft' tool.\n" + HEALTHY[HEALTHY.index("*nat") :]
    saved, legacy, native = facts(said, table_of([TO_DOCKER, *DROP]).replace("inet", "ip").replace("wall", "filter"))
    assert saved.unreadable == {"filter"}
    [stop] = walk(ruleset(saved, legacy, native), packet()).stops
    assert (stop.certain, stop.place.backend, stop.place.table) == (True, Backend.NFTABLES, "filter")


def test_counters_that_rose_are_named_by_how_much() -> None:
    before = in_docker_user("-j DROP")
    after = before.replace("[0:0] -A DOCKER-USER", "[3:180] -A DOCKER-USER")
    risen = {place.says: rise for place, rise in rises(rules(before), rules(after)).items() if rise}
    assert risen == {"table filter, chain DOCKER-USER: -A DOCKER-USER -j DROP": 3}
    policy = HEALTHY.replace(":FORWARD DROP [0:0]", ":FORWARD DROP [3:180]")
    assert [(place.text, rise) for place, rise in rises(rules(), rules(policy)).items() if rise] == [("policy DROP", 3)]


def test_rules_that_jump_into_the_chain_that_led_to_them_are_not_followed_in_circles() -> None:
    spec = "-m comment --comment {} -j DOCKER-USER"
    looped = in_docker_user(*(spec.format(number) for number in range(4)))
    assert not walk(rules(looped), packet()).clear
    assert {stop.fate for stop in walk(rules(looped), packet()).stops} == {Fate.UNKNOWN}
