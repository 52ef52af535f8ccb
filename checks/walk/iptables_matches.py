"""What an iptables rule asks of a packet. Whatever is not known here makes the rule's match unknown, never false."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from checks.walk.packet import Address, PacketState, Tracking, covered
from checks.walk.rules import Match, Truth, any_of, negated, never, unknown

_JUDGED = frozenset(
    {"addrtype", "comment", "connmark", "conntrack", "iprange", "mark", "multiport", "pkttype", "state", "tcp", "udp"}
)
_OF_OTHER_HEADERS = frozenset({"ah", "dst", "esp", "frag", "hbh", "icmp6", "ipv6header", "rt"})
"""Modules of ip6tables that ask for what no client's SYN has: a header between that of IPv6 and that of TCP."""

_SYN, _ACK = 0x02, 0x10
_FLAGS = {"FIN": 0x01, "SYN": _SYN, "RST": 0x04, "PSH": 0x08, "ACK": _ACK, "URG": 0x20, "ALL": 0x3F, "NONE": 0}


def parted(words: Sequence[str]) -> tuple[tuple[Match, ...], str, Sequence[str]]:
    """The matches of a rule, ``-j`` or ``-g``, and the target with its options; empty where there is none."""
    words = _without_comments(words)
    end = next((i for i, word in enumerate(words) if word in {"-j", "-g"}), len(words))
    jump = words[end] if end < len(words) else ""
    return tuple(_matches(words[:end])), jump, words[end + 1 :]


def _without_comments(words: Sequence[str]) -> Sequence[str]:
    """A comment may be any word, also ``-j`` or ``!``."""
    return [word for before, word in zip(("", *words), words, strict=False) if "--comment" not in {before, word}]


def option(words: Sequence[str], name: str) -> str | None:
    """The word after an option."""
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word == name), None)


@dataclass(frozen=True)
class _Asked:
    """One option of a rule: ``! --dport 80:90`` in module tcp."""

    module: str
    name: str
    values: tuple[str, ...]
    negative: bool


def _matches(words: Sequence[str]) -> Iterator[Match]:
    for asked in _options(words):
        if asked.module in _OF_OTHER_HEADERS:
            yield never
        elif asked.module == "rpfilter":
            yield from _reverse_path(asked, words)
        elif asked.name == "-m":
            if asked.values and asked.values[0] not in _JUDGED:
                yield unknown
        else:
            match = _match(asked)
            yield negated(match) if asked.negative else match


def _reverse_path(asked: _Asked, words: Sequence[str]) -> Iterator[Match]:
    """As firewalld asks for it: of those whose answer would leave elsewhere."""
    if asked.name == "--invert":
        yield negated(lambda state: state.returns)
    elif asked.name == "--loose" or (asked.name == "-m" and "--invert" not in words):
        yield unknown


def _options(words: Sequence[str]) -> Iterator[_Asked]:
    module = ""
    i = 0
    while i < len(words):
        negative = words[i] == "!"
        name = i + negative
        end = name + 1
        while end < len(words) and words[end] != "!" and not _is_option(words[end]):
            end += 1
        values = tuple(words[name + 1 : end])
        if name < len(words) and words[name] == "-m":
            module = values[0] if values else ""
        if name < len(words):
            yield _Asked(module, words[name], values, negative)
        i = end


def _is_option(word: str) -> bool:
    return word.startswith("--") or (len(word) == 2 and word[0] == "-" and word[1].isalpha())  # noqa: PLR2004  # as -m


def _match(asked: _Asked) -> Match:
    """An option in the common form. A value that cannot be read is unknown."""
    make = _OPTIONS.get((asked.module, asked.name)) or _OPTIONS.get(("", asked.name))
    if make is None:
        return unknown
    try:
        return make(*asked.values)
    except (ValueError, TypeError, KeyError):
        return unknown


# --- of any rule -----------------------------------------------------------------------------------------------------


def _ingress(name: str) -> Match:
    return lambda state: _is_interface(state.ingress, name)


def _egress(name: str) -> Match:
    return lambda state: _is_interface(state.egress, name)


def _is_interface(interface: str | None, name: str) -> Truth:
    if interface is None:
        return None
    return interface.startswith(name[:-1]) if name.endswith("+") else interface == name


def _source(network: str) -> Match:
    within = ip_network(network, strict=False)
    return lambda state: state.source in within


def _destination(network: str) -> Match:
    within = ip_network(network, strict=False)
    return lambda state: None if state.destination is None else state.destination in within


def _protocol(name: str) -> Match:
    return lambda _state: name in {"tcp", "6", "all", "0"}


def _fragment() -> Match:
    return lambda _state: False


# --- ports and flags -------------------------------------------------------------------------------------------------


def _ports(text: str) -> Callable[[range | None], Truth]:
    """``80``, ``80:90``, ``:90`` or ``80,90:99``."""
    spans = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        spans.append((int(first or 0), int(last or 65535) if colon else int(first)))
    return lambda port: any_of(covered(port, low, high) for low, high in spans)


