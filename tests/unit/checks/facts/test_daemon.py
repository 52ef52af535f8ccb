"""Whether a dockerd that starts now would take its configuration: by its own word, or by what can be seen."""

import json

import pytest

from checks.facts.daemon import DAEMON_CONFIGURATION, DaemonConfiguration
from checks.model import Output
from checks.source import Facts, Unavailable
from tests import recordings
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE

TOO_OLD = "Status: unknown flag: --validate\nSee 'dockerd --help'., Code: 125\n"
FLAGS = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock "


def read(output: Output) -> DaemonConfiguration | Unavailable:
    return Facts("host1", recordings.RECORDED_AT, {"daemon-valid": output}).get(DAEMON_CONFIGURATION)


def problem(output: Output) -> str:
    found = read(output)
    assert isinstance(found, DaemonConfiguration), found
    assert bool(found.problem) is not bool(found.checked)
    return found.problem


def old(file: object, flags: str = FLAGS) -> Output:
    """A dockerd that cannot validate: its file, and what it runs with."""
    text = file if isinstance(file, str) else json.dumps(file)
    return Output(f"{text}\n@ {flags}", TOO_OLD, 123)


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_a_file_that_is_no_json_is_told_by_either_generation(platform: str) -> None:
    outputs = recordings.outputs(recordings.FOLDER / platform / "dockerd-config-broken.json")
    assert "/etc/docker/daemon.json" in problem(outputs["daemon-valid"])


def test_its_own_word_counts() -> None:
    assert problem(Output("{}\n@ x", "configuration OK\n", 0)) == ""
    said = "unable to configure the Docker daemon with file /etc/docker/daemon.json: ... don't match any option: foo\n"
    assert problem(Output('{"foo": 1}\n@ x', said, 123)) == said.strip()


@pytest.mark.parametrize("status", [3, 4])
def test_where_there_is_no_file_or_none_that_is_newer_it_is_not_asked(status: int) -> None:
    assert problem(Output("", "", status)) == ""


@pytest.mark.parametrize(
    ("file", "flags", "twice"),
    [
        ({"hosts": ["tcp://0.0.0.0:2375"]}, FLAGS, "hosts"),
        ({"debug": True}, f"{FLAGS}-D", "debug"),
        ({"log-opts": {}}, f"{FLAGS}--log-opt max-size=1m", "log-opts"),
        ({"bip": "10.1.0.1/16", "mtu": 1400}, f"{FLAGS}--bip=10.1.0.1/16 --mtu 1400", "bip, mtu"),
    ],
)
def test_an_option_that_is_given_twice_keeps_an_old_dockerd_down(file: object, flags: str, twice: str) -> None:
    assert problem(old(file, flags)) == f"both in /etc/docker/daemon.json and a flag of dockerd: {twice}"


@pytest.mark.parametrize("file", [{}, {"live-restore": True}, {"host": "x"}, ""])
def test_a_sound_file_of_an_old_dockerd_is_sound_as_far_as_can_be_seen(file: object) -> None:
    assert problem(old(file)) == ""


@pytest.mark.parametrize("file", ["{,}", "[]", '"x"'])
def test_what_is_no_object_of_settings_is_no_configuration(file: str) -> None:
    assert problem(old(file))


def test_keys_that_only_root_may_read_tell_nothing() -> None:
    said = 'invalid TLS configuration: Error reading X509 key pair (cert: "/root/c.pem"): open: permission denied.'
    found = read(Output("{}\n@ x", said, 123))
    assert isinstance(found, Unavailable)
    assert "permission denied" in found.reason
