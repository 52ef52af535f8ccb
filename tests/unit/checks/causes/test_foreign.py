"""Rules of firewalls beside Docker's and firewalld's: whose they are decides what is said, and what may be offered."""

import pytest

from checks.model import Confidence
from tests.unit.checks.container_looks import causes, risks, root, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded, refusal_of, reported

BOTH = (BOOKWORM, TRIXIE)
IPTABLES = ("banned-by-fail2ban", "banned-by-fail2ban-on-the-host-s-network")


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("state", [*IPTABLES, "banned-by-fail2ban-with-nftables"])
def test_a_ban_is_of_the_one_who_asks_and_no_exception_for_its_network_is_offered(platform: str, state: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("banned-by-fail2ban",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "the ban is one of 10.77.0.1, from where dockerhealth asks, and says nothing of others" in told(seen)
    assert not {plan.fix for plan in reported(seen).plans} & {"allow-in-docker-user", "open-firewalld-port"}


@pytest.mark.parametrize("state", IPTABLES)
def test_the_jail_is_named_by_its_chain(state: str) -> None:
    assert "sudo fail2ban-client set registry unbanip 10.77.0.1" in told(recorded(BOOKWORM, state))


def test_where_one_table_serves_every_jail_they_are_asked_for_first() -> None:
    says = told(recorded(TRIXIE, "banned-by-fail2ban-with-nftables"))
    assert "sudo fail2ban-client status   # the jails that there are" in says
    assert "sudo fail2ban-client set JAIL unbanip 10.77.0.1" in says


@pytest.mark.parametrize("platform", BOTH)
def test_a_ban_of_somebody_else_is_no_cause(platform: str) -> None:
    ruled_out = {
        one.cause: one.why for one in reported(recorded(platform, "fail2ban-that-bans-others")).diagnosis.ruled_out
    }
    assert "banned-by-fail2ban" in ruled_out


@pytest.mark.parametrize("platform", BOTH)
def test_a_restart_is_not_offered_where_another_firewall_ends_what_docker_s_rules_would_let_through(
    platform: str,
) -> None:
    seen = recorded(platform, "ruleset-replaced-by-one-that-forwards-nothing")
    assert causes(seen) == ("docker-chains-missing", "foreign-firewall-drop")
    assert not {plan.fix for plan in reported(seen).plans} & {"restart-docker", "stop-firewalld"}
    assert refusal_of(seen, "restart-docker").why == (
        "it would not help: with Docker's rules back, nft table inet filter, chain forward: policy drop ends the "
        "packets instead"
    )


@pytest.mark.parametrize("platform", BOTH)
def test_nor_where_it_would_take_away_what_docker_proxy_serves(platform: str) -> None:
    seen = recorded(platform, "ruleset-replaced-and-served-by-proxy")
    assert "chains-missing-but-served" in risks(seen)
    assert refusal_of(seen, "restart-docker").why.startswith("it would not help: ")


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "cause", "made_by", "remedy"),
    [
        (
            "ufw-docker-allows-no-route",
            "docker-user-drop",
            "it is one of ufw",
            "sudo ufw route allow proto tcp from any to 172.17.0.2 port 5000",
        ),
        ("ufw-allows-ssh-alone", "foreign-firewall-drop", "it is one of ufw", "sudo ufw allow 5000/tcp"),
        ("csf-denies-the-client", "foreign-firewall-drop", "it is one of CSF", "sudo csf -dr 10.77.0.1"),
        (
            "crowdsec-bans-the-client",
            "foreign-firewall-drop",
            "it is one of CrowdSec",
            "sudo cscli decisions delete --ip 10.77.0.1",
        ),
        (
            "rule-that-netfilter-persistent-loads",
            "foreign-firewall-drop",
            "table mangle, chain FORWARD",
            "grep -n -e FORWARD /etc/iptables/rules.v4",
        ),
    ],
)
def test_a_rule_s_owner_is_named_and_the_remedy_is_in_its_own_terms(
    platform: str, state: str, cause: str, made_by: str, remedy: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert made_by in told(seen)
    assert remedy in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_a_ban_below_docker_user_is_the_banning_program_s_and_no_network_is_let_past_it(platform: str) -> None:
    seen = recorded(platform, "crowdsec-bans-the-client-in-docker-user")
    assert causes(seen) == ("foreign-firewall-drop",)
    assert "sudo cscli decisions delete --ip 10.77.0.1" in told(seen)
    assert "allow-in-docker-user" not in {plan.fix for plan in reported(seen).plans}
