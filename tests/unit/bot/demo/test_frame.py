"""The demo host's answer to the gather script is what gather takes apart."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.hosts.frame import answer, answer_of_root, asked, frame
from checks.collect.gather import script, sort_out, unframe
from checks.facts import ALL_FACTS, COUNTING
from checks.model import Output, Service
from checks.source import Probe

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)
OUTPUTS = st.builds(Output, st.text(), st.text(), st.integers(0, 255), st.floats(0, 60_000))


@given(st.dictionaries(NAMES, OUTPUTS))
def test_unframe_takes_apart_what_frame_put_together(outputs: dict[str, Output]) -> None:
    again = {name: raw.decoded for name, raw in unframe(frame(outputs)).items()}
    assert list(again) == list(outputs)
    for name, output in again.items():
        was = outputs[name]
        assert (output.stdout, output.stderr, output.status) == (was.stdout, was.stderr, was.status)
        assert output.ms == pytest.approx(was.ms)


def test_the_probes_of_the_user_s_own_that_a_script_asks_for_are_found_in_it() -> None:
    text = script([Service("registry", "http://127.0.0.2:5000/v2/")], "127.0.0.2")
    command = f"exec timeout -k 2 60 /bin/sh -c {shlex.quote(text)}"
    probes = [probe for source in ALL_FACTS for probe in source.probes if isinstance(probe, Probe)]
    counting = {probe.name for source in COUNTING for probe in source.probes if isinstance(probe, Probe)}
    names = {probe.name for probe in probes if not probe.root and not probe.of_ipv6}
    found = asked(command)
    assert found is not None
    assert (sorted(found.names), sorted(found.counted)) == (sorted(names), sorted(names & counting))


@pytest.mark.parametrize("command", ["", "id", "exec timeout 9 /bin/sh -c 'rm -rf /'", "exec timeout 9 'open"])
def test_any_other_command_is_no_gather_script(command: str) -> None:
    assert asked(command) is None


def test_a_probe_that_was_not_recorded_says_so_and_is_no_empty_answer() -> None:
    output = unframe(answer({}, ["new-probe"]))["new-probe"].decoded
    assert output.status == 127
    assert "new-probe: not found" in output.stderr
    outputs, _ = sort_out({"new-probe": output})
    assert outputs["new-probe"].stdout == ""


def test_what_root_s_session_says_is_a_frame_in_a_frame_of_all_that_is_not_the_user_s() -> None:
    recorded = {"path": Output("a\n", "", 0, 1.0), "iptables": Output("*filter\n\n0 1.0", "warned", 0, 2.0)}
    session = unframe(answer_of_root(recorded, ["path"]))["root"]
    assert {name: raw.decoded for name, raw in unframe(session.stdout).items()} == {"iptables": recorded["iptables"]}
