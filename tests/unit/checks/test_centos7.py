"""The stories' platform: what CentOS 7's own programs print is read, and each recorded state is told as what it is."""

import functools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from checks.check import report
from checks.diagnose import diagnose
from checks.evidence.inside import innermost
from checks.evidence.packet import followed
from checks.facts import ALL_FACTS
from checks.facts.bus import BUS
from checks.facts.firewalld import FIREWALLD
from checks.facts.journal import JOURNAL
from checks.facts.legacy import LEGACY
from checks.facts.netfilter import NETFILTER, Variant
from checks.facts.network_service import NETWORK_SERVICE
from checks.facts.nftables import NFTABLES
from checks.facts.path import PATH, Certificate, rung_of
from checks.facts.sockets import SOCKETS
from checks.facts.sysctl_files import SYSCTL_FILES
from checks.facts.units import UNIT_NAMES, UNITS, known
from checks.look import Look, MissingError
from checks.model import Confidence, Output, Vantage
from checks.source import Facts, Unavailable
from checks.timeline import timeline
from tests import recordings
from tests.looks import changed
from tests.recordings import CENTOS7

FOLDER = recordings.FOLDER / CENTOS7
STATES = sorted(path.stem for path in FOLDER.glob("*.json"))
NEVER_PUT_BACK = "ip-forward-not-persisted"
RESET_BY_A_RESTART = "network-service-resets-forwarding"


@functools.cache
def seen(state: str) -> Look:
    return recordings.replay(FOLDER / f"{state}.json")


def facts(state: str) -> Facts:
    found = seen(state).facts
    assert found is not None
    return found


def asked_at_once(probe: str, file: str, status: int = 0) -> Facts:
    """The healthy host, had this probe asked as it once did."""
    text = (FOLDER / "asked-at-once" / file).read_text()
    return Facts("host1", recordings.RECORDED_AT, {**facts("healthy").outputs, probe: Output(text, "", status)})


# --- the six states ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_every_fact_is_had_but_what_a_dockerd_that_is_down_cannot_say(state: str) -> None:
    lacking = {one.fact for one in facts(state).unavailable(ALL_FACTS)}
    assert lacking == ({"Docker Engine", "containers", "containers' logs"} if state == "dockerd-down" else set())


@pytest.mark.parametrize(
    ("state", "causes", "risks", "fixes"),
    [
        ("healthy", (), {NEVER_PUT_BACK, RESET_BY_A_RESTART}, ("enable-ip-forward",)),
        ("ip-forward-off", ("ip-forward-off",), {RESET_BY_A_RESTART}, ("enable-ip-forward",)),
        ("dockerd-down", ("dockerd-down",), set(), ("start-docker",)),
        (
            "firewalld-started-after-deaf-dockerd",
            ("docker-chains-missing",),
            {NEVER_PUT_BACK, RESET_BY_A_RESTART, "docker-deaf-to-firewalld"},
            ("restart-docker", "open-firewalld-port", "enable-ip-forward"),
        ),
        ("host-network-port-closed", ("firewalld-port-closed",), set(), ("open-firewalld-port", "stop-firewalld")),
        (
            "container-stopped",
            ("container-stopped",),
            {NEVER_PUT_BACK, RESET_BY_A_RESTART},
            ("start-container", "enable-ip-forward"),
        ),
    ],
)
def test_each_state_is_proven_to_be_what_it_is_and_has_its_fix(
    state: str, causes: tuple[str, ...], risks: set[str], fixes: tuple[str, ...]
) -> None:
    found = report(seen(state), recordings.RECORDED_AT, 0)
    assert tuple(cause.cause for cause in found.diagnosis.causes) == causes
    assert {cause.confidence for cause in found.diagnosis.causes} <= {Confidence.PROVEN}
    assert {risk.cause for risk in found.diagnosis.risks} == risks
    assert tuple(plan.fix for plan in found.plans) == fixes


def test_a_deaf_dockerd_is_part_of_the_proof() -> None:
    [cause] = diagnose(seen("firewalld-started-after-deaf-dockerd")).causes
    [proof] = [evidence.says for evidence in cause.evidence if evidence.fact == "units"]
    assert "docker started 2026-11-22 23:59:52 UTC, then firewalld started 2026-11-22 23:59:54 UTC" in proof
    assert "(pid 43056) is not on D-Bus: it never heard of it" in proof


