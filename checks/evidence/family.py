"""By which family of addresses the service answers, and by which it does not: each has its own rules."""

from checks.look import Look
from checks.model import Evidence, Vantage


def by_family(look: Look) -> tuple[Evidence, ...]:
    """What is known of both, for clients that come by IPv6; nothing for others."""
    if not look.by_ipv6 or look.outside.ok:
        return ()
    ended = f"by IPv6, at {look.outside.address or look.service.target}, it is {look.outside.says.replace('-', ' ')}"
    other = next((one for one in look.each if one.address and ":" not in one.address and one.ok), None)
    if other is not None:
        return (Evidence("reading", f"{ended}; by IPv4, at {other.address}, it accepts"),)
    on_host = "; by IPv4 it answers on the host itself" if look.answers_at(Vantage.LOOPBACK) else ""
    return (Evidence("reading", f"{ended}{on_host}"),)
