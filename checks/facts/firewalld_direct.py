"""firewalld's direct rules, where they decide whether it leaves the tables of iptables alone.

firewalld 2.0 and newer with its nftables backend flushes those tables only while it has direct rules, chains or
passthroughs that it keeps track of (firewalld b7faa74d; seen on 2.3.1). What dockerd passes through is not tracked.
firewall-cmd would take 150 ms of CPU for each question; busctl takes 10.
"""

import re
from dataclasses import dataclass

from checks.model import Output
from checks.source import Outputs, Probe, Source, UnparsableError

_NOT_ASKED = 252  # as firewall-cmd's own for "not running"
_LEAVES_IPTABLES = 2  # the first major version that does
_KINDS = ("chains", "rules", "passthroughs")
_VERSION = re.compile(r"""(?:VERSION = (["'])(?P<version>\d+(?:\.\d+)*)\1\n)*""")
_ANSWER = re.compile(r"""a\([a-z]+\) (?P<count>\d+)(?: (?:\d+|"(?:[^"\\]|\\.)*"))*\n""")


@dataclass(frozen=True)
class DirectRules:
    """``version`` is firewalld's own, empty where it is not found. ``kept`` counts what it keeps track of.

    None where that was not asked: firewalld does not run, or flushes the tables of iptables in that version anyway.
    """

    version: str = ""
    kept: int | None = None

    @property
    def matter(self) -> bool:
        """Whether this version, with its nftables backend, leaves the tables alone while it has no direct rule."""
        return bool(self.version) and int(self.version.partition(".")[0]) >= _LEAVES_IPTABLES


def parse(outputs: Outputs) -> DirectRules:
    """A line of firewalld's own source, and what ``busctl call`` prints: ``a(sssias) 1 "ipv4" "filter" ...``."""
    output = outputs["firewalld-version"]
    found = _VERSION.fullmatch(output.stdout)
    if output.status != 0 or found is None:
        raise UnparsableError(f"firewalld's version cannot be read: {output.stderr.strip()[:200]}")
    kept = [_kept(outputs[f"firewalld-direct-{kind}"]) for kind in _KINDS]
    counted = [count for count in kept if count is not None]
    return DirectRules(found["version"] or "", sum(counted) if len(counted) == len(kept) else None)


def _kept(output: Output) -> int | None:
    """How many of a kind there are; None where that was not asked."""
    if (output.status, output.stdout) == (_NOT_ASKED, ""):
        return None
    answer = _ANSWER.fullmatch(output.stdout)
    if output.status != 0 or answer is None:
        raise UnparsableError(f"busctl ended with {output.status}: {output.stderr.strip()[:200]}")
    return int(answer["count"])


_FIND_VERSION = 'grep -hs "^VERSION = " /usr/lib/python*/*-packages/firewall/config/__init__.py'

_UNLESS_THEY_DECIDE = f"""\
version=$({_FIND_VERSION})
version=${{version#VERSION = ?}}
[ "${{version%%.*}}" -ge {_LEAVES_IPTABLES} ] 2>/dev/null || exit {_NOT_ASKED}
owned=$(busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \\
  NameHasOwner s org.fedoraproject.FirewallD1)
[ "$owned" != "b false" ] || exit {_NOT_ASKED}
"""
_CALL = (
    "/usr/bin/busctl --system call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1"
    " org.fedoraproject.FirewallD1.direct getAll"
)

DIRECT_RULES = Source(
    "firewalld's direct rules",
    (
        Probe("firewalld-version", f"{_FIND_VERSION} || true"),
        *(
            Probe(f"firewalld-direct-{kind}", f"{_CALL}{kind.title()}", root=True, before=_UNLESS_THEY_DECIDE)
            for kind in _KINDS
        ),
    ),
    parse,
)
