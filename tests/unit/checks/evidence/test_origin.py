"""How a fault came about: what the journal proves, what only fits in time, and whom it must not accuse."""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.evidence.history import history
from checks.evidence.origin import who_stopped, who_switched_forwarding, who_touched_the_firewall
from checks.facts.journal import parse as parse_journal
from checks.facts.sysctl_order import IP_FORWARD
from checks.look import Before, Look
from checks.model import Aspect, Baseline, Output, Value
from checks.source import Unavailable
from tests import histories
from tests.histories import NETWORK_SERVICE, NOW, at, journal, look, record, restart, sudo, unit

GOOD = Baseline(at("14:03:10"), {IP_FORWARD: Value(Aspect.HOST_FORWARDING, "1")})
RESTART = restart("14:03:14", "network.service")
SCRIPT = "/etc/rc.d/init.d/network:237 says `sysctl -w net.ipv4.ip_forward=0 > /dev/null 2>&1`"


def forwarding(seen: Look) -> str:
    return "\n".join(one.says for one in who_switched_forwarding(seen))


def recorded_look(name: str) -> Look:
    text = histories.recorded(name)
    found = parse_journal({"journal": Output(text)})
    assert not isinstance(found, Unavailable)
    newest = found.events[-1].at + timedelta(seconds=3)
    return look(text, now=newest, outputs={"units": histories.units(newest - timedelta(hours=5))})


@pytest.mark.parametrize(
    ("name", "asker"),
    [
        ("debian12-web-program", "asked for by: webpanel (in webpanel.service) ran `sudo /usr/bin/systemctl restart"),
        ("debian12-person", "asked for by: ops (in login session "),
        ("debian13-root-program", 'who asked is not recorded. At that time webpanel.service wrote "127.0.0.1'),
        ("debian13-timer", "who asked is not recorded. At that time renew-address.service was running"),
        ("debian12-script", 'who asked is not recorded. At that time renew (pid 2956) wrote "new address"'),
        (
            "debian13-program-in-a-login",
            "who asked is not recorded. At that time renew (pid 3171, in login session c",
        ),
    ],
)
def test_the_mystery_is_solved_as_far_as_the_journal_of_a_real_host_tells(name: str, asker: str) -> None:
    says = forwarding(recorded_look(name))
    assert "network.service was restarted at 2026-11-2" in says
    assert SCRIPT in says
    assert asker in says
    assert "no proof" in says


def test_it_says_when_forwarding_was_last_known_to_be_on() -> None:
    says = forwarding(look(journal(*RESTART), good=GOOD))
    assert "network.service was restarted at 2026-11-24 14:03:14 UTC" in says
    assert "forwarding was last known to be on at 2026-11-24 14:03:10 UTC" in says
    assert "nothing in the journal names who had network.service restarted" in says


def test_of_several_restarts_each_may_have_done_it() -> None:
    twice = journal(*RESTART, *restart("14:03:19", "network.service"))
    says = forwarding(look(twice, good=GOOD))
    assert says.index("restarted at 2026-11-24 14:03:14") < says.index("restarted at 2026-11-24 14:03:19")
    assert says.count("no proof") == 1


OFF_THE_FIRST_TIME = sudo(
    "14:03:11", "dockerhealth", "/usr/local/sbin/dockerhealth-root sysctl-set net/ipv4/ip_forward=0"
)


def test_what_switched_it_off_the_first_time_is_innocent_of_the_second_where_it_answered_in_between() -> None:
    seen = look(journal(OFF_THE_FIRST_TIME), good=GOOD)
    assert forwarding(replace(seen, before=Before(GOOD, answered_at=at("14:03:15")))) == ""


def test_where_nobody_saw_it_answer_in_between_a_record_fits_in_time_and_is_no_proof() -> None:
    says = forwarding(look(journal(OFF_THE_FIRST_TIME), good=GOOD))
    assert "dockerhealth (in login session 4) ran" in says
    assert "that fits in time; it is no proof" in says