def _destination_port(text: str) -> Match:
    among = _ports(text)
    return lambda state: among(state.port)


def _source_port(text: str) -> Match:
    among = _ports(text)
    return lambda state: among(state.source_port)


def _either_port(text: str) -> Match:
    among = _ports(text)

    return lambda state: any_of((among(state.port), among(state.source_port)))


def _tcp_flags(mask: str, wanted: str) -> Match:
    of, flags = _bits(mask), _bits(wanted)
    return lambda state: ((_SYN | _ACK if state.reply else _SYN) & of) == flags


def _bits(text: str) -> int:
    return sum(_FLAGS[name] for name in text.split(","))


# --- addresses and marks ---------------------------------------------------------------------------------------------


def _range_of(attribute: str) -> Callable[[str], Match]:
    def make(text: str) -> Match:
        first, _, last = text.partition("-")
        low, high = int(ip_address(first)), int(ip_address(last or first))

        def match(state: PacketState) -> Truth:
            address: Address | None = getattr(state, attribute)
            return None if address is None else low <= int(address) <= high

        return match

    return make


def _type_of(attribute: str) -> Callable[[str], Match]:
    def make(text: str) -> Match:
        kinds = set(text.split(","))

        def match(state: PacketState) -> Truth:
            local = state.is_local(getattr(state, attribute))
            return None if local is None else ("LOCAL" if local else "UNICAST") in kinds

        return match

    return make


def _mark_of(attribute: str) -> Callable[[str], Match]:
    def make(text: str) -> Match:
        value, _, mask = text.partition("/")
        wanted, of = int(value, 0), int(mask or "0xffffffff", 0)

        def match(state: PacketState) -> Truth:
            mark: int | None = getattr(state, attribute)
            return None if mark is None else mark & of == wanted

        return match

    return make


def _packet_type(text: str) -> Match:
    return lambda _state: text == "unicast"


# --- connection tracking ---------------------------------------------------------------------------------------------


def _tracking(text: str) -> Match:
    states = set(text.lower().split(","))

    def match(state: PacketState) -> Truth:
        if state.tracking is None:
            return None
        if state.tracking is not Tracking.UNTRACKED and "dnat" in states and state.dnat:
            return True
        # SNAT is not followed: the host masquerades on the way out, after every filter of this way
        return True if state.tracking.value in states else None if "snat" in states and state.reply else False

    return match


def _status(text: str) -> Match:
    names = set(text.upper().split(","))

    def match(state: PacketState) -> Truth:
        if state.tracking is not Tracking.NEW:
            return None
        return "NONE" in names or (False if names <= _LATER else None)

    return match


_LATER = {"CONFIRMED", "ASSURED", "SEEN_REPLY"}


def _original_destination(network: str) -> Match:
    within = ip_network(network, strict=False)
    return lambda state: _tracked(state, state.original[0] in within)


def _original_source(network: str) -> Match:
    within = ip_network(network, strict=False)
    return lambda state: _tracked(state, state.client in within)


def _original_port(text: str) -> Match:
    among = _ports(text)
    return lambda state: _tracked(state, among(range(state.original[1], state.original[1] + 1)))


def _direction(text: str) -> Match:
    return lambda state: _tracked(state, (text.upper() == "REPLY") == state.reply)


def _tracked(state: PacketState, truth: Truth) -> Truth:
    return truth if state.tracking in {Tracking.NEW, Tracking.ESTABLISHED} else None


_OPTIONS: dict[tuple[str, str], Callable[..., Match]] = {
    ("", "-i"): _ingress,
    ("", "-o"): _egress,
    ("", "-s"): _source,
    ("", "-d"): _destination,
    ("", "-p"): _protocol,
    ("", "-f"): _fragment,
    ("tcp", "--dport"): _destination_port,
    ("tcp", "--sport"): _source_port,
    ("tcp", "--tcp-flags"): _tcp_flags,
    ("multiport", "--dports"): _destination_port,
    ("multiport", "--sports"): _source_port,
    ("multiport", "--ports"): _either_port,
    ("addrtype", "--dst-type"): _type_of("destination"),
    ("addrtype", "--src-type"): _type_of("source"),
    ("iprange", "--dst-range"): _range_of("destination"),
    ("iprange", "--src-range"): _range_of("source"),
    ("mark", "--mark"): _mark_of("mark"),
    ("connmark", "--mark"): _mark_of("connection_mark"),
    ("pkttype", "--pkt-type"): _packet_type,
    ("state", "--state"): _tracking,
    ("conntrack", "--ctstate"): _tracking,
    ("conntrack", "--ctstatus"): _status,
    ("conntrack", "--ctproto"): _protocol,
    ("conntrack", "--ctdir"): _direction,
    ("conntrack", "--ctorigdst"): _original_destination,
    ("conntrack", "--ctorigsrc"): _original_source,
    ("conntrack", "--ctorigdstport"): _original_port,
}
