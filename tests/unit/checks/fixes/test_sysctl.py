"""Settings of the kernel: written now and kept, so that no other file wins; and taken back as they were."""

import pytest

from checks.look import Look
from checks.model import Lasts, Risk
from tests import recordings
from tests.looks import TIMED_OUT, changed, look
from tests.unit.checks.container_looks import printing, risks, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, as_root, commands, plan_of, recorded, refusal_of, undo_of

FOLDER = "/etc/sysctl.d/99-zz-dockerhealth"
BOTH = (BOOKWORM, TRIXIE)


@pytest.mark.parametrize("platform", recordings.platforms())
def test_forwarding_is_switched_on_by_a_file_of_its_own_and_nothing_restarts(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off", TIMED_OUT), "enable-ip-forward")
    assert as_root(plan) == [
        "sysctl-file write net/ipv4/ip_forward=1 --by=APPROVER --run=RUN",
        "sysctl-set net/ipv4/ip_forward=1",
    ]
    assert commands(plan) == [
        f"printf 'net.ipv4.ip_forward = 1\\n' | sudo tee {FOLDER}-ip-forward.conf",
        "sudo sysctl -w net.ipv4.ip_forward=1",
    ]
    assert undo_of(plan) == ["sudo sysctl -w net.ipv4.ip_forward=0", f"sudo rm {FOLDER}-ip-forward.conf"]
    assert (plan.risk, plan.lasts, plan.undo_unasked) == (Risk.LOW, Lasts.FOR_GOOD, True)


@pytest.mark.parametrize("platform", BOTH)
def test_which_interfaces_begin_to_route_and_for_whom_is_said(platform: str) -> None:
    seen = look(platform, "ip-forward-off", TIMED_OUT)
    says = plan_of(seen, "enable-ip-forward").blast_radius
    assert "Nothing restarts. These interfaces begin to forward: docker0 (172.17.0.1), host0 (10.77.0." in says
    assert "after the next boot the host routes for everyone" in says
    opened = changed(seen, "iptables", ":FORWARD DROP", ":FORWARD ACCEPT")
    assert "routes for everyone who can reach it" in plan_of(opened, "enable-ip-forward").blast_radius


def test_an_interface_that_was_on_while_the_host_was_off_is_on_again_after_the_undo() -> None:
    seen = look(BOOKWORM, "ip-forward-off", TIMED_OUT)
    one_on = changed(seen, "forwarding", "/conf/docker0/forwarding:0", "/conf/docker0/forwarding:1")
    plan = plan_of(one_on, "enable-ip-forward")
    assert undo_of(plan)[:2] == [
        "sudo sysctl -w net.ipv4.ip_forward=0",
        "sudo sysctl -w net.ipv4.conf.docker0.forwarding=1",
    ]
    assert "docker0" not in plan.blast_radius


@pytest.mark.parametrize("platform", recordings.platforms())
def test_a_hardening_file_that_sorts_earlier_is_outvoted_and_the_plan_says_so(platform: str) -> None:
    plan = plan_of(look(platform, "ip-forward-off-hardened", TIMED_OUT), "enable-ip-forward")
    assert len(plan.steps) == 2
    assert any("/etc/sysctl.d/99-hardening.conf:2" in note and "wins" in note for note in plan.notes)
    assert plan.basis["decided at boot by"] == "/etc/sysctl.d/99-hardening.conf:2 says net.ipv4.ip_forward = 0"


def moved(path: str) -> Look:
    """The hardened host, had its administrator put the line into another file."""
    seen = look(BOOKWORM, "ip-forward-off-hardened", TIMED_OUT)
    return changed(seen, "sysctl-files", "/etc/sysctl.d/99-hardening.conf", path)


@pytest.mark.parametrize("path", ["/etc/sysctl.d/99-zzz-late.conf", "/etc/sysctl.d/zz-top.conf", "/etc/sysctl.conf"])
def test_a_file_that_would_win_has_its_line_commented_out_first_and_undo_brings_it_back(path: str) -> None:
    plan = plan_of(moved(path), "enable-ip-forward")
    assert as_root(plan)[0] == f"sysctl-line off {path} 2"
    assert commands(plan)[0] == f"sudo sed -i '2s/^/# dockerhealth switched off: /' {path}"
    assert undo_of(plan)[-1] == f"sudo sed -i '2s/^# dockerhealth switched off: //' {path}"
    assert plan.risk is Risk.MEDIUM
    assert any("commented out" in note for note in plan.notes)
    assert f"file {path}*" in plan.changes


def test_a_file_of_the_distribution_that_would_win_is_left_to_its_owner() -> None:
    refusal = refusal_of(moved("/usr/lib/sysctl.d/zz-vendor.conf"), "enable-ip-forward")
    assert "/usr/lib/sysctl.d/zz-vendor.conf:2" in refusal.why


@pytest.mark.parametrize("platform", BOTH)
def test_the_switch_of_one_interface_is_set_and_kept_alone(platform: str) -> None:
    plan = plan_of(recorded(platform, "host0-forwarding-off"), "enable-interface-forwarding")
    assert as_root(plan) == [
        "sysctl-file write net/ipv4/conf/host0/forwarding=1 --by=APPROVER --run=RUN",
        "sysctl-set net/ipv4/conf/host0/forwarding=1",
    ]
    assert undo_of(plan) == [
        "sudo sysctl -w net.ipv4.conf.host0.forwarding=0",
        f"sudo rm {FOLDER}-forwarding-host0.conf",
    ]
    assert plan.changes == ("sysctl net.ipv4.conf.host0.forwarding", f"file {FOLDER}-forwarding-host0.conf*")


@pytest.mark.parametrize(
    ("platform", "lasts", "says"), [(BOOKWORM, Lasts.FOR_GOOD, False), (TRIXIE, Lasts.UNTIL_CHANGED, True)]
)
def test_a_networkd_that_may_set_it_again_is_named_with_its_files(platform: str, lasts: Lasts, *, says: bool) -> None:
    plan = plan_of(recorded(platform, "host0-forwarding-off"), "enable-interface-forwarding")
    assert plan.lasts is lasts
    assert any("/etc/systemd/network/10-host0.network" in note for note in plan.notes) is says
    assert any("IPv4Forwarding=yes" in note for note in plan.notes) is says


def test_forwarding_that_networkd_switches_off_at_its_start_does_not_hold_for_good() -> None:
    seen = recorded(TRIXIE, "networkd-says-no-forwarding-anywhere")
    plan = plan_of(seen, "enable-ip-forward")
    assert plan.lasts is Lasts.UNTIL_REBOOT
    line = "/etc/systemd/networkd.conf.d/50-hardening.conf:2 says IPv4Forwarding=no"
    assert any(line in note and "has to say yes" in note for note in plan.notes)
    assert line in told(seen)
    told_otherwise = changed(seen, "networkd", "IPv4Forwarding=no", "IPv4Forwarding=yes")
    assert plan_of(told_otherwise, "enable-ip-forward").lasts is Lasts.FOR_GOOD
    older = changed(seen, "sysctl-files", "systemd 257", "systemd 255")  # which does not know the setting
    assert plan_of(older, "enable-ip-forward").lasts is Lasts.FOR_GOOD


def test_forwarding_that_networkd_will_switch_off_is_a_risk_that_no_sysctl_file_mends() -> None:
    seen = recorded(TRIXIE, "networkd-will-say-no-forwarding-anywhere")
    assert "ip-forward-not-persisted" in risks(seen)
    assert "systemd-networkd does that whenever it starts" in refusal_of(seen, "enable-ip-forward").why
    kept = changed(seen, "networkd", "IPv4Forwarding=no", "IPv4Forwarding=yes")
    assert "ip-forward-not-persisted" not in risks(kept)


def test_an_interface_s_own_network_file_is_named_with_its_line() -> None:
    seen = recorded(TRIXIE, "networkd-says-no-forwarding")
    plan = plan_of(seen, "enable-interface-forwarding")
    assert plan.lasts is Lasts.UNTIL_CHANGED
    assert any("/etc/systemd/network/10-host0.network:6 says IPv4Forwarding=no" in note for note in plan.notes)
    assert "/etc/systemd/network/10-host0.network:6" in told(seen)
    silent = changed(seen, "networkd", "IPv4Forwarding=no", "IPv4Forwarding=")
    assert plan_of(silent, "enable-interface-forwarding").lasts is Lasts.FOR_GOOD


@pytest.mark.parametrize("platform", BOTH)
def test_what_only_a_file_of_run_keeps_on_is_not_kept_over_a_boot(platform: str) -> None:
    seen = recorded(platform, "forwarding-kept-on-by-a-file-of-run")
    assert "ip-forward-not-persisted" in risks(seen)
    plan = plan_of(seen, "enable-ip-forward")
    assert as_root(plan) == ["sysctl-file write net/ipv4/ip_forward=1 --by=APPROVER --run=RUN"]


@pytest.mark.parametrize("platform", BOTH)
def test_a_file_that_one_of_run_hides_wins_at_the_next_boot_and_is_not_promised_away(platform: str) -> None:
    seen = recorded(platform, "ip-forward-off-and-a-file-of-run-hides-one-that-says-no")
    assert "/usr/local/lib/sysctl.d/99-zzz.conf:1" in refusal_of(seen, "enable-ip-forward").why


def test_where_no_file_can_win_it_is_set_for_now_and_said_so() -> None:
    seen = recorded(BOOKWORM, "host0-forwarding-off")
    line = "file /usr/lib/sysctl.d/zz.conf\nline /usr/lib/sysctl.d/zz.conf:1:net.ipv4.conf.host0.forwarding = 0\nend\n"
    vendor = printing(seen, "sysctl-files", output(seen, "sysctl-files").replace("end\n", line))
    plan = plan_of(vendor, "enable-interface-forwarding")
    assert as_root(plan) == ["sysctl-set net/ipv4/conf/host0/forwarding=1"]
    assert plan.lasts is Lasts.UNTIL_REBOOT
    assert any("Only for now" in note and "/usr/lib/sysctl.d/zz.conf:1" in note for note in plan.notes)


@pytest.mark.parametrize("name", ["eth0;reboot", "a-name-of-too-many", "$(id)"])
def test_a_name_that_is_none_of_an_interface_makes_no_command(name: str) -> None:
    seen = recorded(BOOKWORM, "host0-forwarding-off")
    odd = printing(seen, "path", output(seen, "path").replace("iif host0", f"iif {name}"))
    odd = printing(odd, "forwarding", output(odd, "forwarding").replace("/host0/", f"/{name}/"))
    assert "cannot be used in a command" in refusal_of(odd, "enable-interface-forwarding").why


@pytest.mark.parametrize("platform", BOTH)
def test_the_filter_is_made_loose_on_the_interface_alone(platform: str) -> None:
    plan = plan_of(recorded(platform, "strict-reverse-path-filter"), "relax-reverse-path-filter")
    assert as_root(plan) == [
        "sysctl-file write net/ipv4/conf/host0/rp_filter=2 --by=APPROVER --run=RUN",
        "sysctl-set net/ipv4/conf/host0/rp_filter=2",
    ]
    assert undo_of(plan)[0] == "sudo sysctl -w net.ipv4.conf.host0.rp_filter=1"
    assert "there alone" in plan.blast_radius


def test_a_filter_that_is_strict_for_all_is_still_relaxed_on_the_interface_alone() -> None:
    plan = plan_of(recorded(BOOKWORM, "strict-reverse-path-filter-for-all"), "relax-reverse-path-filter")
    assert as_root(plan)[-1] == "sysctl-set net/ipv4/conf/host0/rp_filter=2"
    assert undo_of(plan)[0] == "sudo sysctl -w net.ipv4.conf.host0.rp_filter=0"
    assert plan.basis["net.ipv4.conf.all.rp_filter"] == "1"


@pytest.mark.parametrize("platform", BOTH)
def test_the_table_of_connections_is_doubled_and_the_memory_is_said(platform: str) -> None:
    plan = plan_of(recorded(platform, "conntrack-full"), "raise-conntrack-max")
    assert as_root(plan) == [
        "sysctl-file write net/netfilter/nf_conntrack_max=2970 --by=APPROVER --run=RUN",
        "sysctl-set net/netfilter/nf_conntrack_max=2970",
    ]
    assert undo_of(plan)[0] == "sudo sysctl -w net.netfilter.nf_conntrack_max=1485"
    assert "0.5 MB" in plan.blast_radius
    assert any("/etc/modules-load.d/nf_conntrack.conf" in note for note in plan.notes)


def test_another_count_at_the_next_look_is_the_same_plan() -> None:
    seen = recorded(BOOKWORM, "conntrack-full")
    text = output(seen, "counters")
    count = text.partition("@ conntrack\n")[2].split()[0]
    later = printing(seen, "counters", text.replace(f"@ conntrack\n{count}\n", f"@ conntrack\n{int(count) + 3}\n"))
    digests = {plan_of(one, "raise-conntrack-max").fingerprint for one in (seen, later)}
    assert len(digests) == 1


def test_a_table_that_fills_up_is_raised_before_it_is_full() -> None:
    assert plan_of(recorded(BOOKWORM, "conntrack-filling"), "raise-conntrack-max").cause == "conntrack-filling"


def output(seen: Look, probe: str) -> str:
    assert seen.facts is not None
    return seen.facts.outputs[probe].stdout
