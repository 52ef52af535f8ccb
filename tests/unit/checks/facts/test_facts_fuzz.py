"""Parsers on what no healthy host prints: cut off, mixed up, in another language, noise.

They give a fact or Unavailable, never crash, and a fact that they give is the right one. Where an output ends is told
by its frame and by the status of what printed it (checks/collect/gather.py); an end marker of their own have the
scripts of several commands, of which one may die without the others, and what is JSON.
"""

import functools
import json
import re
from collections.abc import Collection, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from checks.collect.gather import sort_out
from checks.facts import ALL_FACTS
from checks.facts.firewalld import FIREWALLD
from checks.facts.nftables import NFTABLES
from checks.facts.path import PATH
from checks.model import Output, ReachOutcome
from checks.source import EngineProbe, Facts, Source, Unavailable
from tests import recordings

STATES = (
    *("healthy", "firewalld-running-healthy", "firewalld-started-after-deaf-dockerd"),
    *sorted({*recordings.YOUNGER.values()}),
)
CLOSED = {
    "sysctl-files",
    "path",
    "network-service",
    "config-files",
    "taken-ports",
    "networkd",
    "packages",
    "rights",
    "nftables",
    "engine-info",
    "engine-containers",
    "engine-logs",
    "engine-networks",
}
"""Probes whose outputs show by themselves that they are whole."""
FREE = {"path"}
"""What curl and ip say there is free text: foreign lines in it cannot be told from theirs."""
ALIKE = (
    {"firewalld-zones", "firewalld-permanent"},
    {"firewalld-services", "firewalld-own-services"},
    {"sockets", "listeners", "taken-ports", "port-takers"},
    {"iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy"},
    {"addresses", "addresses-ipv6"},
    {"units", "network-service"},
    {"sysctl-files", "network-service"},
)
"""Outputs of one format, which make a sound whole when mixed."""
NOISE = st.sampled_from(["\0", "\x1b[91m", "\x1b[0;1;31m", "\x07", "\b", "\x7f"])


def of(names: Collection[str]) -> pytest.MarkDecorator:
    """The sources that have one of these probes."""
    found = [source for source in ALL_FACTS if any(probe.name in names for probe in source.probes)]
    return pytest.mark.parametrize("source", found, ids=lambda source: source.name)


FEW = settings(max_examples=40, deadline=None)
EVERY = {probe.name for source in ALL_FACTS for probe in source.probes}
sources = of(EVERY)


@functools.cache
def recorded(platform: str, state: str) -> Facts:
    return recordings.load(recordings.FOLDER / platform / f"{state}.json")


@functools.cache
def having(source: Source[object]) -> list[Facts]:
    """The recorded hosts of which a fact was had; a parser without one fails here."""
    hosts = [recorded(platform, state) for state in STATES for platform in recordings.having(state)]
    found = [facts for facts in hosts if not isinstance(facts.get(source), Unavailable)]
    assert found, f"no recording has the fact {source.name}"
    return found


@st.composite
def looks(draw: st.DrawFn, source: Source[object], names: Collection[str] = EVERY) -> tuple[Facts, str]:
    """A recorded host of which this fact was had, and one of its probes."""
    facts = draw(st.sampled_from(having(source)))
    return facts, draw(st.sampled_from([probe.name for probe in source.probes if probe.name in names]))


def read(source: Source[object], facts: Facts, changed: Mapping[str, Output]) -> object:
    """The fact of the same host, had these probes ended so: as gather executor them on."""
    outputs, missing = sort_out({**facts.outputs, **changed})
    return Facts("host1", recordings.RECORDED_AT, outputs, missing).get(source)