def test_an_answer_while_the_clocks_may_differ_clears_nobody() -> None:
    seen = look(journal(sudo("14:03:14", "ops", "/sbin/sysctl -w net.ipv4.ip_forward=0")), good=GOOD)
    says = forwarding(replace(seen, before=Before(GOOD, answered_at=at("14:03:15"))))
    assert "ip_forward=0` at 2026-11-24 14:03:14 UTC; the service still answered at 2026-11-24 14:03:15 UTC" in says


def test_what_was_done_once_it_had_failed_already_is_said_to_come_late() -> None:
    seen = look(journal(*restart("14:03:18", "network.service")), good=GOOD)
    says = forwarding(replace(seen, before=Before(GOOD, at("14:03:11"), at("14:03:12"))))
    assert "network.service was restarted at 2026-11-24 14:03:18 UTC" in says
    assert "it had not answered since 2026-11-24 14:03:12 UTC already" in says


def test_a_restart_before_the_last_good_look_is_innocent() -> None:
    assert forwarding(look(journal(*restart("14:03:05", "network.service")), good=GOOD)) == ""


def test_a_restart_before_dockerd_switched_forwarding_on_again_is_innocent() -> None:
    started = [unit("14:03:16", "Starting", "docker.service"), unit("14:03:17", "Started", "docker.service")]
    assert forwarding(look(journal(*RESTART, *started))) == ""


def test_a_restart_is_innocent_where_a_file_switches_it_on_again_but_a_stop_is_not() -> None:
    files = {
        "sysctl-files": "systemd 252\nprocps 4.0.2\nplatform \nfile /etc/sysctl.d/a.conf\n"
        "line /etc/sysctl.d/a.conf:1:net.ipv4.ip_forward = 1\nend\n"
    }
    assert forwarding(look(journal(*RESTART), good=GOOD, outputs=files)) == ""
    assert "network.service was stopped" in forwarding(look(journal(*RESTART[:2]), good=GOOD, outputs=files))


def test_a_network_service_that_does_not_touch_forwarding_is_innocent() -> None:
    script = {"network-service": NETWORK_SERVICE.replace(histories.NETWORK_SCRIPT, "")}
    assert forwarding(look(journal(*RESTART), good=GOOD, outputs=script)) == ""


def test_without_a_journal_systemd_s_own_time_is_said_and_nobody_is_named() -> None:
    units = {"units": histories.units(network_stopped=at("14:03:14"))}
    says = forwarding(look(None, good=GOOD, outputs=units))
    assert "network.service was last stopped at 2026-11-24 14:03:14 UTC" in says
    assert "asked" not in says


def test_the_times_of_a_host_whose_clock_is_off_are_corrected() -> None:
    ahead = restart("14:13:14", "network.service")  # ten minutes
    says = forwarding(look(journal(*ahead), clock=NOW + timedelta(minutes=10), good=GOOD))
    assert "network.service was restarted at 2026-11-24 14:03:14 UTC" in says


@pytest.mark.parametrize(
    "command",
    [
        "/sbin/sysctl -w net.ipv4.ip_forward=0",
        "/sbin/sysctl -w net.ipv4.conf.all.forwarding=0",
        "/bin/sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'",
    ],
)
def test_a_command_that_says_zero_itself_is_quoted(command: str) -> None:
    says = forwarding(look(journal(sudo("14:03:14", "ops", command)), good=GOOD))
    assert says.startswith(f"ops (in login session 4) ran `sudo {command}` at 2026-11-24 14:03:14 UTC")


def test_ansible_s_sysctl_module_is_quoted() -> None:
    module = record(
        "14:03:14", "Invoked with name=net.ipv4.ip_forward value=0 state=present", SYSLOG_IDENTIFIER="ansible-sysctl"
    )
    assert forwarding(look(journal(module), good=GOOD)).startswith("Ansible ran ansible-sysctl: Invoked with")


def test_a_command_is_innocent_where_another_one_switched_it_on_after_it() -> None:
    commands = [sudo(f"14:03:1{n}", "ops", f"/sbin/sysctl -w net.ipv4.ip_forward={n % 2}") for n in (2, 3)]
    assert "network.service was restarted" in forwarding(look(journal(*commands, *RESTART), good=GOOD))


