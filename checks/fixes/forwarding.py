"""Switch forwarding on, for the host or for one interface, so that it stays on."""

from collections.abc import Iterable

from checks.causes.forwarding import copied_by_network_manager, switched_off
from checks.evidence.networkd import KNOWS_FORWARDING, networkd, switched_off_by_networkd
from checks.evidence.networkd import UNIT as NETWORKD_UNIT
from checks.facts.addresses import ADDRESSES
from checks.facts.config_files import CONFIG_FILES
from checks.facts.firewalld import FIREWALLD
from checks.facts.forwarding import FORWARDING, Forwarding
from checks.facts.netfilter import NETFILTER
from checks.facts.networkd import NETWORKD, NetworkdLine
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.sysctl_order import IP_FORWARD, interface_key
from checks.facts.units import UNITS, known
from checks.fixes.fix import Fix, RefusedError, Remedy
from checks.fixes.sysctl import Keeping, Setting, forwarding_of, ip_forward, keep, write_now, write_now_again
from checks.look import Look
from checks.model import Finding, FixId, Lasts, Risk, Step

_EVERY_INTERFACE = "sysctl net.ipv4.conf.*.forwarding"
_NO_INTERFACES = {"all", "default", "lo"}
_NETWORK_MANAGER = "NetworkManager.service"
_COPIED = (
    "One that says nothing gets net.ipv4.conf.default.forwarding at the next `nmcli device reapply`, and that is 0."
)
_FILES_OF = {NETWORKD_UNIT: "/etc/systemd/network", _NETWORK_MANAGER: "/etc/NetworkManager"}


def _prepare(look: Look, _: Finding) -> Remedy:
    forwarding, setting = look.need(FORWARDING), ip_forward()
    keeping = keep(look, setting)
    if keeping.why_not:
        raise RefusedError(keeping.why_not)
    before = look.need(SYSCTL_FILES).at_boot()
    now = () if forwarding.ip_forward else (write_now(setting, *_switch_off(forwarding)),)
    against = switched_off_by_networkd(look)
    if against and not now:
        raise RefusedError(f"{against[0].says}: systemd-networkd does that whenever it starts, and its owner has to")
    if not keeping.steps and not now:
        raise RefusedError(f"net.ipv4.ip_forward is 1, and {setting.path} keeps it so")
    return Remedy(
        steps=(*keeping.steps, *now),
        risk=Risk.MEDIUM if keeping.edited else Risk.LOW,
        blast_radius=_blast_radius(look, forwarding),
        verify="net.ipv4.ip_forward is 1, no file sets it to 0 afterwards, and the service answers from outside",
        basis={
            IP_FORWARD: str(int(forwarding.ip_forward)),
            "decided at boot by": before.says if before else "no file",
        },
        lasts=Lasts.UNTIL_REBOOT if against else Lasts.FOR_GOOD,
        changes=(*setting.changes, *keeping.changes, *((_EVERY_INTERFACE,) if now else ())),
        preflight=(_read_last(keeping),),
        notes=(*map(_until_networkd_starts, against), *keeping.notes),
        undo_unasked=True,
    )


def _until_networkd_starts(line: NetworkdLine) -> str:
    return (
        f"Only until systemd-networkd starts or is reloaded: {line.says}, and that wins over every sysctl file."
        " For good, that line has to say yes."
    )


def _switch_off(forwarding: Forwarding) -> tuple[Step, ...]:
    """Writing net.ipv4.ip_forward sets the switch of every interface: those that were on are switched on again.

    A veth lives no longer than its container runs: it is not waited for.
    """
    return (
        write_now_again(IP_FORWARD, "0"),
        *(
            write_now_again(interface_key(name, "forwarding"), "1")
            for name, on in sorted(forwarding.interfaces.items())
            if on and name != "all" and not name.startswith("veth")
        ),
    )


def _read_last(keeping: Keeping) -> str:
    if keeping.edited:
        return "once those lines are commented out, no sysctl file that is read after ours says otherwise"
    return "no sysctl file that is read after ours says otherwise, in systemd's order or in that of `sysctl --system`"


def _blast_radius(look: Look, forwarding: Forwarding) -> str:
    if forwarding.ip_forward:
        return f"Nothing restarts, and nothing changes now: forwarding is on. {_for_whom(look, also_later=True)}"
    off = [name for name, on in forwarding.interfaces.items() if not on]
    begin = f"These interfaces begin to forward: {_named(look, off)}."
    return f"Nothing restarts. {begin} {_for_whom(look, also_later=True)}"


def _named(look: Look, interfaces: Iterable[str]) -> str:
    """Interfaces with their addresses, without those that lead nowhere."""
    addresses = look.may(ADDRESSES)
    owned = addresses.addresses if addresses else {}
    names = (name for name in sorted(interfaces) if name not in _NO_INTERFACES and not name.startswith("veth"))
    return ", ".join(f"{name} ({', '.join(owned[name])})" if owned.get(name) else name for name in names) or "none"