@sources
@FEW
@given(data=st.data())
def test_whatever_is_printed_a_parser_gives_a_fact_or_unavailable(source: Source[object], data: st.DataObject) -> None:
    facts, _ = data.draw(looks(source))
    outputs = {}
    for probe in source.probes:
        text = facts.outputs[probe.name].stdout
        cut = data.draw(st.integers(0, len(text)))
        noise = data.draw(st.text(max_size=30))
        broken = json.dumps(data.draw(JSON)) if isinstance(probe, EngineProbe) else text[:cut] + noise
        outputs[probe.name] = Output(broken, noise, data.draw(st.sampled_from([0, 1, 2, 127, 252])))
    read(source, facts, outputs)


@sources
@FEW
@given(data=st.data())
def test_what_was_cut_off_because_its_program_died_is_no_fact(source: Source[object], data: st.DataObject) -> None:
    facts, probe = data.draw(looks(source))
    text = facts.outputs[probe].stdout
    status = data.draw(st.sampled_from([124, 134, 137, 139, 143]))
    cut = Output(text[: data.draw(st.integers(0, len(text)))], "", status)
    assert isinstance(read(source, facts, {probe: cut}), Unavailable)


@of(CLOSED)
@FEW
@given(data=st.data())
def test_what_ends_with_a_marker_of_its_own_and_lost_it_is_no_fact(source: Source[object], data: st.DataObject) -> None:
    facts, probe = data.draw(looks(source, CLOSED))
    output = facts.outputs[probe]
    assume(output.stdout)
    cut = Output(output.stdout[: data.draw(st.integers(0, len(output.stdout) - 1))], "", output.status)
    found = read(source, facts, {probe: cut})
    assert isinstance(found, Unavailable) or found == facts.get(source)


@of(EVERY - FREE)
@FEW
@given(data=st.data())
def test_lines_of_another_program_in_between_are_refused_or_change_nothing(
    source: Source[object], data: st.DataObject
) -> None:
    facts, probe = data.draw(looks(source))
    alike = {probe}.union(*(group for group in ALIKE if probe in group))
    other = data.draw(st.sampled_from(sorted(facts.outputs.keys() - alike)))
    output = facts.outputs[probe]
    both = [*enumerate(output.stdout.splitlines()), *enumerate(facts.outputs[other].stdout.splitlines())]
    data.draw(st.randoms(use_true_random=False)).shuffle(both)
    mixed = "".join(f"{line}\n" for _, line in sorted(both, key=lambda numbered: numbered[0]))
    found = read(source, facts, {probe: Output(mixed, output.stderr, output.status)})
    assert isinstance(found, Unavailable) or found == facts.get(source)


@sources
@FEW
@given(data=st.data())
def test_noise_of_a_terminal_or_of_a_broken_file_is_no_fact(source: Source[object], data: st.DataObject) -> None:
    facts, probe = data.draw(looks(source))
    output = facts.outputs[probe]
    at = data.draw(st.integers(0, len(output.stdout)))
    noisy = output.stdout[:at] + data.draw(NOISE) + output.stdout[at:]
    assert isinstance(read(source, facts, {probe: Output(noisy, output.stderr, output.status)}), Unavailable)


@sources
@FEW
@given(data=st.data())
def test_bytes_that_are_no_utf_8_crash_nothing(source: Source[object], data: st.DataObject) -> None:
    facts, probe = data.draw(looks(source))
    raw = bytearray(facts.outputs[probe].stdout.encode())
    for _ in range(min(len(raw), 5)):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read(source, facts, {probe: Output(raw.decode(errors="replace"), "", facts.outputs[probe].status)})


FOREIGN = [
    ("addresses", Output("", "sh: 1: ip: 未找到命令\n", 127)),
    ("bus", Output("", "无法连接总线: 拒绝连接\n", 1)),
    ("daemon", Output("", "cat: /etc/docker/daemon.json: Keine Berechtigung\n", 1)),
    ("disks", Output("0:1 /\n", "df: 无法读取已挂载文件系统的列表\n", 1)),
    ("firewalld-own-services", Output("", "grep: /etc/firewalld/services: Keine Berechtigung\n", 2)),
    ("firewalld-zones", Output("", "FEHLER: Zugriff verweigert\n", 253)),
    ("forwarding", Output("", "grep: /proc/sys/net/ipv4/ip_forward: 没有那个文件或目录\n", 2)),
    ("iptables", Output("", "iptables-save: Zugriff verweigert (Sie müssen root sein)\n", 4)),
    ("iptables", Output("", "sudo: Ein Passwort ist notwendig\n", 1)),
    ("sockets", Output("", "Netlink-Socket kann nicht geöffnet werden: Vorgang nicht zulässig\n", 1)),
    ("sysctl-files", Output("", "sh: Syntaxfehler\n", 2)),
]