def test_a_command_that_switches_it_on_is_innocent() -> None:
    assert forwarding(look(journal(sudo("14:03:14", "ops", "/sbin/sysctl -w net.ipv4.ip_forward=1")), good=GOOD)) == ""


def test_sysctl_files_that_say_zero_and_were_applied_are_named_with_who_asked() -> None:
    files = {
        "sysctl-files": "systemd 252\nprocps 4.0.2\nplatform \nfile /etc/sysctl.d/99-cis.conf\n"
        "line /etc/sysctl.d/99-cis.conf:3:net.ipv4.ip_forward = 0\nend\n"
    }
    asked = sudo("14:03:13", "ops", "/bin/systemctl restart systemd-sysctl")
    says = forwarding(look(journal(asked, *restart("14:03:14", "systemd-sysctl.service")), good=GOOD, outputs=files))
    assert "it applies the files, and /etc/sysctl.d/99-cis.conf:3 says net.ipv4.ip_forward = 0" in says
    assert "asked for by: ops" in says
    loaded = journal(sudo("14:03:14", "ops", "/sbin/sysctl --system"))
    assert "sysctl --system" in forwarding(look(loaded, good=GOOD, outputs=files))


@pytest.mark.parametrize(
    "command",
    [
        "/bin/systemctl status network.service",
        "/bin/systemctl restart network-online.target",
        "/bin/systemctl restart NetworkManager",
        "/usr/bin/tail /var/log/network restart.log",
    ],
)
def test_a_command_that_does_not_ask_for_it_only_correlates(command: str) -> None:
    says = forwarding(look(journal(sudo("14:03:13", "ops", command), *RESTART), good=GOOD))
    assert "asked for by" not in says
    assert "a correlation, no proof" in says


@pytest.mark.parametrize(
    "command",
    [
        "/bin/systemctl restart network",
        "/usr/sbin/service network restart",
        "/etc/init.d/network restart",
        "/bin/sh -c 'systemctl stop network.service; sleep 1'",
    ],
)
def test_each_way_to_restart_a_service_is_a_request(command: str) -> None:
    assert "asked for by: ops" in forwarding(look(journal(sudo("14:03:13", "ops", command), *RESTART), good=GOOD))


def test_a_command_long_before_or_after_is_no_request() -> None:
    early, late = (sudo(clock, "ops", "/bin/systemctl restart network") for clock in ("14:02:00", "14:03:18"))
    assert "asked for by" not in forwarding(look(journal(early, *RESTART, late), good=GOOD))


# --- what only follows from a change ---------------------------------------------------------------------------

DOCKER = [unit("14:03:14", "Starting", "docker.service"), unit("14:03:16", "Started", "docker.service")]


@pytest.mark.parametrize(
    ("program", "unit_", "message"),
    [
        ("firewalld", "firewalld.service", "WARNING: COMMAND_FAILED: '/usr/sbin/iptables -w10 -D FORWARD' failed: x"),
        ("firewalld", "firewalld.service", "ERROR: COMMAND_FAILED: '/usr/sbin/iptables -w10 -n -L DOCKER' failed: x"),
        ("firewalld", "firewalld.service", "WARNING: ZONE_ALREADY_SET: 'docker0' already bound to 'docker'"),
        ("NetworkManager", "NetworkManager.service", "<info>  [1.2] manager: (veth1): new Veth device"),
        ("podman", "podman.service", '@ - - [24/Nov/2026:14:03:15 +0000] "GET /v1.41/info HTTP/1.1" 200 9 "" "docker"'),
        ("podman", "podman.service", 'time="2026-11-24T14:03:15Z" level=info msg="Setting parallel job count to 13"'),
        ("", "docker-0123.scope", "a line of a container"),
    ],
)
def test_what_follows_from_a_start_or_from_our_own_look_explains_no_start(
    program: str, unit_: str, message: str
) -> None:
    line = record("14:03:15", message, SYSLOG_IDENTIFIER=program, _SYSTEMD_UNIT=unit_)
    happened = history(look(journal(*DOCKER, line)))
    assert happened is not None
    [act] = happened.acts_of("docker.service")
    assert happened.askers(act) == ()


