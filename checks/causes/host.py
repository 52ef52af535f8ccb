"""The host as a whole, and the watcher: which of the two is cut off, as far as other hosts can tell."""

from collections.abc import Sequence

from checks.causes.cause import Cause, Judgement, fail, passed
from checks.errors import (
    SshClosedError,
    SshLoginTimedOutError,
    SshRejectedError,
    SshSessionTimedOutError,
    SshTimedOutError,
    SshUnreachableError,
    WatcherTroubleError,
)
from checks.look import Look, MissingError, Peer
from checks.model import SSH, Evidence, Phase, ReachOutcome, Reading, Trouble
from checks.model import WATCHER_OFFLINE as WATCHER

_SILENT = {ReachOutcome.TIMED_OUT, ReachOutcome.NO_ROUTE, ReachOutcome.NETWORK_UNREACHABLE}
_NOT_REACHED = {Phase.RESOLVE, Phase.CONNECT}
_NO_SSH = {SshTimedOutError.id, SshUnreachableError.id}
_CUT_OFF = _NO_SSH | {WatcherTroubleError.id}
_IS_UP = {SshClosedError.id, SshLoginTimedOutError.id, SshRejectedError.id, SshSessionTimedOutError.id}


def peers_reach_it(look: Look) -> tuple[Peer, ...]:
    """The peers from which the service answers as it should, while they were asked."""
    return tuple(peer for peer in look.peers if peer.seen is not None and peer.seen.ok)


def _host_unreachable(look: Look) -> Judgement:
    """Nothing of the host answers: neither the service nor sshd, from nowhere, and each as if nobody were there.

    What only this address sees is the same where the host, or something on the way, drops what comes from here.
    """
    if look.trouble is None:
        return passed("its sshd answers")
    if look.outside.ok:
        return passed("the service answers")
    if look.trouble.id in _IS_UP:
        return passed(f"something at that address answers: {look.trouble.says}")
    if look.trouble.id not in _NO_SSH:
        raise MissingError("host", look.trouble.says, of_host=True)
    if look.rejected_by_host or not _is_silence(look.outside):
        return passed(f"the service's port {look.outside.says}: something at that address answers")
    heard = [says for peer in look.peers if (says := _heard(peer))]
    if heard:
        return passed(f"{heard[0]}: what is broken lies between there and dockerhealth")
    asked = [peer for peer in look.peers if peer.seen is not None]
    if look.peers and not asked and not _reached(look.peers):
        raise MissingError("peers", _nobody_asked(look.peers))
    return fail(
        Evidence(
            "reading", f"{look.outside.address or look.service.target} port {look.service.port}: {look.outside.says}"
        ),
        Evidence(SSH, look.trouble.says),
        *(Evidence("peers", f"from {peer.host}: {_says(peer.seen)}") for peer in asked if peer.seen is not None),
        sure=bool(asked),
        advice=(*_on_the_link(look, asked), "# look at its console: is it up, has it its address?"),
    )


def _heard(peer: Peer) -> str:
    """What a peer hears of the host, empty for nothing. Any answer is one, also a refusal.

    "No route" is silence where nobody answers ARP; where the hardware address is known, it is a firewall's REJECT.
    """
    for what, reading in (("the service", peer.seen), ("its sshd", peer.sshd)):
        if reading is None or reading.phase is Phase.RESOLVE:
            continue
        if not _is_silence(reading) or (peer.on_link and reading.ended is ReachOutcome.NO_ROUTE):
            return f"from {peer.host} {what} {_says(reading)}"
    return ""


def _on_the_link(look: Look, asked: Sequence[Peer]) -> tuple[str, ...]:
    """A host that is up and drops everything still answers ARP, also in firewalld's panic mode."""
    address = look.outside.address or look.host.address
    known = next((peer.host for peer in asked if peer.on_link), None)
    if known is not None:
        return (
            f"sudo firewall-cmd --query-panic   # on its console: {known} has its hardware address, so it may be up",
            f"ping -c 3 {address}; ip neigh show to {address}   # on {known}; FAILED: it is not there any more",
        )
    unknown = next((peer.host for peer in asked if peer.on_link is False), None)
    if unknown is not None:
        return (f"ip neigh show to {address}   # on {unknown}: nobody answers there; is it off, or its cable out?",)
    return (
        f"ping -c 3 {look.host.address}   # from another machine: if it answers there, it is up",
        f"sudo fail2ban-client banned   # on {look.host.name}, if it is up: dockerhealth's address may be among them",
    )


def _watcher_refused(look: Look) -> Judgement:
    """The host, or a firewall before it, rejects what comes from here, and others are answered.

    A TCP reset is none: a service that is just being started sends it, and has answered others a moment later.
    """
    if look.outside.ok:
        return passed("the service answers")
    if look.trouble is None:
        return passed("its sshd answers")
    asked = [peer for peer in look.peers if peer.seen is not None]
    if not asked:
        raise MissingError("peers", _nobody_asked(look.peers) if look.peers else "no other host can be asked")
    seeing = peers_reach_it(look)
    if not seeing:
        return passed(f"from {asked[0].host} it does not answer either: {_says(asked[0].seen)}")
    let_in = [peer for peer in seeing if peer.sshd is not None and peer.sshd.ok]
    if look.outside.rejected_by is None and not (look.trouble.id == SshRejectedError.id and let_in):
        raise MissingError("a REJECT", f"no firewall says that it refuses this address: {look.outside.says}")
    return fail(
        Evidence("reading", f"from here: port {look.service.port} {look.outside.says}"),
        Evidence(SSH, look.trouble.says),
        *(Evidence("peers", f"from {peer.host}: port {look.service.port} {_says(peer.seen)}") for peer in seeing),
        *(Evidence("peers", f"from {peer.host}: its sshd {_says(peer.sshd)}") for peer in let_in),
        sure=look.rejected_by_host,
        advice=(
            f"ip route get {look.outside.address or look.host.address}   # here: src is the address that is refused",
            f"sudo fail2ban-client banned   # on {look.host.name}: is it among them?",
            f"sudo iptables-save; sudo nft list ruleset   # on {look.host.name}: which rule names it, or its network?",
        ),
    )


