"""Firewalls beside Docker's and firewalld's: whose rule it is is not known, but which rule it is."""

from checks.causes.cause import BY_A_RULE, Cause, Judgement, died, fail, passed
from checks.causes.docker_rules import inside, not_by_iptables
from checks.causes.host import peers_reach_it
from checks.causes.kernel import taken_for_spoofed
from checks.evidence.arrival import arrives_at, asked_address, is_behind_nat
from checks.evidence.firewall_owner import loaded_from, maker
from checks.evidence.journey import may_journey
from checks.evidence.packet import (
    FAIL2BAN_CHAIN,
    Blocker,
    Owner,
    agrees,
    blockers,
    docker_backend,
    followed,
    risen,
    waiting,
)
from checks.facts.addresses import ADDRESSES
from checks.facts.counters import COUNTERS
from checks.facts.netfilter import NETFILTER
from checks.facts.units import UNITS, known
from checks.look import Look, MissingError
from checks.model import Evidence, Phase, Stretch
from checks.walk import Backend, Hook, Place, Stop

_JUMP_TO_DOCKER = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
_FIREWALLS = ("nftables.service", "iptables.service", "ufw.service")
_BEFORE_IT = ("TcpExtIPReversePathFilter",)


def _foreign_firewall_drop(look: Look) -> Judgement:
    """A rule of nobody that is known here ends the packet: in a table of its own, or above Docker's."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    foreign = [one for one in blockers(look) if one.owner is Owner.FOREIGN and _on_its_way(look, one)]
    felt = [one for one in foreign if one.stop.certain or not one.flat]
    ahead = waiting(look)
    if not felt and ahead:
        return fail(
            *ahead[0].evidence[:1],
            *_made_by(look, ahead[0]),
            Evidence("rules", "no packet comes that far now; once Docker's rules translate them again, it ends them"),
            *_firewalls(look),
            sure=False,
            advice=_advice(look, ahead[0].stop),
        )
    if not felt:
        possible = "; ".join(f"{one.stop.says}: its counter did not rise" for one in foreign)
        return passed(possible or "no rule of another firewall ends a client's packet")
    blocker = next((one for one in felt if agrees(look, one)), felt[0])
    return fail(
        *blocker.evidence,
        *_made_by(look, blocker),
        *_firewalls(look),
        *inside(look),
        sure=agrees(look, blocker),
        advice=_advice(look, blocker.stop),
    )


def _banned_by_fail2ban(look: Look) -> Judgement:
    """It is about the one who asks: an exception for its whole network would undo what the ban is for."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    bans = [one for one in blockers(look) if one.owner is Owner.FAIL2BAN and _on_its_way(look, one)]
    blocker = next((one for one in bans if agrees(look, one)), None)
    if blocker is None:
        return passed("; ".join(f"{one.stop.says}: not felt" for one in bans) or "no rule of fail2ban ends the packet")
    client, chain = look.way.client, blocker.stop.place.chain
    of_nftables = blocker.stop.place.backend is Backend.NFTABLES
    jail = "JAIL" if of_nftables else chain.removeprefix(FAIL2BAN_CHAIN)
    return fail(
        *blocker.evidence,
        Evidence("rules", f"the ban is one of {client}, from where dockerhealth asks, and says nothing of others"),
        *inside(look),
        advice=(
            *(("sudo fail2ban-client status   # the jails that there are",) if of_nftables else ()),
            f"sudo fail2ban-client status {jail}   # whom it bans, and how often it failed",
            f"sudo fail2ban-client set {jail} unbanip {client}   # what bans it once more is in the log that it reads",
            f"sudo fail2ban-client set {jail} addignoreip {client}   # until fail2ban restarts; ignoreip in jail.local",
        ),
    )


