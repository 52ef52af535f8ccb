"""Who made a rule of the packet filter, as far as its place tells, and what its owner calls the remedy.

Chains are named as the programs name them: ufw (src/backend_iptables.py), CSF (csf.pl), CrowdSec's firewall bouncer
(pkg/iptables, pkg/nftables), sshguard (sshg-fw-nft-sets), libvirt (network_iptables.c), Kubernetes and Calico.
"""

import re
from dataclasses import dataclass

from checks.facts.config_files import CONFIG_FILES
from checks.facts.engine import Container
from checks.facts.netfilter import NETFILTER
from checks.facts.nftables import NFTABLES
from checks.look import Look, MissingError
from checks.model import Evidence
from checks.walk import Backend, Hook, Place, Stop

_OF_UFW = re.compile(r"ufw6?-[\w-]+")
_OF_CSF = re.compile(r"LOCAL(INPUT|OUTPUT)|G?(DENY|ALLOW)(IN|OUT)|CC_(DENY|ALLOW)\w*|LOGDROP(IN|OUT)|INVDROP|SPAMDROP")
_BANS = {"crowdsec": "CrowdSec", "sshguard": "sshguard"}
_OTHERS = (("LIBVIRT_", "libvirt"), ("cali-", "Calico"), ("KUBE-", "Kubernetes"), ("ts-", "Tailscale"))
_OF_IPTABLES = ("/etc/iptables/rules.v4", "/etc/sysconfig/iptables")
_OF_IP6TABLES = ("/etc/iptables/rules.v6", "/etc/sysconfig/ip6tables")
_OF_NFTABLES = re.compile(r"/etc/(nftables\.conf|nftables/.*|sysconfig/nftables\.conf)")


@dataclass(frozen=True)
class Maker:
    """A program that rules come from. ``lines`` are its own remedies, for a person to choose from."""

    name: str
    lines: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        return Evidence("rules", f"it is one of {self.name}, by where it stands")


def bans(place: Place) -> bool:
    """Whether a rule is of a program that bans single addresses, wherever it has put it."""
    return _ban(place) is not None


def maker(look: Look, stop: Stop) -> Maker | None:
    """The program that a rule, or the policy of a chain, is of; None where its place does not tell."""
    place = stop.place
    if (name := _ban(place)) is not None:
        return Maker(name, _unban(look, name))
    if _OF_UFW.fullmatch(place.chain) or (place.is_policy and _is_there(look, _OF_UFW)):
        return Maker("ufw", _by_ufw(look, stop))
    if _OF_CSF.fullmatch(place.chain) or (place.is_policy and _is_there(look, re.compile("LOCALINPUT|DENYIN"))):
        return Maker("CSF", _by_csf(look))
    for start, name in _OTHERS:
        if place.chain.startswith(start):
            return Maker(
                name, (f"# {name} makes it again whenever it starts: what mends it lastingly is its own setting",)
            )
    return None


def loaded_from(look: Look, place: Place) -> tuple[str, ...]:
    """The files of the host that such rules are loaded from at boot: what is deleted now comes back from there."""
    paths = [file.path for file in look.may(CONFIG_FILES) or ()]
    if place.backend is Backend.NFTABLES:
        found = [path for path in paths if _OF_NFTABLES.fullmatch(path)]
        return tuple(f"grep -n {_word(place)} {path}   # does it come back from there at boot?" for path in found)
    found = [path for path in paths if path in (_OF_IP6TABLES if place.family == "ip6" else _OF_IPTABLES)]
    again = "mend it there by hand, for saving all rules would also keep Docker's, which are stale at the next start"
    return tuple(
        line
        for path in found
        for line in (f"grep -n -e {_word(place)} {path}   # does it come back from there at boot?", f"# {again}")
    )


def _word(place: Place) -> str:
    return place.table if place.backend is Backend.NFTABLES else place.chain


def _ban(place: Place) -> str | None:
    names = (place.chain.lower(), place.table.lower())
    return next((name for start, name in _BANS.items() if any(one.startswith(start) for one in names)), None)


def _unban(look: Look, name: str) -> tuple[str, ...]:
    client = look.way.client or "CLIENT"
    if name == "CrowdSec":
        return (
            f"sudo cscli decisions list --ip {client}   # why, and for how long",
            f"sudo cscli decisions delete --ip {client}; lastingly: cscli allowlists",
        )
    return (f"# sshguard forgets {client} by itself; lastingly: a line of /etc/sshguard/whitelist",)


def _by_ufw(look: Look, stop: Stop) -> tuple[str, ...]:
    """What is sent on to a container is none of INPUT's, to which `ufw allow` adds."""
    port, container = look.service.port, _container(look)
    if stop.hook is Hook.INPUT or container is None or not container.addresses:
        allow = f"sudo ufw allow {port}/tcp"
    else:
        binding = container.binds(port)
        inner = binding.container_port if binding else port
        allow = f"sudo ufw route allow proto tcp from any to {container.addresses[0]} port {inner}"
    return (
        "sudo ufw status numbered   # one that denies it comes before: sudo ufw delete NUMBER",
        f"{allow}   # lasts; from any: or whom it is meant for",
    )


def _by_csf(look: Look) -> tuple[str, ...]:
    client = look.way.client or "CLIENT"
    return (
        f"sudo csf -g {client}   # the rules about it; a ban: sudo csf -dr {client}; one for a time: csf -tr {client}",
        f'# for everybody: {look.service.port} in TCP_IN, and DOCKER = "1", in /etc/csf/csf.conf; then: sudo csf -r',
    )


def _container(look: Look) -> Container | None:
    try:
        return look.bridged
    except MissingError:
        return None


def _is_there(look: Look, chains: re.Pattern[str]) -> bool:
    netfilter, native = look.may(look.of_clients(NETFILTER)), look.may(NFTABLES)
    names = [name for table in netfilter.tables.values() for name in table] if netfilter else []
    names += [chain for _, _, chain in native.chains] if native else []
    return any(chains.fullmatch(name) for name in names)
