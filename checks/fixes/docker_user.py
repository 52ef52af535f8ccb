"""Let the clients past a rule in DOCKER-USER: the admin's own chain, so somebody's policy."""

import ipaddress
from dataclasses import replace

from checks.commands import ROOT_HELPER
from checks.evidence.packet import Owner, blockers
from checks.facts.addresses import ADDRESSES
from checks.facts.path import PATH
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.look import Look, MissingError
from checks.model import Finding, FixId, Lasts, Risk, Step

_WIDEST = 8  # bits of a prefix: our root helper refuses a wider network
_INTERNAL = ("lo", "docker", "br-", "veth", "virbr")


def _prepare(look: Look, _: Finding) -> Remedy:
    if look.by_ipv6:
        raise RefusedError("clients come by IPv6: an exception in DOCKER-USER of ip6tables is made by hand")
    netfilter, port = look.docker_rules, look.service.port
    if netfilter.chain("filter", "DOCKER-USER") is None:
        raise RefusedError("there is no chain DOCKER-USER")
    rule = next((one for one in blockers(look) if one.owner is Owner.DOCKER_USER), None)
    if rule is None:
        raise RefusedError("no rule in DOCKER-USER keeps these clients out")
    source, which = _clients(look)
    return Remedy(
        steps=(_admit(port, source),),
        risk=Risk.HIGH,
        blast_radius=f"Port {port} of this host becomes reachable for {source} ({which}), past"
        f" `{rule.stop.says}` and whatever else DOCKER-USER says. Others are kept out as before. Nothing restarts.",
        verify="DOCKER-USER lets the client's packet through, and the service answers from outside",
        basis={"client": look.way.client or "", "rule": rule.stop.says},
        lasts=Lasts.UNTIL_REBOOT,
        changes=("rules filter DOCKER-USER",),
        preflight=("chain DOCKER-USER is there, and it is the one whose rule ends the client's packet",),
        notes=(
            "Somebody's policy: that rule is there because somebody wanted it. Ask its owner.",
            "Not kept: a reboot, or whatever flushes the chain, takes the exception away.",
            "For good it belongs where the rule comes from: the script, the unit or the rules file of its owner.",
        ),
        undo_unasked=True,
    )


def _clients(look: Look) -> tuple[str, str]:
    """Whom to let in: the network of the host's own that holds the client, else the client alone."""
    if look.way.client is None:
        raise MissingError(PATH.name, "the address from which clients come is not known")
    client = ipaddress.ip_address(look.way.client)
    for interface, networks in look.need(ADDRESSES).networks.items():
        for network in networks:
            usable = _WIDEST <= network.prefixlen < network.max_prefixlen and not interface.startswith(_INTERNAL)
            if usable and client in network:
                return str(network), f"the network of {interface}, in which the client {client} is"
    return f"{client}/32", "the client alone: it is in no network that the host is connected to"


def _admit(port: int, source: str) -> Step:
    """By RETURN only DOCKER-USER is passed over. By ``ctorig`` the answers match as well."""
    insert, delete = (_change(port, source, *words) for words in (("insert", "-I", "1"), ("delete", "-D")))
    return replace(insert, undo=(delete,))


def _change(port: int, source: str, verb: str, *how: str) -> Step:
    does = {
        "insert": f"put an exception first in DOCKER-USER: port {port} for {source}",
        "delete": f"take the exception for {source} out of DOCKER-USER",
    }[verb]
    option, *place = how
    match = f"-p tcp -m conntrack --ctorigsrc {source} --ctorigdstport {port} -m comment --comment dockerhealth"
    typed = " ".join(("sudo iptables", option, "DOCKER-USER", *place, match, "-j RETURN"))
    return Step(does, (ROOT_HELPER, "docker-user", verb, str(port), source), typed=typed)


FIX = Fix(FixId.ALLOW_IN_DOCKER_USER, "Let the clients past DOCKER-USER", _prepare)
