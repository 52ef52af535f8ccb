"""At which of its addresses the host gets what clients send: the one that they ask, or another one behind NAT."""

import ipaddress

from checks.facts.addresses import ADDRESSES, Addresses
from checks.facts.path import PATH
from checks.look import Look, MissingError

_OF_NETWORKS = tuple(
    ipaddress.IPv4Network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
)
"""Addresses that mean something in somebody's own network alone (RFC 1918, RFC 6598, RFC 3927)."""


def asked_address(look: Look) -> str:
    """The address that clients go to, as far as it is known; empty where it is not."""
    asked = (look.outside.address or "", look.service.target)
    if look.by_ipv6:
        return next(one for one in asked if ":" in one)
    return next((one for one in (*asked, look.host.address) if _is_ipv4(one)), "")


def arrives_at(look: Look) -> str:
    """The host's own address at which clients' packets arrive: where NAT is in front, the one at which SSH's do.

    Raises MissingError where neither is known.
    """
    addresses, asked = look.need(look.of_clients(ADDRESSES)), asked_address(look)
    look.need(PATH)
    if addresses.owner_of(asked) not in {None, "lo"}:
        return asked
    if not is_behind_nat(look):
        target = asked or look.service.target
        raise MissingError(ADDRESSES.name, f"{target} is no address that the host has for clients")
    arrival = look.way.arrival
    own = arrival.question.split()[3] if arrival is not None else ""
    if addresses.owner_of(own) in {None, "lo"}:
        raise MissingError(
            PATH.name, f"{asked} is translated before the host, and to which of its addresses is not known"
        )
    return own


def is_behind_nat(look: Look) -> bool:
    """Whether somebody before the host translates the IPv4 address that clients go to into one of its own.

    So it is where SSH, which does arrive, goes to an address that the host does not have either, or where clients go to
    a public address and the host has none of those at all. One that belongs on a link of the host is not translated.
    """
    addresses, asked = look.need(ADDRESSES), asked_address(look)
    if look.by_ipv6 or not asked or asked in addresses.every_address or links_of(addresses, asked):
        return False
    by_ssh = _is_ipv4(look.host.address) and look.host.address not in addresses.every_address
    return by_ssh or (is_public(asked) and not any(is_public(one) for one in addresses.every_address))


def links_of(addresses: Addresses, address: str) -> tuple[str, ...]:
    """The interfaces on whose link an address belongs."""
    wanted = ipaddress.IPv4Address(address)
    return tuple(name for name, networks in addresses.networks.items() if any(wanted in one for one in networks))


def is_public(address: str) -> bool:
    """Whether an address of IPv4 is one of the internet."""
    return not any(ipaddress.IPv4Address(address) in network for network in _OF_NETWORKS)


def _is_ipv4(text: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False
