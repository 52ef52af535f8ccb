"""The kernel's packet filter as iptables sees it: tables, chains, rules and their counters."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from checks.source import Outputs, Probe, Source, UnparsableError

_CHAIN = re.compile(r"^:(?P<name>\S+) (?P<policy>\S+) \[\d+:\d+\]$")
_RULE = re.compile(r"^\[(?P<packets>\d+):\d+\] -A (?P<chain>\S+) ?(?P<spec>.*)$")


@dataclass(frozen=True)
class Rule:
    """One rule as iptables-save prints it. ``packets`` is its counter."""

    chain: str
    spec: str
    packets: int

    @property
    def words(self) -> list[str]:
        return shlex.split(self.spec) if '"' in self.spec else self.spec.split()

    def option(self, *names: str) -> str | None:
        """The word after the first of these options, as in ``-j DOCKER``."""
        words = self.words
        return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)

    @property
    def target(self) -> str | None:
        return self.option("-j", "-g")

    @property
    def says(self) -> str:
        return f"-A {self.chain} {self.spec}"


@dataclass(frozen=True)
class Chain:
    name: str
    policy: str  # ACCEPT or DROP for a built-in chain, "-" for one of a user's
    rules: tuple[Rule, ...]


Tables = Mapping[str, Mapping[str, Chain]]


@dataclass(frozen=True)
class Netfilter:
    """``tables`` maps ``nat`` and ``filter`` to their chains. A table that the kernel does not have is not in it."""

    tables: Tables

    def chain(self, table: str, name: str) -> Chain | None:
        return self.tables.get(table, {}).get(name)

    def rules(self, table: str, chain: str) -> tuple[Rule, ...]:
        found = self.chain(table, chain)
        return found.rules if found else ()

    def jumps(self, table: str, chain: str, target: str) -> bool:
        return any(rule.target == target for rule in self.rules(table, chain))

    def dnat(self, port: int) -> Iterator[Rule]:
        """Docker's DNAT rules for a published TCP port."""
        for rule in self.rules("nat", "DOCKER"):
            if rule.target == "DNAT" and rule.option("--dport") == str(port) and rule.option("-p") == "tcp":
                yield rule


def parse(outputs: Outputs) -> Netfilter:
    output = outputs["iptables"]
    if output.status != 0:
        raise UnparsableError(f"iptables-save ended with {output.status}: {output.stderr.strip()[:200]}")
    tables: dict[str, dict[str, Chain]] = {}
    table = ""
    policies: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    for line in output.stdout.splitlines():
        if line.startswith("*"):
            table, policies, rules = line[1:], {}, {}
        elif match := _CHAIN.match(line):
            policies[match["name"]] = match["policy"]
        elif match := _RULE.match(line):
            rules.setdefault(match["chain"], []).append(Rule(match["chain"], match["spec"], int(match["packets"])))
        elif line == "COMMIT":
            tables[table] = {name: Chain(name, policy, tuple(rules.get(name, ()))) for name, policy in policies.items()}
            table = ""
        elif line and not line.startswith("#"):
            raise UnparsableError(f"cannot read the line {line[:80]!r} of iptables-save")
    if table:
        raise UnparsableError(f"iptables-save was cut off in table {table}")
    return Netfilter(tables)


NETFILTER = Source("netfilter", (Probe("iptables", "/usr/sbin/iptables-save -c", root=True),), parse)