def _for_whom(look: Look, *, also_later: bool = False) -> str:
    """Whose packets, now and after the next boot: dockerd sets FORWARD to DROP only where it switches it on itself."""
    firewalld, netfilter = look.may(FIREWALLD), look.may(NETFILTER)
    forward = netfilter.chain("filter", "FORWARD") if netfilter else None
    if firewalld is not None and firewalld.running:
        return "Whose packets are forwarded is decided by firewalld's zones."
    if look.rules_elsewhere:
        return f"Whether the host then routes for others is not known, nor are Docker's rules: {look.rules_elsewhere}."
    if forward is None:
        return "Whether the host then routes for others is not known: the policy of FORWARD could not be read."
    if forward.policy == "ACCEPT":
        return "The host then routes for everyone who can reach it: the policy of FORWARD is ACCEPT."
    if not also_later:
        return "Only what a rule admits is forwarded: the policy of FORWARD is DROP."
    return (
        "Now only what a rule admits is forwarded (policy of FORWARD: DROP); after the next boot the host routes for"
        " everyone, because dockerd sets that policy only where it switches forwarding on itself."
    )


def _prepare_interface(look: Look, _: Finding) -> Remedy:
    forwarding, names = look.need(FORWARDING), switched_off(look)
    if not names:
        raise RefusedError("no interface on the way of the packets is switched off")
    planned = [(setting, keep(look, setting)) for setting in map(forwarding_of, names)]
    kept = [keeping for _, keeping in planned]
    owners = _owners(look, names)
    why_not = tuple(keeping.why_not for keeping in kept if keeping.why_not)
    return Remedy(
        steps=tuple(step for pair in planned for step in _now_and_kept(*pair)),
        risk=Risk.MEDIUM if any(keeping.edited for keeping in kept) else Risk.LOW,
        blast_radius=f"Nothing restarts. These interfaces begin to forward: {_named(look, names)}. {_for_whom(look)}",
        verify="the kernel forwards a client's packet and its answer, and the service answers from outside",
        basis={interface_key(name, "forwarding"): str(int(forwarding.interfaces[name])) for name in names},
        lasts=Lasts.UNTIL_REBOOT if why_not else Lasts.UNTIL_CHANGED if owners else Lasts.FOR_GOOD,
        changes=tuple(name for setting, keeping in planned for name in (*setting.changes, *keeping.changes)),
        preflight=(
            "net.ipv4.ip_forward is 1: the switch of the whole host is on",
            *dict.fromkeys(_read_last(keeping) for keeping in kept if not keeping.why_not),
        ),
        notes=(*(note for keeping in kept for note in keeping.notes), *map(_only_now, why_not), *owners),
        undo_unasked=True,
    )


def _now_and_kept(setting: Setting, keeping: Keeping) -> tuple[Step, ...]:
    return (*keeping.steps, write_now(setting, write_now_again(setting.key, "0")))


def _only_now(why_not: str) -> str:
    return f"Only for now, until the next boot: {why_not}."


def _owners(look: Look, names: tuple[str, ...]) -> tuple[str, ...]:
    """Who else sets the switch of an interface whenever it configures it: no sysctl file wins over that."""
    units, files = look.may(UNITS), look.may(SYSCTL_FILES)
    active = {name for name, unit in known(units or {}).items() if unit.is_active}
    notes = [_until_networkd_starts(line) for line in networkd(look).against(names)]
    knows = NETWORKD_UNIT in active and files is not None and files.systemd >= KNOWS_FORWARDING
    if knows and look.may(NETWORKD) is None:
        notes += [
            f"systemd-networkd sets it as IPv4Forwarding= in its files says: {_written(look, NETWORKD_UNIT)}.",
            "To see whether one does: grep -rn IPv4Forwarding /etc/systemd/network /etc/systemd/networkd.conf",
            f"For good, the .network file of {', '.join(names)} has to say: IPv4Forwarding=yes",
        ]
    if _NETWORK_MANAGER in active:
        notes += [
            f"NetworkManager, from 1.54 on, sets it as a profile says: {_written(look, _NETWORK_MANAGER)}.",
            *((_COPIED,) if copied_by_network_manager(look) else ()),
            *(f"For good: sudo nmcli device modify {name} ipv4.forwarding yes, and in its profile" for name in names),
        ]
    return tuple(notes)


def _written(look: Look, unit: str) -> str:
    files = [file for file in look.may(CONFIG_FILES) or () if file.path.startswith(f"{_FILES_OF[unit]}/")]
    shown = ", ".join(f"{file.path} was written {file.written:%Y-%m-%d %H:%M:%S} UTC" for file in files[:3])
    return shown or f"no file was seen in {_FILES_OF[unit]}"


FIX = Fix(FixId.ENABLE_IP_FORWARD, "Switch IPv4 forwarding on", _prepare)
INTERFACE = Fix(FixId.ENABLE_INTERFACE_FORWARDING, "Switch forwarding on for the interface", _prepare_interface)