# --- what its programs print -------------------------------------------------------------------------------------


def test_one_unit_a_command_shows_every_unit() -> None:
    units = facts("healthy").get(UNITS)
    assert not isinstance(units, Unavailable)
    told = known(units)
    assert tuple(told) == UNIT_NAMES
    assert (told["docker.service"].main_pid, told["docker.socket"].main_pid) == (36316, 0)
    assert told["docker.socket"].is_active
    assert not told["NetworkManager.service"].installed


def test_a_systemctl_that_ends_at_a_property_that_is_not_there_costs_what_it_did_not_show() -> None:
    units = asked_at_once("units", "units.1.txt", 1).get(UNITS)
    assert not isinstance(units, Unavailable)
    assert set(known(units)) == {"docker.service", "docker.socket"}
    assert units["firewalld.service"] == Unavailable("systemctl did not show it")


def test_a_unit_that_could_not_be_shown_is_not_one_that_does_not_run() -> None:
    """A host of which nobody knows whether firewalld runs has no proof that dockerd is deaf, nor that it hears."""
    look = replace(seen("healthy"), facts=asked_at_once("units", "units.1.txt", 1))
    untold = {finding.cause: finding.why for finding in diagnose(look).not_told}
    assert untold["docker-deaf-to-firewalld"] == "units: firewalld.service: systemctl did not show it"
    assert [lacking.fact for lacking in report(look, recordings.RECORDED_AT, 0).unavailable][:2] == [
        "units: containerd.service",
        "units: firewalld.service",
    ]


def test_a_block_that_lost_the_process_of_its_service_is_no_service_without_a_process() -> None:
    text = facts("healthy").outputs["units"].stdout.replace("MainPID=36316\n", "")
    units = UNITS.parse({"units": Output(text)})
    assert not isinstance(units, Unavailable)
    assert units["docker.service"] == Unavailable("systemctl did not show all of it")


def test_a_systemctl_that_shows_nothing_is_no_host_without_units() -> None:
    reached = {**facts("healthy").outputs, "units": Output("\n", "Failed to connect to bus: Host is down\n")}
    found = Facts("host1", recordings.RECORDED_AT, reached).get(UNITS)
    assert isinstance(found, Unavailable)
    assert "Failed to connect to bus" in found.reason


def test_a_curl_that_takes_no_fractions_costs_the_ladder_and_not_the_kernel_s_routes() -> None:
    found = asked_at_once("path", "path.txt")
    path = found.get(PATH)
    assert not isinstance(path, Unavailable)
    way = path.ways[5000]
    assert (way.rungs, set(way.gaps)) == ((), {"loopback", "own", "container"})
    assert way.inbound is not None
    assert way.inbound.device == "docker0"
    assert way.listening is not None
    says = "curl ended with 2 and wrote no result: option --connect-timeout: expected a proper numerical parameter"
    assert [(one.fact, one.why) for one in found.unavailable([PATH])] == [
        (f"path: port 5000, {name}", says) for name in ("container", "loopback", "own")
    ]


def test_an_attempt_that_cannot_be_read_costs_that_attempt() -> None:
    """Of the container's own address nothing is known then: the host's own would be another way in."""
    text = facts("healthy").outputs["path"].stdout
    broken = text.replace("=> 200 0.008", "").replace("rung container 172.17.0.2 0", "rung container 172.17.0.2 2")
    outputs = {**facts("healthy").outputs, "path": Output(broken)}
    look = replace(seen("ip-forward-off"), facts=Facts("host1", recordings.RECORDED_AT, outputs))
    assert (look.answers_at(Vantage.HOST), look.answers_at(Vantage.CONTAINER)) == (True, None)
    with pytest.raises(MissingError, match="curl ended with 2 and wrote no result"):
        innermost(look)


