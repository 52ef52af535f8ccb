"""Docker's own chains and rules: a published port of a bridge network exists only through them."""

from checks.causes.cause import BY_A_RULE, IN_HOST, UNTRANSLATED, Cause, Judgement, died, fail, passed
from checks.causes.network import bridge_of
from checks.evidence.history import by_our_clock
from checks.evidence.origin import who_touched_the_firewall
from checks.evidence.packet import Blocker, Owner, agrees, below, blockers, followed, known_blockers
from checks.evidence.state import ContainerState, state_of
from checks.facts.addresses import ADDRESSES
from checks.facts.bus import BUS
from checks.facts.daemon import DAEMON
from checks.facts.engine import ENGINE, Container
from checks.facts.netfilter import NETFILTER, Netfilter, Rule
from checks.facts.units import Unit
from checks.look import Look
from checks.model import LADDER, Evidence, FixId, Stretch, Vantage
from checks.walk import Hook

_TABLES = ("nat", "filter")
_FORWARD_JUMPS = ("DOCKER-USER", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1", "DOCKER", "DOCKER-ISOLATION")


def missing_chains(netfilter: Netfilter) -> tuple[str, ...]:
    """Which of the chains that Docker keeps in every version (libnetwork, moby sources) are not there, in words."""
    return tuple(f"chain DOCKER in table {table}" for table in _TABLES if netfilter.chain(table, "DOCKER") is None)


def missing_parts(netfilter: Netfilter, port: int) -> tuple[str, ...]:
    """What of Docker's rules for a published port is not there, in words.

    FORWARD jumps to DOCKER-USER from 17.06 and to DOCKER-FORWARD from 28.0.1, to DOCKER or DOCKER-ISOLATION before.
    """
    missing = list(missing_chains(netfilter))
    if not netfilter.jumps("nat", "PREROUTING", "DOCKER"):
        missing.append("the jump from PREROUTING to DOCKER in table nat")
    if not any(netfilter.jumps("filter", "FORWARD", target) for target in _FORWARD_JUMPS):
        missing.append("any jump from FORWARD to Docker's chains in table filter")
    if next(netfilter.dnat(port), None) is None:
        missing.append(f"the DNAT rule for port {port}")
    return tuple(missing)


def _docker_chains_missing(look: Look) -> Judgement:
    """Packets are not translated any more: they meet the host's own firewall, and docker-proxy if that lets them.

    Without them a container that is not there could not be started either.
    """
    lost = look.container is None and look.service.container is not None
    not_its_work = written_otherwise(look) if lost else not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    missing = missing_chains(look.rules_for_clients)
    if not missing:
        return passed("chain DOCKER is in nat and filter")
    if look.outside.ok:
        return passed("missing, yet the service answers: see chains-missing-but-served")
    all_gone = len(missing) == len(_TABLES)
    told = "nothing of Docker's chains is left in nat and filter" if all_gone else f"missing: {'; '.join(missing)}"
    return fail(
        Evidence("netfilter", f"{told}{_of_family(look)}"),
        *_dnat_gone(look),
        *_deaf(look),
        *who_touched_the_firewall(look),
        *instead(look),
        sure=answers_inside(look) or _needed_for_start(look),
    )


def _docker_nat_rule_missing(look: Look) -> Judgement:
    not_its_work = not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    netfilter, port = look.rules_for_clients, look.service.port
    if missing_chains(netfilter):
        return passed("the chains themselves are missing")
    rule, jumps = next(netfilter.dnat(port), None), netfilter.jumps("nat", "PREROUTING", "DOCKER")
    if rule is not None and jumps:
        return passed(f"nat: {rule.says}")
    container = look.bridged
    if container is None or state_of(look, container) is not ContainerState.WELL:
        return passed("no running container publishes the port")
    if look.outside.ok:
        return passed("missing, yet the service answers through docker-proxy")
    missing = f"has no DNAT rule for port {port}" if rule is None else "is there, and PREROUTING does not jump to it"
    return fail(
        Evidence("netfilter", f"chain DOCKER of table nat{_of_family(look)} {missing}"),
        Evidence("containers", f"container {container.name} runs, and Docker believes that it publishes {port}"),
        *instead(look),
        sure=answers_inside(look),
    )


def _docker_forward_rule_missing(look: Look) -> Judgement:
    """The packet is translated, and then meets a policy of Docker's that only an accept rule of its own opens."""
    blocker = unaccepted(look)
    if isinstance(blocker, str):
        return passed(blocker)
    gone = missing_accept(look, blocker)
    if not gone:
        return passed("Docker's rules are all there: see docker-forward-rule-bypassed")
    return fail(
        Evidence("netfilter", f"{gone}{_of_family(look)}"),
        *blocker.evidence,
        *inside(look),
        sure=agrees(look, blocker) and answers_inside(look),
    )


def unaccepted(look: Look) -> Blocker | str:
    """Docker's policy in FORWARD that ends the packet, as no accept rule takes it first; or why there is none."""
    not_its_work = not_by_iptables(look)
    if not_its_work:
        return not_its_work
    if look.outside.ok:
        return f"it {look.outside.says} from outside"
    if missing_chains(look.rules_for_clients):
        return "the chains themselves are missing"
    found = (one for one in blockers(look) if one.owner is Owner.DOCKER and one.stop.hook is Hook.FORWARD)
    blocker = next(found, None)
    if blocker is None:
        return "Docker's rules let a client's packet through FORWARD"
    return _astray(look) or blocker


def _dnat_target_stale(look: Look) -> Judgement:
    """The port leads to an address that the container does not have any more."""
    container = look.forwarded
    if container is None or not container.running:
        return passed("no running container publishes the port through rules")
    netfilter = look.rules_for_clients
    rules = list(netfilter.dnat(look.service.port))
    if not rules:
        return passed("there is no DNAT rule for the port")
    wrong = stale_rules(netfilter, look.service.port, container)
    if len(wrong) < len(rules):
        return passed(f"nat: {next(rule for rule in rules if rule not in wrong).says}")
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    return fail(
        Evidence("netfilter", f"nat: {wrong[0].says}"),
        Evidence("containers", f"container {container.name} has the address {', '.join(container.addresses)}"),
        *inside(look),
        sure=look.answers_at(Vantage.HOST) is False,
    )


def stale_rules(netfilter: Netfilter, port: int, container: Container) -> list[Rule]:
    """DNAT rules of the port that lead to no address that the container has."""
    return [rule for rule in netfilter.dnat(port) if not _leads_to(rule, container)]


def not_by_iptables(look: Look) -> str:
    """Why Docker's iptables rules do not matter here; empty where they do. Raises MissingError as the next one does."""
    if look.bridged is None:
        return "this service is not published through NAT"
    return written_otherwise(look) or look.why_by_proxy


def written_otherwise(look: Look) -> str:
    """Why this Docker writes no iptables rules for any of its containers; empty where it does.

    Raises MissingError for an engine whose rules are elsewhere.
    """
    look.need_rules_in_iptables()
    settings, engine = look.may(DAEMON), look.may(ENGINE)
    if settings is not None and not settings.iptables:
        return "dockerd runs with iptables=false: it writes no rules, by its settings"
    if engine is not None and engine.rootless:
        return "this Docker runs rootless: its ports are served by rootlesskit, not by rules of the host"
    return ""


def _needed_for_start(look: Look) -> bool:
    """Whether the container could not be started for want of them, by iptables' own words."""
    container = look.bridged
    return container is not None and "No chain/target/match by that name" in container.error


def _astray(look: Look) -> str:
    """How a packet is sent elsewhere than to the container, which no accept rule can mend; empty where it is not."""
    container, trace = look.bridged, followed(look)
    if container is None:
        return ""
    bridge = bridge_of(look, container)
    addresses = look.may(look.of_clients(ADDRESSES))
    route = addresses.route_to(container.addresses[0]) if addresses and container.addresses else None
    if addresses is not None and container.addresses and (route is None or route.device is None):
        return f"the packet is sent nowhere: {route.says if route else f'no route leads to {container.addresses[0]}'}"
    if trace.translated and container.addresses and trace.translated[0] not in container.addresses:
        return f"the packet is sent to {trace.translated[0]}, which is not the container's address"
    targets = {rule.option("--to-destination") for rule in look.rules_for_clients.dnat(look.service.port)}
    if trace.translated and targets and end_point(*trace.translated) not in targets:
        return "the packet is sent to {}:{} by another rule than Docker's".format(*trace.translated)
    if trace.egress and bridge and trace.egress != bridge:
        return f"the packet would leave by {trace.egress}, not by {bridge}"
    return ""


def _of_family(look: Look) -> str:
    return " (ip6tables)" if look.by_ipv6 else ""


def end_point(address: str, port: int) -> str:
    """As iptables-save and ip6tables-save write it: ``172.17.0.2:5000``, ``[fd00::2]:5000``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _leads_to(rule: Rule, container: Container) -> bool:
    address, _, port = (rule.option("--to-destination") or "").rpartition(":")
    address = address.strip("[]")
    binding = {str(one.container_port) for one in container.published}
    return address in container.addresses and (not binding or port in binding)


def _dnat_gone(look: Look) -> tuple[Evidence, ...]:
    container, netfilter = look.bridged, look.may(look.of_clients(NETFILTER))
    if container is None or netfilter is None or any(netfilter.dnat(look.service.port)):
        return ()
    says = f"container {container.name} publishes {look.service.port}, and no DNAT rule leads to it"
    return (Evidence("containers", says),)


def missing_accept(look: Look, blocker: Blocker) -> str:
    """What would have let the packet, or the answer, past a policy, and is not there; empty where nothing is."""
    netfilter = look.rules_for_clients
    if not any(netfilter.jumps("filter", "FORWARD", target) for target in _FORWARD_JUMPS):
        return "FORWARD of table filter does not jump to any of Docker's chains"
    container = look.bridged
    if container is None:
        return ""
    binding = container.binds(look.service.port)
    ports = {None, str(binding.container_port)} if binding else {None}
    bridge, chains = bridge_of(look, container), below(netfilter, "filter", "FORWARD")
    ahead = [rule for chain in chains for rule in netfilter.rules("filter", chain)]
    if blocker.stop.reply:
        accepts = (rule for rule in ahead if rule.target == "ACCEPT" and rule.option("-i") == bridge)
        outwards = any("-o" not in rule.words or "! -o" in rule.spec for rule in accepts)
        return "" if outwards else f"no rule of FORWARD accepts what comes from {bridge}"
    addresses = {f"{address}/{128 if ':' in address else 32}" for address in container.addresses}
    of_it = [rule for rule in netfilter.rules("filter", "DOCKER") if rule.option("-d") in addresses]
    if not any(rule.target == "ACCEPT" and rule.option("--dport") in ports for rule in of_it):
        return "chain DOCKER of table filter does not accept packets for the container"
    if not any(rule.target == "DOCKER" and rule.option("-o") in {bridge, None} for rule in ahead):
        return f"no rule of FORWARD sends what is for {bridge} to chain DOCKER"
    return ""


def _deaf(look: Look) -> tuple[Evidence, ...]:
    """How it came about, as far as units and D-Bus tell."""
    docker, firewalld, bus = look.may_unit("docker.service"), look.may_unit("firewalld.service"), look.may(BUS)
    if docker is None or bus is None or firewalld is None or not firewalld.is_active:
        return ()
    heard = "is on D-Bus" if docker.main_pid in bus.pids else "is not on D-Bus: it never heard of it"
    return (Evidence("units", f"{_order(look, docker, firewalld)}; dockerd (pid {docker.main_pid}) {heard}"),)


def _order(look: Look, *units: Unit) -> str:
    started = sorted((unit.active_since, unit.name.removesuffix(".service")) for unit in units if unit.active_since)
    return ", then ".join(f"{name} started {by_our_clock(look, since)}" for since, name in started)


def instead(look: Look) -> tuple[Evidence, ...]:
    """Why docker-proxy, which still listens, does not save it: what untranslated packets meet instead."""
    rules = known_blockers(look)
    return tuple(line for one in rules if one.stop.hook is Hook.INPUT for line in one.evidence)[:2]


def inside(look: Look) -> tuple[Evidence, ...]:
    if not look.answers_at(Vantage.HOST):
        return ()
    return (Evidence(LADDER, f"from outside: {look.outside.says}; on the host, by its own address, it answers"),)


def answers_inside(look: Look) -> bool:
    return look.answers_at(Vantage.CONTAINER) is True or look.answers_at(Vantage.HOST) is True


DOCKER_CHAINS_MISSING = Cause(
    "docker-chains-missing",
    "Docker's iptables chains are gone",
    _docker_chains_missing,
    rank=20,
    fixes=(FixId.RESTART_DOCKER, FixId.OPEN_FIREWALLD_PORT),
    death=UNTRANSLATED,
)
DOCKER_NAT_RULE_MISSING = Cause(
    "docker-nat-rule-missing",
    "Docker's NAT rule for the port is gone",
    _docker_nat_rule_missing,
    rank=21,
    fixes=(FixId.RESTART_DOCKER,),
    death=UNTRANSLATED,
)
DOCKER_FORWARD_RULE_MISSING = Cause(
    "docker-forward-rule-missing",
    "Docker's rule that lets packets through to the container is gone",
    _docker_forward_rule_missing,
    rank=22,
    fixes=(FixId.RESTART_DOCKER,),
    death=BY_A_RULE,
)
DNAT_TARGET_STALE = Cause(
    "dnat-target-stale",
    "the port leads to an address that the container no longer has",
    _dnat_target_stale,
    rank=23,
    fixes=(FixId.RESTART_CONTAINER, FixId.RESTART_DOCKER),
    death=died(Stretch.TO_CONTAINER, Stretch.IN_CONTAINER, Stretch.REFUSED_BY_CONTAINER, Stretch.ELSEWHERE, *IN_HOST),
)
