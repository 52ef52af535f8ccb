"""Other people's parsers, read beside ours: of everything that was recorded they say the same."""

import re
from collections import Counter
from typing import Any

import jc
import pytest
from insights.core.context import Context
from insights.parsers.iptables import IPTables

from checks.facts import addresses, disks, netfilter
from checks.model import Output
from tests import recordings

RECORDED = [path for platform in recordings.having("healthy") for path in (recordings.FOLDER / platform).glob("*.json")]
_COUNTERS = re.compile(r"^\[\d+:\d+\] ", flags=re.MULTILINE)  # insights-core reads what is saved without them


def printed(probe: str) -> list[str]:
    """What a probe printed on the recorded hosts, each text once."""
    outputs = [recordings.outputs(path) for path in RECORDED]
    return sorted({one[probe].stdout for one in outputs if probe in one and one[probe].status == 0})


def jc_rows(parser: str, text: str) -> list[dict[str, Any]]:
    rows: Any = jc.parse(parser, text)
    return list(rows)


@pytest.mark.parametrize("probe", ["iptables", "iptables-legacy"])
def test_insights_core_finds_the_same_chains_policies_and_rules(probe: str) -> None:
    for text in printed(probe):
        ours = netfilter.read(Output(text))
        theirs = IPTables(Context(content=_COUNTERS.sub("", text).splitlines(), path=probe))
        assert {(one["table"], one["name"], one["policy"] or "-", one["packet_counter"]) for one in theirs.chains} == {
            (table, chain.name, chain.policy, chain.packets or 0)
            for table, chains in ours.tables.items()
            for chain in chains.values()
        }
        assert Counter((one["table"], one["chain"], one["target"]) for one in theirs.rules) == Counter(
            (table, chain.name, rule.target)
            for table, chains in ours.tables.items()
            for chain in chains.values()
            for rule in chain.rules
        )


def test_jc_finds_the_filesystems_as_full() -> None:
    for text in printed("disks"):
        ours = disks.DISKS.parse({"disks": Output(text)})
        assert isinstance(ours, disks.Disks)
        blocks = text.partition("@ blocks\n")[2].partition("@ inodes\n")[0]
        theirs = {(row["mounted_on"], row["capacity_percent"], row["available"]) for row in jc_rows("df", blocks)}
        assert {(one.mount, one.used, one.free_kb) for one in ours.filesystems.values()} <= theirs
        assert {ours.mounts[mount] for mount, *_ in theirs if mount in ours.mounts} == set(ours.filesystems)


def test_jc_finds_the_same_routes() -> None:
    for text in printed("addresses"):
        ours = addresses.ADDRESSES.parse({"addresses": Output(text)})
        assert isinstance(ours, addresses.Addresses)
        listed, _, _ = text.partition(addresses.RULES_FOLLOW)
        lines = [line for line in listed.splitlines() if re.match(r"(default|[\d.]+(/\d+)?) (via|dev) ", line)]
        routes = [
            line for line in lines if " lladdr " not in line and not line.rstrip().endswith(("FAILED", "INCOMPLETE"))
        ]
        theirs = {(one["ip"], one["dev"]) for one in jc_rows("ip_route", "\n".join(routes))}
        assert {(_written(route), route.device) for route in ours.routes if route.device} == theirs


def _written(route: addresses.Route) -> str:
    return "default" if route.network.prefixlen == 0 else str(route.network).removesuffix("/32")
