"""What must hold of the walk whatever the rules are."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checks.facts import netfilter, nftables
from checks.model import Output
from checks.source import UnparsableError
from checks.walk import Place, Stop, ruleset, walk
from tests.unit.checks.walk.samples import FIREWALLD, HEALTHY, in_docker_user, packet, rules

WORDS = st.sampled_from(
    [
        *("!", "-i", "-o", "-s", "-d", "-p", "-m", "-j", "-g", "--dport", "--dports", "--ctstate", "--ctorigdstport"),
        *("--mark", "--limit", "--match-set", "--comment", "--set-xmark", "--reject-with", "--to-destination"),
        *(
            "tcp",
            "udp",
            "multiport",
            "conntrack",
            "set",
            "limit",
            "mark",
            "comment",
            "NEW",
            "DNAT",
            "5000",
            "4000:6000",
        ),
        *("4000:6000", "host0", "docker0", "docker+", "10.77.0.1/32", "0x1", "tcp-reset", '"', '"-j"'),
        *("DROP", "ACCEPT", "RETURN", "REJECT", "DOCKER", "DOCKER-USER", "LOG", "MARK", "NFQUEUE"),
    ]
)
SPECS = st.lists(WORDS, max_size=8).map(" ".join)
UNRELATED = st.sampled_from(
    [
        "-p tcp -m tcp --dport 443 -j DROP",
        "-i eth9 -j DROP",
        "-p udp -j REJECT --reject-with icmp-port-unreachable",
        "-s 192.0.2.0/24 -j ACCEPT",
        "-o eth9 -m set --match-set bad src -j DROP",
        "-d 192.0.2.7/32 -j RETURN",
    ]
)
STOPS = ["-j DROP", "-i host0 -p tcp -j REJECT --reject-with tcp-reset", "-p tcp -m multiport --dports 5000 -j DROP"]


def found(stop: Stop | None) -> tuple[str, Any] | None:
    return (stop.place.text, stop.ended) if stop else None


@given(specs=st.lists(SPECS, max_size=6))
def test_no_rule_of_iptables_makes_it_fail(specs: list[str]) -> None:
    trace = walk(rules(in_docker_user(*specs)), packet())
    assert not (trace.clear and trace.stops)
    assert trace.stop is None or trace.blocked


@given(cut=st.integers(0, len(HEALTHY)), noise=st.text(max_size=20))
def test_no_text_of_iptables_save_makes_it_fail(cut: int, noise: str) -> None:
    try:
        saved = netfilter.parse({"iptables": Output(HEALTHY[:cut] + noise + HEALTHY[cut:])})
    except UnparsableError:
        return
    walk(ruleset(saved, None, None), packet())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["tcp", "@set", "10.0.0.1", "drop"])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["match", "op", "left", "right", "meta", "key", "payload", "vmap", "data", "set", "drop", "jump"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
OBJECTS: list[dict[str, Any]] = json.loads(FIREWALLD)["nftables"]


@given(data=st.data())
def test_no_native_ruleset_makes_it_fail(data: st.DataObject) -> None:
    """What the parser takes, the walk takes too, or the ruleset says that it cannot be read."""
    objects = [dict(one) for one in OBJECTS]
    at = data.draw(st.sampled_from([i for i, one in enumerate(objects) if "rule" in one]))
    statements = data.draw(st.lists(st.dictionaries(st.sampled_from(KINDS), JSON, min_size=1, max_size=1), max_size=4))
    objects[at] = {"rule": {**objects[at]["rule"], "expr": statements}}
    native = nftables.parse({"nftables": Output(json.dumps({"nftables": objects}))})
    saved = netfilter.parse({"iptables": Output(HEALTHY)})
    walk(ruleset(saved, None, native), packet())


KINDS = [
    "match",
    "vmap",
    "jump",
    "goto",
    "reject",
    "dnat",
    "redirect",
    "counter",
    "mangle",
    "xt",
    "set",
    "limit",
    "queue",
    "x",
]


@given(
    before=st.lists(UNRELATED, max_size=3), stop=st.sampled_from([*STOPS, ""]), behind=st.lists(UNRELATED, max_size=3)
)
def test_rules_for_other_packets_change_nothing(before: list[str], stop: str, behind: list[str]) -> None:
    own = [stop] if stop else []
    with_them = walk(rules(in_docker_user(*before, *own, *behind)), packet())
    without = walk(rules(in_docker_user(*own)), packet())
    assert (with_them.clear, with_them.ended, found(with_them.stop)) == (
        without.clear,
        without.ended,
        found(without.stop),
    )


@given(stop=st.sampled_from(STOPS), behind=st.lists(SPECS, max_size=5))
def test_a_certain_stop_stays_whatever_is_behind_it(stop: str, behind: list[str]) -> None:
    trace = walk(rules(in_docker_user(stop, *behind)), packet())
    assert trace.stop is not None
    assert isinstance(trace.stop.place, Place)
    assert trace.stop.place.text == f"-A DOCKER-USER {stop}"