def test_podman_s_service_that_comes_up_for_a_look_is_nobody_who_asked() -> None:
    ours = [unit("14:03:13", "Starting", "podman.service"), unit("14:03:18", "Stopped", "podman.service")]
    happened = history(look(journal(ours[0], *DOCKER, ours[1])))
    assert happened is not None
    [act] = happened.acts_of("docker.service")
    assert happened.askers(act) == ()


@pytest.mark.parametrize(
    ("program", "unit_", "message"),
    [
        ("NetworkManager", "NetworkManager.service", '<info>  [1.2] audit: op="networking-control" pid=7 uid=0'),
        (
            "podman",
            "podman.service",
            '@ - - [24/Nov/2026:14:03:13 +0000] "POST /v1.41/containers/a/stop HTTP/1.1" 204 0',
        ),
    ],
)
def test_what_somebody_asked_of_a_service_is_told_as_a_coincidence(program: str, unit_: str, message: str) -> None:
    line = record("14:03:13", message, SYSLOG_IDENTIFIER=program, _SYSTEMD_UNIT=unit_)
    says = forwarding(look(journal(line, *RESTART), good=GOOD))
    assert f'At that time {unit_} wrote "{message[:20]}' in says


def test_of_many_lines_those_before_it_and_near_to_it_are_told() -> None:
    lines = [record(f"14:03:1{n}", f"line {n}", SYSLOG_IDENTIFIER=f"p{n}") for n in ("2.5", "3.5", "3.9", "5.5")]
    says = forwarding(look(journal(*lines, *RESTART), good=GOOD))
    order = [says.index(f"line {n}") for n in ("3.9", "3.5", "2.5")]
    assert order == sorted(order)
    assert "line 5.5" not in says


def test_a_firewalld_that_was_started_after_dockerd_is_named_with_who_asked() -> None:
    start = [unit("14:03:14", "Starting", "firewalld.service"), unit("14:03:15", "Started", "firewalld.service")]
    asked = sudo("14:03:13", "ops", "/bin/systemctl start firewalld")
    says = [one.says for one in who_touched_the_firewall(look(journal(asked, *start)))]
    assert says[0] == "firewalld.service was started at 2026-11-24 14:03:14 UTC"
    assert says[1].startswith("asked for by: ops")
    assert len(says) == 2


def test_rules_that_were_flushed_by_hand_are_named_and_rules_that_were_listed_are_not() -> None:
    commands = (
        sudo("14:03:13", "ops", "/usr/sbin/iptables -t nat -F"),
        sudo("14:03:14", "eve", "/usr/sbin/iptables -L"),
    )
    [one] = who_touched_the_firewall(look(journal(*commands)))
    assert "iptables -t nat -F" in one.says


def test_what_was_done_to_the_firewall_before_dockerd_started_is_no_matter() -> None:
    start = [unit("14:03:14", "Starting", "firewalld.service"), unit("14:03:15", "Started", "firewalld.service")]
    assert who_touched_the_firewall(look(journal(*start), outputs={"units": histories.units(at("14:03:18"))})) == ()


def test_who_stopped_a_unit_or_a_container_is_told() -> None:
    asked = sudo("14:03:13", "ops", "/bin/systemctl stop docker")
    stop = [unit("14:03:14", "Stopping", "docker.service"), unit("14:03:15", "Stopped", "docker.service")]
    assert "asked for by: ops" in histories.texts(who_stopped(look(journal(asked, *stop)), "docker.service"))
    removed = journal(
        sudo("14:03:13", "ops", "/usr/bin/docker rm -f registry"),
        sudo("14:03:14", "x", "/usr/bin/docker stop registry-2"),
    )
    [one] = who_stopped(look(removed), "registry")
    assert "docker rm -f registry" in one.says


def test_nothing_is_told_of_a_journal_that_could_not_be_read() -> None:
    assert history(look(None)) is None
    assert who_touched_the_firewall(look(None)) == ()
    assert who_stopped(look(None), "docker.service") == ()