def _iptables_backends_split(look: Look) -> Judgement:
    """Docker's rules are in one variant of iptables, and a rule of the other ends the packet: the kernel asks both."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    look.need_rules_in_iptables()
    blocker = next((one for one in blockers(look) if one.owner is Owner.OTHER_BACKEND), None)
    if blocker is None:
        return passed("no second set of iptables tables ends a client's packet")
    docker_s = docker_backend(look)
    return fail(
        Evidence("netfilter", f"Docker's rules are in {docker_s}; the kernel asks the tables of both variants"),
        *blocker.evidence,
        *inside(look),
        sure=agrees(look, blocker),
        advice=(
            "update-alternatives --display iptables   # which variant the command iptables is",
            f"sudo {_command(blocker.stop.place)}   # what is in the other one; whose it is, and what for",
            f"sudo {_lift(blocker.stop.place)}   # takes that one away, once nobody needs it",
        ),
    )


def _blocked_before_host(look: Look) -> Judgement:
    """What clients send never comes to the host's packet filter: a firewall, a switch or a cloud's rules have it."""
    if look.outside.ok:
        return passed(f"it {look.outside.says} from outside")
    if look.outside.phase is not Phase.CONNECT:
        return passed(f"it {look.outside.says}: the connection was made, or the name is not known")
    if look.recount is None:
        raise MissingError(COUNTERS.name, "the counters were not read again after attempts from outside")
    ended = _ended_before_counting(look)
    if ended:
        return passed(f"the host itself ends it: {ended}")
    seen, attempts = _arrivals(look), look.recount.attempts
    if seen >= attempts:
        return passed(
            f"table nat, chain PREROUTING counted {seen} more while {attempts} attempts were made: they arrive"
        )
    watched = may_journey(look)
    if watched is not None and watched.attempts:
        return passed(f"they were seen to come in: {watched.says}")
    addresses = look.may(look.of_clients(ADDRESSES))
    nic = (addresses.interface_of(look.service.target) if addresses else None) or "NIC"
    translated = _translated_before(look)
    peers = (Evidence("peers", f"from {one.host} it {one.seen.says}") for one in peers_reach_it(look) if one.seen)
    return fail(
        Evidence(
            "rules", f"{attempts} attempts were made from outside, and table nat, chain PREROUTING counted {seen}"
        ),
        Evidence("path", f"from outside: {look.outside.says}; over SSH the same machine reaches the host"),
        *translated,
        *peers,
        sure=seen == 0,
        advice=(
            f"sudo tcpdump -ni any tcp port {look.service.port}   # on the host, while a client tries: nothing comes",
            "# look at what is between: a cloud's security group, a hardware firewall, an ACL of a switch",
            f"tc filter show dev {nic} ingress; ip link show {nic}   # on the host itself only tc and XDP come earlier",
        ),
    )


def _translated_before(look: Look) -> tuple[Evidence, ...]:
    """That NAT is in front, and what its owner has to send on to where."""
    if not is_behind_nat(look):
        return ()
    says = (
        f"no interface of the host has {asked_address(look)}: who translates it has to send it on to {arrives_at(look)}"
    )
    return (Evidence(ADDRESSES.name, f"{says}, where SSH arrives"),)


def _arrivals(look: Look) -> int:
    """How many new connections came to the host: all of them come to Docker's jump, if no rule before ends the chain.

    Policies are no proof: one of iptables-nft may not count.
    """
    if not followed(look).tracked:
        raise MissingError(NETFILTER.name, "the connection is not tracked: the rule that counts arrivals is not asked")
    chain = {place: rise for place, rise in risen(look).items() if (place.table, place.chain) == ("nat", "PREROUTING")}
    if not any(place.text == _JUMP_TO_DOCKER for place in chain):
        raise MissingError(NETFILTER.name, "no rule counts the connections that arrive")
    return max(chain.values())


def _ended_before_counting(look: Look) -> str:
    """What of the host itself may end a packet before the rule that counts arrivals; empty where nothing does."""
    if taken_for_spoofed(look):
        return "the reverse path filter takes its source for a false one"
    early = (one for one in blockers(look) if _before_counting(one.stop) and not one.flat)
    blocker = next(early, None)
    return blocker.stop.says if blocker else _dropped_by_kernel(look)


def _before_counting(stop: Stop) -> bool:
    return stop.hook in {Hook.INGRESS, Hook.PREROUTING} and not stop.reply


def _dropped_by_kernel(look: Look) -> str:
    before, after = look.need(COUNTERS), look.recounted(COUNTERS)
    if after is None:
        raise MissingError(COUNTERS.name, "they were not read again")
    risen = [name for name in _BEFORE_IT if after.packets.get(name, 0) > before.packets.get(name, 0)]
    if after.dropped is not None and before.dropped is not None and after.dropped > before.dropped:
        risen.append("connections that could not be tracked")
    return ", ".join(risen)


def _on_its_way(look: Look, blocker: Blocker) -> bool:
    """Whether the packet would come by there if Docker's rules were whole: it would not meet INPUT.

    Raises MissingError where whether they are whole is not known.
    """
    if blocker.stop.hook is not Hook.INPUT or look.bridged is None or not_by_iptables(look):
        return True
    return followed(look).translated is not None


def _firewalls(look: Look) -> tuple[Evidence, ...]:
    units = known(look.may(UNITS) or {})
    active = [name for name in _FIREWALLS if name in units and units[name].is_active]
    return (Evidence("units", f"active: {', '.join(active)}"),) if active else ()


def _command(place: Place) -> str:
    if place.backend is Backend.NFTABLES:
        return f"nft -a list chain {place.family} {place.table} {place.chain}"
    variant = _iptables(place) + ("-legacy" if place.backend is Backend.LEGACY else "")
    return f"{variant} -t {place.table} -nvL {place.chain} --line-numbers"


def _iptables(place: Place) -> str:
    return "ip6tables" if place.family == "ip6" else "iptables"


def _lift(place: Place) -> str:
    """What takes a rule or a policy of iptables away."""
    variant = _iptables(place) + ("-legacy" if place.backend is Backend.LEGACY else "-nft")
    rule = f"-P {place.chain} ACCEPT" if place.is_policy else place.text.replace("-A ", "-D ", 1)
    return f"{variant} -t {place.table} {rule}"


def _made_by(look: Look, blocker: Blocker) -> tuple[Evidence, ...]:
    made = maker(look, blocker.stop)
    return (made.evidence,) if made else ()


def _advice(look: Look, stop: Stop) -> tuple[str, ...]:
    """Where to look, and whom to ask: a rule of somebody else is not taken away by us."""
    place, made = stop.place, maker(look, stop)
    lines = (f"sudo {_command(place)}   # the rule, among its neighbours",)
    if made is not None:
        return (*lines, *made.lines)
    files = loaded_from(look, place)
    if place.backend is Backend.NFTABLES and not files:
        files = (
            "grep -rn 'flush ruleset\\|hook forward' /etc/nftables.conf /etc/nftables.d   # where it may come from",
        )
    asking = f"# ask its owner to let port {look.service.port}/tcp in; what it is for is not known here"
    return (*lines, *files, asking)


FOREIGN_FIREWALL_DROP = Cause(
    "foreign-firewall-drop",
    "another firewall's rule keeps clients out",
    _foreign_firewall_drop,
    rank=53,
    death=BY_A_RULE,
)
BANNED_BY_FAIL2BAN = Cause(
    "banned-by-fail2ban", "fail2ban has banned the address that asks", _banned_by_fail2ban, rank=50, death=BY_A_RULE
)
IPTABLES_BACKENDS_SPLIT = Cause(
    "iptables-backends-split",
    "two sets of iptables tables are in force, and one drops",
    _iptables_backends_split,
    rank=25,
    death=BY_A_RULE,
)
BLOCKED_BEFORE_HOST = Cause(
    "blocked-before-host",
    "what clients send never reaches the host",
    _blocked_before_host,
    rank=54,
    death=died(Stretch.BEFORE_HOST),
)
