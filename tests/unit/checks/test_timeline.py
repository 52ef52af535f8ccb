"""What changed before: the differences between two looks, and what happened on the host between them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.wording.reports import between
from checks.baseline import baseline
from checks.check import report
from checks.facts.sysctl_order import IP_FORWARD
from checks.intervals import continued
from checks.look import Before, Look
from checks.model import Aspect, Baseline, Change, ChangeKind, Report, Status, Value
from checks.timeline import differences, timeline
from tests import histories, looks
from tests.histories import NOW, at, journal, look, record, restart, sudo, unit

ON, OFF = Value(Aspect.HOST_FORWARDING, "1"), Value(Aspect.HOST_FORWARDING, "0")
GOOD = Baseline(at("14:03:10"), {IP_FORWARD: ON})
LOGIN = record("14:02:50", "Accepted publickey for ops from 10.0.0.5 port 50 ssh2", SYSLOG_IDENTIFIER="sshd")


def shown(seen: Look) -> str:
    return "\n".join(line(change) for change in timeline(seen))


def line(change: Change) -> str:
    interval = f" {between(change)}" if change.since else ""
    return f"{change.at:%H:%M:%S} {change.says}{interval} [{change.who}]"


def compared(*values: tuple[Aspect, str, str | None, str | None]) -> list[str]:
    """What differs between two looks: of each value its aspect, its name, and what it was and is."""
    was = {name: Value(aspect, old) for aspect, name, old, _ in values if old != MISSING}
    now = {name: Value(aspect, new) for aspect, name, _, new in values if new != MISSING}
    return [change.what for change in differences(Baseline(at("14:03:10"), was), Baseline(NOW, now))]


MISSING = "could not be had"


# --- a clock of ours that is set in between ---


AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize("set_by", [AN_HOUR, -AN_HOUR], ids=["forward", "back"])
def test_after_our_clock_was_set_the_same_happened_after_the_last_good_look(set_by: timedelta) -> None:
    before = Before(GOOD, at("14:03:12"), at("14:03:16"))
    happened = (*restart("14:02:00", "firewalld.service"), *restart("14:03:14", "network.service"))
    right = replace(look(journal(*happened)), before=before)
    ours = replace(look(journal(*happened), now=NOW + set_by, clock=NOW), before=before.moved(set_by))
    told = [change for change in timeline(ours) if "the host's clock is" not in change.says]
    assert [(change.at - set_by, change.says) for change in told] == [(each.at, each.says) for each in timeline(right)]
    assert any("network.service" in change.says for change in told)


# --- two looks -------------------------------------------------------------------------------------------------


def test_the_story_is_told_in_the_order_in_which_it_happened() -> None:
    asked = sudo("14:03:13", "webpanel", "/bin/systemctl restart network", "webpanel.service")
    seen = look(journal(LOGIN, asked, *restart("14:03:14", "network.service")), good=GOOD)
    lines = shown(replace(seen, before=Before(GOOD, at("14:03:12"), at("14:03:16")))).splitlines()
    assert [line for line in lines if "docker" not in line and "container" not in line] == [
        "14:02:50 ops logged in over SSH from 10.0.0.5 [ops]",
        "14:03:10 the last look that found it healthy []",
        "14:03:12 it answered from outside for the last time []",
        (
            "14:03:14 network.service restarted "
            "[webpanel (in webpanel.service) ran `sudo /bin/systemctl restart network`]"
        ),
        "14:03:16 it did not answer from outside for the first time []",
        "14:03:20 net.ipv4.ip_forward changed from 1 to 0 between 14:03:10 and 14:03:20 UTC []",
    ]


def test_a_difference_says_what_it_is_of_and_the_two_looks_between_which_it_came_about() -> None:
    long_ago = Baseline(at("14:03:10") - timedelta(days=2), {IP_FORWARD: ON})
    [change] = differences(long_ago, Baseline(NOW, {IP_FORWARD: OFF}))
    assert change == Change(
        ChangeKind.DIFFERENCE, (IP_FORWARD, "1", "0"), NOW, f"{IP_FORWARD} changed from 1 to 0", since=long_ago.at
    )


def test_what_could_not_be_had_this_time_or_that_time_is_no_difference() -> None:
    other = Aspect.OTHER
    assert compared((other, "a", "1", MISSING), (other, "b", MISSING, "2"), (other, "c", "3", "3")) == []


def test_the_host_s_switch_says_as_much_as_those_of_its_interfaces() -> None:
    interface = (Aspect.INTERFACE_FORWARDING, "net.ipv4.conf.eth0.forwarding", "1", "0")
    assert compared((Aspect.HOST_FORWARDING, IP_FORWARD, "1", "0"), interface) == [f"{IP_FORWARD} changed from 1 to 0"]
    assert compared((Aspect.HOST_FORWARDING, IP_FORWARD, "1", "1"), interface) == [
        "net.ipv4.conf.eth0.forwarding changed from 1 to 0"
    ]


def test_another_container_is_not_told_by_its_start_and_address_too() -> None:
    follow = [(Aspect.CONTAINER_START, "container started", "t", "u"), (Aspect.CONTAINER_START, "address", "x", None)]
    assert compared((Aspect.CONTAINER, "container", "a 1", "a 2"), *follow) == ["container changed from a 1 to a 2"]
    assert compared(*follow) == ["address changed from x to none", "container started changed from t to u"]


def test_without_its_chains_no_rule_of_docker_s_is_told() -> None:
    rule = (Aspect.DNAT_RULE, "DNAT rule of port 5000", "-p tcp", None)
    assert compared((Aspect.DOCKER_CHAINS, "chain DOCKER", "there", "missing"), rule) == [
        "chain DOCKER changed from there to missing"
    ]


@pytest.mark.parametrize(
    "state", [(Aspect.CONTAINER, "container", MISSING, None), (Aspect.CONTAINER_STATE, "state", MISSING, "exited")]
)
def test_a_rule_of_docker_s_that_went_with_its_container_is_not_told(
    state: tuple[Aspect, str, str | None, str | None],
) -> None:
    rule = (Aspect.DNAT_RULE, "DNAT rule of port 5000", "-p tcp", None)
    assert compared(rule, state) == []
    assert compared(rule) == ["DNAT rule of port 5000 changed from `-p tcp` to none"]


def test_a_rule_stands_in_backticks_and_a_unit_that_is_told_by_its_start_is_not_told_again() -> None:
    drops, unit = ("what drops", Value(Aspect.OTHER, None)), ("firewalld.service", Value(Aspect.UNIT, "inactive"))
    good = Baseline(at("14:03:10"), dict((drops, unit)))
    now = Baseline(
        NOW, {"what drops": Value(Aspect.OTHER, "-p tcp -j DROP"), "firewalld.service": Value(Aspect.UNIT, "active")}
    )
    [change] = differences(good, now, {"firewalld.service"})
    assert change.what == "what drops changed from none to `-p tcp -j DROP`"


def test_one_reading_is_told_once_as_the_last_good_look() -> None:
    told = shown(replace(look(journal(), good=GOOD), before=Before(GOOD, GOOD.at, at("14:03:16"))))
    assert "the last look that found it healthy" in told
    assert "for the last time" not in told


def test_a_configuration_file_that_is_gone_is_a_difference_where_files_could_be_listed() -> None:
    gone = (Aspect.FILE, "/a", "2026", MISSING)
    assert compared(gone, (Aspect.FILE, "/b", "2026", "2026")) == ["/a went away"]
    assert compared(gone, (Aspect.OTHER, "c", "1", "1")) == []


# --- one look after another ------------------------------------------------------------------------------------


def found(clock: str, value: Value | None, good: Baseline = GOOD, status: Status = Status.UNHEALTHY) -> Report:
    """A look at that time that finds forwarding to be so, or cannot tell, compared with the last good one."""
    now = Baseline(at(clock), {} if value is None else {IP_FORWARD: value})
    seen = report(replace(look(journal(), good=GOOD)), now.at, 100)
    return replace(seen, status=status, baseline=now, timeline=tuple(differences(good, now)))


def followed(*looks: Report) -> list[list[str]]:
    """The timelines of looks of which each follows the one before."""
    told: list[Report] = []
    for each in looks:
        told.append(continued(each, told[-1] if told else None))
    return [[line(change) for change in each.timeline] for each in told]


CHANGED = f"{IP_FORWARD} changed from 1 to 0 between"


def test_a_difference_is_dated_once_however_often_it_is_looked_at() -> None:
    looks = [found(clock, OFF) for clock in ("14:03:20", "14:03:45", "14:04:16")]
    assert followed(*looks) == [[f"14:03:20 {CHANGED} 14:03:10 and 14:03:20 UTC []"]] * 3


def test_it_came_about_after_the_last_look_at_which_the_value_was_the_old_one_healthy_or_not() -> None:
    _, changed, later = followed(found("14:03:20", ON), found("14:03:45", OFF), found("14:04:16", OFF))
    assert changed == later == [f"14:03:45 {CHANGED} 14:03:20 and 14:03:45 UTC []"]


def test_a_value_that_went_back_and_is_another_one_again_has_changed_anew() -> None:
    looks = [found("14:03:20", OFF), found("14:03:45", ON), found("14:04:16", OFF)]
    assert followed(*looks)[2] == [f"14:04:16 {CHANGED} 14:03:45 and 14:04:16 UTC []"]


def test_a_good_look_in_between_shows_that_it_went_back() -> None:
    better = Baseline(at("14:03:30"), {IP_FORWARD: ON})
    assert followed(found("14:03:20", OFF), found("14:04:16", OFF, good=better))[1] == [
        f"14:04:16 {CHANGED} 14:03:30 and 14:04:16 UTC []"
    ]


def test_a_look_that_cannot_tell_the_value_keeps_what_was_told_of_it() -> None:
    looks = [found("14:03:20", OFF), found("14:03:45", None, status=Status.UNKNOWN), found("14:04:16", OFF)]
    assert followed(*looks) == [[f"14:03:20 {CHANGED} 14:03:10 and 14:03:20 UTC []"]] * 3


def test_what_was_before_the_last_good_look_is_no_longer_told() -> None:
    well = found("14:03:20", OFF, status=Status.HEALTHY)
    assert followed(well, found("14:03:45", None, status=Status.UNKNOWN))[1] == []


def test_a_look_without_one_before_it_says_the_interval_that_it_knows() -> None:
    assert followed(found("14:04:16", OFF)) == [[f"14:04:16 {CHANGED} 14:03:10 and 14:04:16 UTC []"]]


# --- the host's journal ----------------------------------------------------------------------------------------


def test_what_happened_long_before_the_last_good_look_is_left_out() -> None:
    old = sudo("13:30:00", "ops", "/bin/true")
    assert "/bin/true" not in shown(look(journal(old), good=GOOD))
    assert "/bin/true" in shown(look(journal(old)))
    assert "/bin/ls" not in shown(look(journal(sudo("12:30:00", "ops", "/bin/ls"))))


def test_sysctl_files_that_the_network_service_applies_are_no_change_of_their_own() -> None:
    inner = restart("14:03:14.020", "systemd-sysctl.service")
    outer = [
        unit("14:03:14.000", "Stopping", "network.service"),
        unit("14:03:14.010", "Stopped", "network.service"),
        unit("14:03:14.015", "Starting", "network.service"),
        *inner,
        unit("14:03:14.040", "Started", "network.service"),
    ]
    told = shown(look(journal(*outer), good=GOOD))
    assert "network.service restarted" in told
    assert "systemd-sysctl" not in told
    assert "systemd-sysctl.service restarted" in shown(look(journal(*inner), good=GOOD))


def test_what_is_repeated_stands_there_once() -> None:
    every_minute = [sudo(f"14:03:{second}", "nagios", "/usr/lib/check_raid") for second in ("11", "12", "13")]
    told = shown(look(journal(*every_minute), good=GOOD))
    assert told.count("check_raid") == 1
    assert "14:03:13 nagios (in login session 4) ran `sudo /usr/lib/check_raid` (the last of 3 times)" in told


def test_of_many_changes_the_newest_are_kept() -> None:
    many = [sudo(f"14:03:{second}", "ops", f"/bin/echo {second}") for second in range(11, 20)]
    files = "".join(f"{int(at('14:03:12').timestamp())} root /etc/sysctl.d/{n}.conf\n" for n in range(40))
    changes = timeline(look(journal(*many), good=GOOD, outputs={"config-files": f"{files}end\n"}))
    assert len(changes) == 30
    of_history = [change for change in changes if change.kind is not ChangeKind.CONTAINER]  # as old as its recording
    assert of_history[-1].of == (IP_FORWARD, "1", "0")


def test_a_journal_that_was_too_long_is_said_to_begin_late() -> None:
    cut = journal(sudo("14:03:15", "ops", "/bin/true")).replace("ended 0\n", "ended 124\n")
    assert "14:03:15 the host's journal was read from here on" in shown(look(cut, good=GOOD))


@pytest.mark.parametrize(("ahead", "words"), [(600, "600 s ahead"), (-90, "90 s behind")])
def test_a_clock_that_is_off_is_said_and_corrected(ahead: int, words: str) -> None:
    off = timedelta(seconds=ahead)
    theirs = f"{NOW - timedelta(seconds=5) + off:%H:%M:%S}"
    written = int((NOW - timedelta(seconds=4) + off).timestamp())
    files = {"config-files": f"{written} root /etc/docker/daemon.json\nend\n"}
    told = shown(look(journal(sudo(theirs, "ops", "/bin/true")), clock=NOW + off, good=GOOD, outputs=files))
    assert f"the host's clock is {words}; times from the host are corrected by that" in told
    assert "14:03:15 ops (in login session 4) ran" in told
    assert "14:03:16 /etc/docker/daemon.json was written; it is root's" in told


def test_a_second_of_difference_is_the_way_of_the_answer() -> None:
    told = shown(look(journal(sudo("14:03:15", "ops", "/bin/true")), clock=NOW + timedelta(seconds=1), good=GOOD))
    assert "clock" not in told
    assert "14:03:15 ops" in told


# --- what else the host tells ----------------------------------------------------------------------------------


def test_without_a_journal_the_last_changes_of_units_are_told_by_systemd() -> None:
    units = {"units": histories.units(at("14:03:15"))}
    assert "14:03:15 docker.service started []" in shown(look(None, good=GOOD, outputs=units))


def test_what_somebody_did_just_before_the_last_good_look_may_have_had_its_effect_later() -> None:
    assert "/bin/true" in shown(look(journal(sudo("14:03:01", "ops", "/bin/true")), good=GOOD))


def test_what_runs_since_before_the_last_good_look_did_not_break_it() -> None:
    units = {"units": histories.units(at("09:00:00"))}
    assert "docker.service" not in shown(look(None, good=GOOD, outputs=units))
    assert "firewalld" not in shown(look(journal(*restart("14:03:02", "firewalld.service")), good=GOOD))


def test_a_change_that_the_journal_has_is_not_told_twice() -> None:
    started = [unit("14:03:14", "Starting", "docker.service"), unit("14:03:15", "Started", "docker.service")]
    told = shown(look(journal(*started), good=GOOD, outputs={"units": histories.units(at("14:03:15"))}))
    assert told.count("docker.service") == 1


def test_packages_are_told_in_utc_whatever_the_host_s_zone() -> None:
    log = {"packages": "zone +0200\ndpkg 2026-11-24 16:03:12 upgrade docker.io:amd64 20.10 26.1\nend\n"}
    assert "14:03:12 package docker.io upgraded from 20.10 to 26.1 []" in shown(look(journal(), good=GOOD, outputs=log))


def test_nothing_is_told_of_a_host_that_could_not_be_looked_at() -> None:
    seen = look(journal())
    assert timeline(replace(seen, facts=None)) == ()
    assert baseline(replace(seen, facts=None)) is None


# --- digests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["debian12-docker20.10.24", "debian13-docker26.1.5"])
def test_a_digest_tells_healthy_from_broken_by_the_values_that_broke(platform: str) -> None:
    well = baseline(looks.look(platform, "healthy", looks.ANSWERED))
    broken = baseline(looks.look(platform, "ip-forward-off", looks.TIMED_OUT))
    assert well is not None
    assert broken is not None
    assert (well.of(Aspect.HOST_FORWARDING), broken.of(Aspect.HOST_FORWARDING)) == (ON, OFF)
    assert well.values["chain DOCKER"] == Value(Aspect.DOCKER_CHAINS, "there")
    assert "--dport 5000" in well.values["DNAT rule of port 5000"].says


def test_a_value_that_could_not_be_had_is_not_in_the_digest() -> None:
    seen = looks.look("debian12-docker20.10.24", "healthy", looks.ANSWERED)
    blind = baseline(looks.without(seen, "iptables", "sudo-refused"))
    assert blind is not None
    assert "chain DOCKER" not in blind.values
    assert blind.values[IP_FORWARD] == ON


def test_a_digest_holds_nothing_that_moves_by_itself() -> None:
    seen = looks.look("debian12-docker20.10.24", "healthy", looks.ANSWERED)
    counted = looks.changed(seen, "iptables", "[0:0]", "[7:420]")
    later = looks.changed(counted, "system", "clock=", "clock=1")
    one, other = baseline(seen), baseline(later)
    assert one is not None
    assert other is not None
    assert one.values == other.values