@pytest.mark.parametrize(("probe", "said"), FOREIGN, ids=[f"{probe}: {said.stderr}" for probe, said in FOREIGN])
@pytest.mark.parametrize("platform", recordings.having("firewalld-running-healthy"))
def test_a_refusal_in_another_language_is_a_refusal(platform: str, probe: str, said: Output) -> None:
    [source] = [source for source in ALL_FACTS if probe in {one.name for one in source.probes}]
    assert isinstance(read(source, recorded(platform, "firewalld-running-healthy"), {probe: said}), Unavailable)


@pytest.mark.parametrize(
    ("probe", "english", "other"),
    [
        ("units", r" UTC$", " CEST"),
        ("units", r"=[A-Z][a-z]{2} (?=2)", "=Mo "),
        ("system", r"(?<=^clock=)(\d+)\.", r"\1,"),
    ],
)
def test_another_country_s_dates_and_decimal_commas_are_no_fact(probe: str, english: str, other: str) -> None:
    facts = recorded("debian12-docker20.10.24", "healthy")
    [source] = [source for source in ALL_FACTS if probe in {one.name for one in source.probes}]
    text = facts.outputs[probe].stdout
    said, times = re.subn(english, other, text, flags=re.MULTILINE)
    assert times
    assert isinstance(read(source, facts, {probe: Output(said)}), Unavailable)


def test_an_attempt_with_a_decimal_comma_is_no_attempt() -> None:
    facts = recorded("debian12-docker20.10.24", "healthy")
    path = PATH.parse({"path": Output(facts.outputs["path"].stdout.replace("=> 200 0.", "=> 200 0,"))})
    assert not isinstance(path, Unavailable)
    assert (path.ways[5000].rungs, len(path.ways[5000].gaps)) == ((), 3)


def test_what_a_status_tells_is_understood_in_any_language() -> None:
    facts = recorded("debian12-docker20.10.24", "firewalld-running-healthy")
    stopped = read(FIREWALLD, facts, {"firewalld-zones": Output("", "FirewallD läuft nicht\n", 252)})
    assert stopped == FIREWALLD.parse({"firewalld-zones": Output("", "", 252), "firewalld-permanent": Output("")})
    absent = read(NFTABLES, facts, {"nftables": Output("", "timeout: Befehl nicht gefunden\n", 127)})
    assert not isinstance(absent, Unavailable)


def test_an_error_of_curl_in_another_language_is_an_error_of_no_known_kind() -> None:
    facts = recorded("debian12-docker20.10.24", "container-stopped")
    text = facts.outputs["path"].stdout.replace("Connection refused", "Verbindungsaufbau abgelehnt")
    found = PATH.parse({"path": Output(text)})
    assert not isinstance(found, Unavailable)
    assert {rung.ended for rung in found.ways[5000].rungs} == {ReachOutcome.FAILED}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"nftables": ' + "[" * 100_000, "1" * 10_000, "[1e999]"])
@pytest.mark.parametrize("probe", ["nftables", "engine-info", "engine-containers", "engine-logs"])
def test_whatever_json_makes_a_parser_raise_costs_that_fact_alone(probe: str, text: str) -> None:
    [source] = [source for source in ALL_FACTS if probe in {one.name for one in source.probes}]
    assert isinstance(read(source, recorded("debian12-docker20.10.24", "healthy"), {probe: Output(text)}), Unavailable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