def test_a_certificate_is_read_as_a_curl_with_nss_shows_it() -> None:
    """From its source (curl 7.29: lib/nss.c, display_cert_info): no such host was recorded."""
    text = """* \tsubject: CN=registry.example
* \tstart date: Nov 01 00:00:00 2026 GMT
* \texpire date: Dec 01 00:00:00 2026 GMT
* \tcommon name: registry.example
* \tissuer: CN=Example CA

=> 200 0.031
"""
    rung = rung_of(Vantage.HOST, "10.88.0.17", 0, text)
    valid = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert rung.certificate == Certificate("CN=registry.example", "CN=Example CA", *valid)


def test_what_it_has_no_program_for_is_a_typed_absence() -> None:
    lacking = {name for name, output in facts("healthy").outputs.items() if output.status == 127}
    assert lacking == {"nftables", "iptables-legacy"}
    assert list(facts("healthy").get(NFTABLES)) == []  # type: ignore[arg-type]  # had, as the test above says
    assert seen("healthy").need(LEGACY).tables == {}


def test_iptables_save_prints_its_tables_in_the_order_in_which_they_were_loaded() -> None:
    netfilter = seen("healthy").need(NETFILTER)
    assert (list(netfilter.tables), netfilter.variant) == (
        ["mangle", "raw", "security", "filter", "nat"],
        Variant.LEGACY,
    )


def test_firewalld_has_the_iptables_backend_and_its_zones_are_read() -> None:
    firewalld = seen("healthy").need(FIREWALLD)
    assert (firewalld.running, firewalld.backend, firewalld.strict_forward_ports) == (True, "iptables", False)
    zone = firewalld.zone_of("host0")
    assert zone is not None
    assert (zone.name, zone.active, zone.services, zone.ports) == ("public", True, ("dhcpv6-client", "ssh"), ())
    assert (firewalld.zones["docker"].target, firewalld.zones["docker"].interfaces) == ("ACCEPT", ("docker0",))
    assert firewalld.service_ports["docker-registry"] == ("5000/tcp",)


def test_a_packet_is_followed_through_the_chains_of_firewalld_0_6_to_the_container() -> None:
    way = followed(seen("healthy"))
    assert (way.clear, way.translated, way.egress) == (True, ("172.17.0.2", 5000), "docker0")


def test_a_port_that_firewalld_opened_is_admitted() -> None:
    closed = seen("host-network-port-closed")
    assert followed(closed).blocked
    rule = "-A IN_public_allow -p tcp -m tcp --dport {} -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT"
    assert followed(changed(closed, "iptables", rule.format(22), rule.format(5000))).clear


def test_any_address_of_ipv6_is_written_as_newer_versions_do() -> None:
    assert {(one.address, one.port) for one in seen("healthy").need(SOCKETS)} >= {("*", 5000), ("[::]", 5000)}


def test_who_is_on_the_bus_is_read_though_a_long_name_overflows_its_column() -> None:
    rows = facts("healthy").outputs["bus"].stdout
    assert "org.freedesktop.DBus dbus.service " in rows
    assert {33293, 36316} <= seen("healthy").need(BUS).pids


def test_the_network_script_switches_forwarding_off_whatever_its_unit_says_of_itself() -> None:
    network = seen("healthy").need(NETWORK_SERVICE)
    assert (network.installed, network.enabled, network.active) == (True, True, True)
    assert {line.says for line in network.resets} == {
        "/etc/rc.d/init.d/network:227 says `sysctl -w net.ipv4.ip_forward=0 > /dev/null 2>&1`"
    }


def test_red_hat_s_systemd_reads_sysctl_conf_once_more() -> None:
    release = "platform CentOS Linux release 7.9.2009 (Core)\n"
    files = changed(seen("healthy"), "sysctl-files", "platform \n", release).need(SYSCTL_FILES)
    assert (files.rhel7, files.systemd) == (True, 219)


def test_what_firewalld_says_of_a_start_of_dockerd_explains_nothing() -> None:
    text = facts("healthy").outputs["journal"].stdout
    assert "WARNING: COMMAND_FAILED: '/usr/sbin/iptables -w -t nat -D PREROUTING" in text
    assert not [event for event in seen("healthy").need(JOURNAL).events if "COMMAND_FAILED" in event.what]
    assert not [change for change in timeline(seen("healthy")) if "COMMAND_FAILED" in f"{change.what} {change.who}"]
