"""Docker's rules are whole, and no packet comes to them: something before them has taken it elsewhere."""

import re

from checks.causes.cause import BY_A_RULE, Cause, Judgement, fail, passed
from checks.causes.docker_rules import (
    answers_inside,
    end_point,
    inside,
    instead,
    missing_accept,
    not_by_iptables,
    unaccepted,
)
from checks.evidence.packet import agrees, followed, packet_of, risen
from checks.facts.addresses import ADDRESSES
from checks.facts.firewalld import FIREWALLD
from checks.facts.netfilter import Rule
from checks.look import Look
from checks.model import Evidence, FixId, Vantage
from checks.walk import Backend, Hook, Place

_ACCEPTING = re.compile(r"DOCKER(-FORWARD|-BRIDGE|-CT|-INTERNAL)?")
"""The chains that lead to Docker's accept rule; it writes RETURN only in others (libnetwork, moby 28)."""


def _docker_nat_rule_bypassed(look: Look) -> Judgement:  # noqa: PLR0911  # one return a way past the rule
    """An ACCEPT in nat PREROUTING ends the table for the packet, before Docker's jump is asked; or it is not tracked.

    Seen on Docker 28.5 with firewalld 2.5 and its iptables backend: the zone's chain ends with ACCEPT, and dockerd
    adds its jump behind that. The packet then meets INPUT, as if the port were not published.
    """
    not_its_work = not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    netfilter = look.rules_for_clients
    rule = next(netfilter.dnat(look.service.port), None)
    if rule is None or not netfilter.jumps("nat", "PREROUTING", "DOCKER"):
        return passed("there is no DNAT rule for the port, or nothing jumps to it")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    trace, meant = followed(look), rule.option("-d", "--destination")
    other = meant is not None and meant.partition("/")[0] != packet_of(look).destination
    targets = {one.option("--to-destination") for one in netfilter.dnat(look.service.port)}
    if trace.translated is not None and trace.complete and end_point(*trace.translated) not in targets:
        return _taken_before(look, rule, trace.translated)
    in_time = trace.translated is not None or trace.hook_reached in {Hook.INGRESS, Hook.PREROUTING}
    if other or in_time or not trace.complete:
        return passed(f"nat: {rule.says}{': for another address' if other else ''}")
    rules = netfilter.rules("nat", "PREROUTING")
    before = rules[: next(number for number, one in enumerate(rules) if one.target == "DOCKER")]
    firewalld = look.may(FIREWALLD)
    missed = Evidence("netfilter", f"nat: {rule.says}, and no packet comes to it")
    if not trace.tracked:
        return fail(
            missed,
            Evidence("rules", "a rule has its connections not tracked (NOTRACK): table nat is not asked about them"),
            *instead(look),
            sure=answers_inside(look),
            advice=("sudo iptables -t raw -nvL PREROUTING; sudo nft list ruleset | grep -B9 notrack   # that rule",),
        )
    return fail(
        missed,
        Evidence("netfilter", f"before Docker's jump something accepts it: {'; '.join(one.says for one in before)}"),
        *instead(look),
        sure=answers_inside(look) and bool(before),
        advice=(
            "sudo sed -i 's/^FirewallBackend=.*/FirewallBackend=nftables/' /etc/firewalld/firewalld.conf",
            "sudo systemctl restart firewalld.service && sudo systemctl restart docker.service",
        )
        if firewalld is not None and firewalld.running and firewalld.backend == "iptables"
        else ("sudo iptables -t nat -nvL PREROUTING --line-numbers   # what stands before Docker's jump",),
    )


def _taken_before(look: Look, rule: Rule, elsewhere: tuple[str, int]) -> Judgement:
    """Another rule sends the packets on first: Kubernetes' for a host port, a transparent proxy's, one left behind."""
    address, port = elsewhere
    rules = look.rules_for_clients.rules("nat", "PREROUTING")
    before = rules[: next(number for number, one in enumerate(rules) if one.target == "DOCKER")]
    whose = ", a port of the host itself" if address in look.need(look.of_clients(ADDRESSES)).every_address else ""
    return fail(
        Evidence("netfilter", f"nat: {rule.says}, and no packet comes to it"),
        Evidence("rules", f"another rule sends it to {end_point(address, port)} first{whose}"),
        Evidence("netfilter", f"before Docker's jump stands: {'; '.join(one.says for one in before) or 'nothing'}"),
        *instead(look),
        sure=look.answers_at(Vantage.CONTAINER) is True and bool(before),
        advice=(
            "sudo iptables -t nat -nvL PREROUTING --line-numbers   # which rule stands before Docker's jump, and whose",
            "# KUBE-, CNI-: Kubernetes has that port (k3s: its service load balancer); REDIRECT: a transparent proxy;",
            "# a rule of nobody's: the owner's script or saved rules bring it back",
        ),
    )


def _docker_forward_rule_bypassed(look: Look) -> Judgement:
    """A rule of somebody's sends the packet past Docker's accept rule, to the policy: RETURN, or -g (iptables(8)).

    A restart of dockerd leaves such a rule where it is.
    """
    blocker = unaccepted(look)
    if isinstance(blocker, str):
        return passed(blocker)
    if missing_accept(look, blocker):
        return passed("a rule of Docker's own is gone: see docker-forward-rule-missing")
    past = [place for place, rise in risen(look).items() if _leads_past(place) and rise >= (blocker.attempts or 1)]
    counted = f"counted each of the {blocker.attempts} attempts, and leads past Docker's accept rule"
    return fail(
        Evidence("netfilter", "Docker's rules are all there, and none of them let the packet through"),
        *(Evidence("rules", f"{place.says}: {counted}") for place in past),
        *blocker.evidence,
        *inside(look),
        sure=bool(past) and agrees(look, blocker) and answers_inside(look),
        advice=(
            "sudo iptables -nvL FORWARD --line-numbers; sudo iptables -nvL DOCKER --line-numbers   # what leads past",
            "# whoever made it makes it again: a script, saved rules",
        ),
    )


def _leads_past(place: Place) -> bool:
    """Whether a rule leaves FORWARD, or the chain in which Docker accepts, and is none that Docker writes itself."""
    ends = place.text.endswith("-j RETURN") and (place.chain == "FORWARD" or bool(_ACCEPTING.fullmatch(place.chain)))
    return place.table == "filter" and place.backend is not Backend.NFTABLES and (ends or " -g " in place.text)


DOCKER_FORWARD_RULE_BYPASSED = Cause(
    "docker-forward-rule-bypassed",
    "a rule leads packets past Docker's rule that lets them through",
    _docker_forward_rule_bypassed,
    rank=22,
    death=BY_A_RULE,
)
DOCKER_NAT_RULE_BYPASSED = Cause(
    "docker-nat-rule-bypassed",
    "packets never come to Docker's NAT rule",
    _docker_nat_rule_bypassed,
    rank=21,
    fixes=(FixId.OPEN_FIREWALLD_PORT,),
)
