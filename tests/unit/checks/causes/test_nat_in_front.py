"""Clients go to an address that no interface of the host has: translated before it, or lost."""

from dataclasses import replace

import pytest

from checks.causes.cause import examine
from checks.causes.publication import NAME_RESOLVES_ELSEWHERE, SERVICE_ADDRESS_GONE
from checks.evidence.arrival import arrives_at, is_behind_nat
from checks.look import Look, MissingError
from checks.model import Confidence, Verdict
from tests.looks import TIMED_OUT, changed, look
from tests.unit.checks.container_looks import causes, root, serving, told
from tests.unit.checks.fixes.plans import BOOKWORM, TRIXIE, recorded

BOTH = (BOOKWORM, TRIXIE)
PUBLIC = "203.0.113.7"


def asked_at(address: str, *, ssh: str | None = None, url: str | None = None) -> Look:
    """A healthy host whose clients go to another address, and time out. ``ssh``: where SSH goes."""
    seen = look(BOOKWORM, "healthy", replace(TIMED_OUT, address=address))
    if ssh is not None:
        seen = replace(seen, host=replace(seen.host, address=ssh))
    return serving(seen, url or f"http://{address}:5000/v2/")


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("behind-nat-and-ip-forward-off", "ip-forward-off"),
        ("behind-nat-and-docker-user-drops", "docker-user-drop"),
        ("behind-nat-and-container-s-answers-have-no-route", "return-route-missing"),
        ("behind-nat-that-leads-to-nobody", "blocked-before-host"),
    ],
)
def test_behind_nat_packets_are_followed_from_where_they_arrive(platform: str, state: str, cause: str) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN


@pytest.mark.parametrize("platform", BOTH)
def test_what_never_arrives_names_who_translates_and_to_what(platform: str) -> None:
    seen = recorded(platform, "behind-nat-that-leads-to-nobody")
    assert f"no interface of the host has {seen.service.target}" in told(seen)
    assert f"has to send it on to {seen.host.address}" in told(seen)


def test_it_is_nat_where_ssh_goes_by_no_address_of_the_host_either() -> None:
    seen = asked_at("10.99.0.7", ssh="10.99.0.7")
    assert is_behind_nat(seen)
    assert arrives_at(seen).startswith("10.")


def test_it_may_be_another_machine_where_ssh_goes_to_the_host_s_own_address_and_neither_is_public() -> None:
    seen = asked_at("10.99.0.7")
    assert not is_behind_nat(seen)
    with pytest.raises(MissingError, match=r"10\.99\.0\.7 is no address that the host has"):
        arrives_at(seen)


def test_a_name_with_a_public_address_may_lead_to_nat_before_the_host_and_is_not_said_to_lead_elsewhere() -> None:
    found = examine(NAME_RESOLVES_ELSEWHERE, asked_at(PUBLIC, url="http://registry.example:5000/v2/"))
    assert found.verdict is Verdict.SKIP
    assert "NAT may be in front" in found.why


def test_a_name_that_leads_to_another_private_address_still_leads_elsewhere() -> None:
    found = examine(NAME_RESOLVES_ELSEWHERE, asked_at("10.99.0.7", url="http://registry.example:5000/v2/"))
    assert (found.verdict, found.confidence) == (Verdict.FAIL, Confidence.PROVEN)


@pytest.mark.parametrize("platform", BOTH)
def test_an_address_of_the_host_s_link_that_nobody_has_is_lost(platform: str) -> None:
    seen = recorded(platform, "service-s-address-is-lost")
    assert causes(seen) == ("service-address-gone",)
    assert root(seen).confidence is Confidence.PROVEN
    lost = seen.service.target
    assert f"asked on host0 who has {lost}: nobody answers for it" in told(seen)
    assert f"sudo ip address add {lost}/24 dev host0" in told(seen)


@pytest.mark.parametrize("platform", BOTH)
def test_one_that_another_machine_answers_for_is_not_given_back_to_the_host(platform: str) -> None:
    seen = recorded(platform, "service-s-address-is-lost")
    moved = changed(
        seen, "path", f"{seen.service.target} INCOMPLETE", f"{seen.service.target} lladdr 02:00:00:00:00:07 STALE"
    )
    assert "02:00:00:00:00:07 answers for it: another machine has it" in told(moved)
    assert "ip address add" not in told(moved)
    assert root(moved).confidence is Confidence.LIKELY, "a load balancer may have it, and lead here"


def test_who_has_it_is_not_told_where_nobody_asked() -> None:
    found = examine(SERVICE_ADDRESS_GONE, asked_at("10.77.0.199"))
    assert found.verdict is Verdict.SKIP
    assert "who has 10.77.0.199 was not asked" in found.why
