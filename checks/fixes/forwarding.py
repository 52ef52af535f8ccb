"""Switch forwarding on so that it stays on."""

from dataclasses import replace

from checks.causes.cause import Look
from checks.facts.forwarding import FORWARDING, Forwarding
from checks.facts.netfilter import NETFILTER
from checks.facts.sysctl_files import SYSCTL_CONF, SYSCTL_FILES, SysctlFiles, SysctlLine
from checks.fixes.fix import Fix, RefusedError
from checks.model import ROOT_HELPER, Finding, Plan, Risk, Step

_FILE = "/etc/sysctl.d/99-zz-dockerhealth.conf"
_CONTENT = "/usr/local/share/dockerhealth/ip-forward.conf"  # installed by the admin: see deploy/
_LINE = SysctlLine(_FILE, 1, "net.ipv4.ip_forward", "1")

_REMOVE = Step(f"remove {_FILE}", ("/usr/bin/rm", "-f", _FILE))
_WRITE = Step(
    f"write {_FILE}: net.ipv4.ip_forward = 1",
    ("/usr/bin/install", "-m", "0644", _CONTENT, _FILE),
    undo=(_REMOVE,),
)
_LOAD = Step("load that file, and nothing else", ("/usr/sbin/sysctl", "-p", _FILE))
_SWITCH_OFF = Step("switch it off again", ("/usr/sbin/sysctl", "-w", "net.ipv4.ip_forward=0"))


def _prepare(look: Look, finding: Finding) -> Plan:
    forwarding, files = look.need(FORWARDING), look.need(SYSCTL_FILES)
    if files.unreadable:
        raise RefusedError(f"cannot tell whether the file would win: {', '.join(files.unreadable)} cannot be read")
    losing = overridden(files)
    locked = [line for line in losing if not _may_edit(line)]
    if locked:
        raise RefusedError(f"{locked[0].says}, is read last, and is not below /etc: its owner has to change it")
    before = files.at_boot()
    return Plan(
        fix=FIX.id,
        title=FIX.title,
        host=look.host.name,
        service=look.service.name,
        cause=finding.cause,
        risk=Risk.MEDIUM if losing else Risk.LOW,
        steps=(
            *(_comment_out(line) for line in losing),
            _WRITE,
            _LOAD if forwarding.ip_forward else replace(_LOAD, undo=(_SWITCH_OFF,)),
        ),
        blast_radius=_blast_radius(look, forwarding),
        verify="net.ipv4.ip_forward is 1, no file sets it to 0 afterwards, and the service answers from outside",
        basis={
            "net.ipv4.ip_forward": str(int(forwarding.ip_forward)),
            "decided at boot by": before.says if before else "no file",
        },
        notes=_notes(files, losing),
    )


def overridden(files: SysctlFiles) -> tuple[SysctlLine, ...]:
    """The lines that would still switch forwarding off once our file is there, by either program's order."""
    against: list[SysctlLine] = []
    files = files.with_line(_LINE)
    while True:
        deciding = (line for line in (files.at_boot(), files.by_procps()) if line is not None and not line.is_on)
        line = next(deciding, None)
        if line is None:
            return tuple(against)
        against.append(line)
        files = files.without(line)


def _may_edit(line: SysctlLine) -> bool:
    return line.path == SYSCTL_CONF or line.path.startswith("/etc/sysctl.d/")


def _comment_out(line: SysctlLine) -> Step:
    return replace(_switch(line, "off"), undo=(_switch(line, "on"),))


def _switch(line: SysctlLine, state: str) -> Step:
    """Comment one line out, or back in. The file as it was is kept beside it."""
    does = (
        f"comment out line {line.number} of {line.path} ({line.key} = {line.value}), keeping a copy"
        if state == "off"
        else f"bring line {line.number} of {line.path} back"
    )
    return Step(does, (ROOT_HELPER, "sysctl-line", state, line.path, str(line.number)))


def _notes(files: SysctlFiles, losing: tuple[SysctlLine, ...]) -> tuple[str, ...]:
    against = [line for line in files.lines if line.is_global and not line.is_on and line not in losing]
    return (
        *(f"{line.says}. It is read before {_FILE}, which therefore wins; tell its owner." for line in against),
        *(f"{line.says}, and would win over {_FILE}: that line is commented out." for line in losing),
    )


def _blast_radius(look: Look, forwarding: Forwarding) -> str:
    """What it opens, first of all: dockerd sets FORWARD to DROP only when it switches forwarding on itself."""
    physical = sorted(name for name in forwarding.interfaces if not name.startswith(("all", "default", "lo", "veth")))
    netfilter = look.may(NETFILTER)
    forward = netfilter.chain("filter", "FORWARD") if netfilter else None
    if forward is None:
        routes = "Nothing restarts. Whether the host then routes for others (its FORWARD policy) is not known"
    elif forward.policy == "ACCEPT":
        routes = "Nothing restarts. The host then routes for everyone who can reach it (FORWARD policy ACCEPT)"
    else:
        routes = "Nothing restarts. From the next boot on the host routes for everyone (FORWARD policy ACCEPT)"
    return f"{routes}. Interfaces: {', '.join(physical)}."


FIX = Fix("enable-ip-forward", "Switch IPv4 forwarding on, lastingly", _prepare)