def _watcher_offline(look: Look) -> Judgement:
    """No host is reached from here any more, and they see each other.

    That a second host is not reached either shows nothing if it is ill itself: the services of two hosts must be seen
    to answer, each by the other, before it is proven.
    """
    if look.outside.ok:
        return passed("the service answers")
    if not look.peers:
        if look.trouble is None:
            return passed("its sshd answers, and no other host is watched")
        raise MissingError("peers", "no other host can be asked")
    reached = _reached(look.peers)
    if reached:
        return passed(f"{reached[0].host} is reached: {_says(reached[0].own)}")
    tried = [peer for peer in look.peers if peer.own is not None]
    if not tried:
        raise MissingError("peers", "no service of another host was tried from here")
    asked = [peer for peer in look.peers if peer.seen is not None]
    seeing = peers_reach_it(look)
    if asked and not seeing:
        return passed(f"from {asked[0].host} it does not answer either: {_says(asked[0].seen)}")
    if seeing:
        return _they_see_each_other(look, seeing, tried)
    return _all_is_silent(look, tried)


def _they_see_each_other(look: Look, seeing: Sequence[Peer], tried: Sequence[Peer]) -> Judgement:
    well = [peer for peer in tried if peer.back is not None and peer.back.ok]
    untold = [peer for peer in tried if peer.back is None]
    if not well and not (untold and all(_is_silence(peer.own) for peer in untold)):
        raise MissingError("peers", f"{tried[0].host} is ill itself: from {look.host.name} it {_says(tried[0].back)}")
    return fail(
        *_not_reached(look, tried),
        *(Evidence("peers", f"from {peer.host}: {look.host.name} {_says(peer.seen)}") for peer in seeing),
        *(Evidence("peers", f"from {look.host.name}: {peer.host} {_says(peer.back)}") for peer in well),
        sure=bool(well),
        advice=_ADVICE,
    )


def _all_is_silent(look: Look, tried: Sequence[Peer]) -> Judgement:
    """No peer could be asked. Many hosts do not go silent at once, but two may: it is likely at most."""
    troubles = [peer.trouble for peer in look.peers if peer.trouble is not None]
    silent = _is_silence(look.outside) and all(_is_silence(peer.own) for peer in tried)
    if look.trouble is None or not silent or not all(trouble.id in _CUT_OFF for trouble in (look.trouble, *troubles)):
        raise MissingError("peers", _nobody_asked(look.peers))
    return fail(
        *_not_reached(look, tried),
        *(Evidence(SSH, trouble.says) for trouble in (look.trouble, *troubles)),
        sure=False,
        advice=_ADVICE,
    )


def _not_reached(look: Look, tried: Sequence[Peer]) -> tuple[Evidence, ...]:
    readings = [(look.host.name, look.outside), *((peer.host, peer.own) for peer in tried)]
    return tuple(Evidence("reading", f"from here: {host} {_says(reading)}") for host, reading in readings)


def _nobody_asked(peers: Sequence[Peer]) -> str:
    troubles = [peer.trouble for peer in peers if peer.trouble is not None]
    return _first(troubles) or "none was asked"


def _first(troubles: Sequence[Trouble]) -> str:
    return troubles[0].says if troubles else ""


def _reached(peers: Sequence[Peer]) -> list[Peer]:
    """The peers of which a service accepts connections from here."""
    return [peer for peer in peers if peer.own is not None and (peer.own.ok or peer.own.phase not in _NOT_REACHED)]


def _is_silence(reading: Reading | None) -> bool:
    """Whether nobody answered, not even to refuse, or the name could not be asked for."""
    if reading is None or reading.phase not in _NOT_REACHED:
        return False
    return reading.ended in _SILENT or reading.phase is Phase.RESOLVE


def _says(reading: Reading | None) -> str:
    if reading is None:
        return "was not asked"
    return f"{reading.says} ({reading.detail})" if reading.detail and not reading.ok else reading.says


_ADVICE = (
    "ip route; ip -s link   # on dockerhealth's own machine: is its link up, has it its route?",
    "# a firewall between it and the hosts? Ask whoever runs it what was changed.",
)

HOST_UNREACHABLE = Cause("host-unreachable", "the host does not answer at all", _host_unreachable, rank=0)
WATCHER_OFFLINE = Cause(WATCHER, "dockerhealth itself is cut off from the hosts", _watcher_offline, rank=-1)
WATCHER_REFUSED = Cause(
    "watcher-refused", "dockerhealth's own address is refused, and others are answered", _watcher_refused, rank=0
)
