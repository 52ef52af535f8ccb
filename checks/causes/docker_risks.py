"""What is wrong with Docker's rules, or will be, and does not show at the service yet."""

from checks.causes.cause import Cause, Judgement, passed, risk
from checks.causes.docker_rules import missing_parts, not_by_iptables
from checks.facts.bus import BUS
from checks.facts.firewalld import FIREWALLD
from checks.facts.firewalld_direct import DIRECT_RULES, DirectRules
from checks.look import Look, MissingError
from checks.model import Evidence, FixId

_ISOLATION = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")


def _docker_isolation_lost(look: Look) -> Judgement:
    """A reload of firewalld takes the isolation away in some versions (CVE-2025-54410: before 25.0.13, 26, 27)."""
    netfilter = look.docker_rules
    first, second = (netfilter.rules("filter", name) for name in _ISOLATION)
    if netfilter.chain("filter", _ISOLATION[0]) is None:
        return passed("this version of Docker keeps networks apart in another way, or its chains are gone")
    if any(rule.target == _ISOLATION[1] for rule in first) and any(rule.target == "DROP" for rule in second):
        return passed(f"chain {_ISOLATION[0]} keeps the networks apart")
    return risk(
        Evidence("netfilter", f"chain {_ISOLATION[0]} keeps no network apart: containers of all reach each other")
    )


def _chains_missing_but_served(look: Look) -> Judgement:
    """Reachable only because docker-proxy answers: NAT, isolation and the containers' way out are broken."""
    not_its_work = not_by_iptables(look)
    if not_its_work:
        return passed(not_its_work)
    missing = missing_parts(look.rules_for_clients, look.service.port)
    if not missing:
        return passed("Docker's chains are there")
    if not look.outside.ok:
        return passed("the service is not served")
    if look.bridged is not None and not look.bridged.running:
        return passed("the container does not run: something else answers")
    return risk(
        Evidence("netfilter", f"missing: {'; '.join(missing)}"),
        Evidence("path", f"it {look.outside.says} from outside, by docker-proxy alone"),
    )


def _docker_deaf_to_firewalld(look: Look) -> Judgement:
    """A dockerd that started without firewalld never hears of it, and does not put its rules back after a reload.

    dockerd gives its D-Bus connection up when firewalld is not there at its start (libnetwork a971c561d1). Not being
    on the bus is conclusive; start times alone are not. It need not hear a firewalld that does not touch its rules.
    """
    firewalld, docker, bus = look.unit("firewalld.service"), look.unit("docker.service"), look.need(BUS)
    if not firewalld.is_active:
        return passed("firewalld is not running")
    if not docker.is_active:
        return passed("dockerd is not running")
    look.need_rules_in_iptables()
    if docker.main_pid in bus.pids:
        return passed(f"dockerd (pid {docker.main_pid}) is on D-Bus and hears firewalld")
    direct = _direct_rules(look)
    if direct is not None and not direct.kept:
        return passed(
            f"firewalld {direct.version} with its nftables backend and no direct rule leaves Docker's rules alone"
        )
    kept = f"direct rules of firewalld {direct.version}: {direct.kept}; with any it flushes iptables" if direct else ""
    return risk(
        Evidence("D-Bus", f"firewalld runs, and dockerd (pid {docker.main_pid}) is not on D-Bus: it does not hear it"),
        *((Evidence(DIRECT_RULES.name, kept),) if kept else ()),
        Evidence("D-Bus", "a reload of firewalld wipes Docker's rules, and dockerd would not write them again"),
    )


def _direct_rules(look: Look) -> DirectRules | None:
    """Those of firewalld, where they decide whether it wipes Docker's rules; None where it does anyway.

    Raises MissingError where that is not known.
    """
    if look.need(FIREWALLD).backend != "nftables":
        return None
    direct = look.need(DIRECT_RULES)
    if not direct.version:
        raise MissingError(
            DIRECT_RULES.name, "which version of firewalld runs is not known: newer ones may spare Docker"
        )
    if direct.matter and direct.kept is None:
        raise MissingError(DIRECT_RULES.name, f"firewalld {direct.version} was not asked for them")
    return direct if direct.matter else None


DOCKER_ISOLATION_LOST = Cause(
    "docker-isolation-lost",
    "Docker's networks are no longer kept apart",
    _docker_isolation_lost,
    fixes=(FixId.RESTART_DOCKER,),
)
CHAINS_MISSING_BUT_SERVED = Cause(
    "chains-missing-but-served",
    "Docker's iptables rules are gone; only docker-proxy keeps it reachable",
    _chains_missing_but_served,
    fixes=(FixId.RESTART_DOCKER,),
)
DOCKER_DEAF_TO_FIREWALLD = Cause(
    "docker-deaf-to-firewalld",
    "dockerd does not hear firewalld: the next reload breaks published ports",
    _docker_deaf_to_firewalld,
    fixes=(FixId.RESTART_DOCKER,),
)
