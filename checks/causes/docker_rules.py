"""Docker's own chains and rules: a published port of a bridge network exists only through them."""

from checks.causes.cause import Cause, Judgement, Look, fail, passed, risk
from checks.facts.addresses import ADDRESSES
from checks.facts.bus import BUS
from checks.facts.daemon import DAEMON
from checks.facts.engine import ENGINE, Container
from checks.facts.firewalld import FIREWALLD
from checks.facts.netfilter import NETFILTER, Netfilter
from checks.facts.units import UNITS, Units
from checks.model import Evidence, Vantage

_TABLES = ("nat", "filter")
_ALL = 4  # both chains, and the jumps from PREROUTING and FORWARD
_FORWARD_JUMPS = ("DOCKER-USER", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1", "DOCKER", "DOCKER-ISOLATION")


def missing_chains(netfilter: Netfilter) -> tuple[str, ...]:
    """What of Docker's chains and the jumps to them is not there, in words.

    Names by version (libnetwork and moby sources): DOCKER in nat and filter always; FORWARD jumps to DOCKER-USER
    from 17.06 and to DOCKER-FORWARD from 28.0.1, to DOCKER or DOCKER-ISOLATION before.
    """
    missing = [f"chain DOCKER in table {table}" for table in _TABLES if not netfilter.chain(table, "DOCKER")]
    if not netfilter.jumps("nat", "PREROUTING", "DOCKER"):
        missing.append("the jump from PREROUTING to DOCKER in table nat")
    if not any(netfilter.jumps("filter", "FORWARD", target) for target in _FORWARD_JUMPS):
        missing.append("any jump from FORWARD to Docker's chains in table filter")
    return tuple(missing)


def _told(missing: tuple[str, ...]) -> str:
    if len(missing) == _ALL:
        return "nothing of Docker's chains is left in nat and filter, and nothing jumps to them"
    return f"missing: {'; '.join(missing)}"


def _docker_chains_missing(look: Look) -> Judgement:
    """Packets are not translated any more: they meet the host's own firewall, and docker-proxy if that lets them."""
    not_its_work = _not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    missing = missing_chains(look.need(NETFILTER))
    if not missing:
        return passed("chain DOCKER is in nat and filter, and PREROUTING and FORWARD jump to Docker's chains")
    if look.outside.ok:
        return passed("missing, yet the service answers: see chains-missing-but-served")
    evidence = (
        Evidence("netfilter", _told(missing)),
        *_dnat_gone(look),
        *_deaf(look),
        *_input_blocks(look),
    )
    return fail(*evidence, sure=_answers_inside(look))


def _docker_nat_rule_missing(look: Look) -> Judgement:
    not_its_work = _not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    netfilter, port = look.need(NETFILTER), look.service.port
    if missing_chains(netfilter):
        return passed("the chains themselves are missing")
    rule = next(netfilter.dnat(port), None)
    if rule is not None:
        return passed(f"nat: {rule.says}")
    container = look.bridged
    if container is None or not container.running:
        return passed("no running container publishes the port")
    if look.outside.ok:
        return passed("missing, yet the service answers through docker-proxy")
    return fail(
        Evidence("netfilter", f"chain DOCKER of table nat has no DNAT rule for port {port}"),
        Evidence("containers", f"container {container.name} runs, and Docker believes that it publishes {port}"),
        *_input_blocks(look),
        sure=_answers_inside(look),
    )


def _chains_missing_but_served(look: Look) -> Judgement:
    """Reachable only because docker-proxy answers: NAT, isolation and the containers' way out are broken."""
    not_its_work = _not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    missing = missing_chains(look.need(NETFILTER))
    if not missing:
        return passed("Docker's chains are there")
    if not look.outside.ok:
        return passed("the service is not served")
    return risk(
        Evidence("netfilter", _told(missing)),
        Evidence("path", f"it {look.outside.says} from outside, by docker-proxy alone"),
    )


def _docker_deaf_to_firewalld(look: Look) -> Judgement:
    """A dockerd that started without firewalld never hears of it, and does not put its rules back after a reload.

    dockerd gives its D-Bus connection up when firewalld is not there at its start (libnetwork a971c561d1). Not being
    on the bus is conclusive; start times alone are not.
    """
    units, bus = look.need(UNITS), look.need(BUS)
    firewalld, docker = units.get("firewalld.service"), units["docker.service"]
    if firewalld is None or not firewalld.is_active:
        return passed("firewalld is not running")
    if not docker.is_active:
        return passed("dockerd is not running")
    if docker.main_pid in bus.pids:
        return passed(f"dockerd (pid {docker.main_pid}) is on D-Bus and hears firewalld")
    return risk(
        Evidence("D-Bus", f"firewalld runs, and dockerd (pid {docker.main_pid}) is not on D-Bus: the next reload wipes")
    )


def _not_by_iptables(look: Look) -> str:
    """Why Docker's iptables rules do not matter here; empty where they do."""
    if look.bridged is None:
        return "this service is not published through NAT"
    settings, engine = look.may(DAEMON), look.may(ENGINE)
    if settings is not None and not settings.iptables:
        return "dockerd runs with iptables=false: it writes no rules, by its settings"
    if engine is not None and engine.firewall_backend == "nftables":
        return "Docker writes nftables rules of its own, not iptables chains"
    return ""


def _dnat_gone(look: Look) -> tuple[Evidence, ...]:
    container: Container | None = look.bridged
    if container is None or any(look.need(NETFILTER).dnat(look.service.port)):
        return ()
    says = f"container {container.name} publishes {look.service.port}, and no DNAT rule leads there"
    return (Evidence("containers", says),)


def _deaf(look: Look) -> tuple[Evidence, ...]:
    units, bus = look.may(UNITS), look.may(BUS)
    if units is None or bus is None or not units["docker.service"].is_active:
        return ()
    firewalld = units.get("firewalld.service")
    if firewalld is None or not firewalld.is_active:
        return ()
    docker = units["docker.service"]
    heard = "is on D-Bus" if docker.main_pid in bus.pids else "is not on D-Bus: it never heard of it"
    return (Evidence("units", f"{_order(units)}; dockerd (pid {docker.main_pid}) {heard}"),)


def _order(units: Units) -> str:
    started = sorted(
        (unit.active_since, unit.name.removesuffix(".service"))
        for name, unit in units.items()
        if name in {"docker.service", "firewalld.service"} and unit.active_since
    )
    return ", then ".join(f"{name} started {since:%Y-%m-%d %H:%M:%S} UTC" for since, name in started)


def _input_blocks(look: Look) -> tuple[Evidence, ...]:
    """Why docker-proxy, which still listens, does not save it: the host's own firewall."""
    firewalld, addresses = look.may(FIREWALLD), look.may(ADDRESSES)
    if firewalld is None or addresses is None or not firewalld.running:
        return ()
    interface = addresses.interface_of(look.service.target) or ""
    zone = firewalld.zone_of(interface)
    if zone is None or firewalld.admits(zone, look.service.port):
        return ()
    says = f"zone {zone.name} of {interface} does not admit {look.service.port}/tcp, so docker-proxy is not reached"
    return (Evidence("firewalld", says),)


def _answers_inside(look: Look) -> bool:
    return look.answers_at(Vantage.CONTAINER) is True or look.answers_at(Vantage.HOST) is True


DOCKER_CHAINS_MISSING = Cause(
    "docker-chains-missing",
    "Docker's iptables chains are gone",
    _docker_chains_missing,
    rank=20,
    fixes=("restart-docker", "open-firewalld-port"),
)
DOCKER_NAT_RULE_MISSING = Cause(
    "docker-nat-rule-missing",
    "Docker's NAT rule for the port is gone",
    _docker_nat_rule_missing,
    rank=21,
    fixes=("restart-docker",),
)
CHAINS_MISSING_BUT_SERVED = Cause(
    "chains-missing-but-served",
    "Docker's iptables chains are gone; only docker-proxy keeps it reachable",
    _chains_missing_but_served,
    fixes=("restart-docker",),
)
DOCKER_DEAF_TO_FIREWALLD = Cause(
    "docker-deaf-to-firewalld",
    "dockerd does not hear firewalld: the next reload breaks published ports",
    _docker_deaf_to_firewalld,
    fixes=("restart-docker",),
)
