"""Where a port is published and where clients go; and the proxy and the daemon behind it."""

from dataclasses import replace
from typing import Any

import pytest

from checks.look import Look
from checks.model import Confidence, Phase, ReachOutcome
from checks.source import Unavailable
from tests.looks import ANSWERED, TIMED_OUT
from tests.unit.checks.container_looks import (
    BOOKWORM,
    GOOD,
    HUNG_UP,
    LOST,
    NOBODY,
    PLATFORMS,
    PYTHON,
    causes,
    healthy,
    holding,
    inspected,
    ladder,
    missing,
    printing,
    root,
    seen_as,
    serving,
    told,
    untold,
)
from tests.unit.checks.fixes.plans import recorded, reported

OF_PUBLICATION = {
    "published-on-loopback",
    "published-address-gone",
    "published-on-another-address",
    "port-not-published",
    "name-resolves-elsewhere",
    "name-does-not-resolve",
    "docker-proxy-gone",
}


def published(seen: Look, *addresses: str, port: str = "5000") -> Look:
    """The registry's container, published on these addresses of the host."""
    bound = {"5000/tcp": [{"HostIp": address, "HostPort": port} for address in addresses] or None}

    def change(one: dict[str, Any]) -> None:
        one["NetworkSettings"]["Ports"] = bound
        one["HostConfig"]["PortBindings"] = {name: ports for name, ports in bound.items() if ports}

    return inspected(seen, change)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_port_published_on_loopback_is_proven_with_the_line_that_publishes_it(platform: str) -> None:
    seen = published(ladder(healthy(platform), own=NOBODY), "127.0.0.1")
    assert causes(seen) == ("published-on-loopback",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "docker run -d --name=registry --restart=always -p 0.0.0.0:5000:5000" in told(seen)


def test_a_port_also_published_for_everybody_is_not_blamed() -> None:
    assert not OF_PUBLICATION & set(causes(published(healthy(BOOKWORM), "127.0.0.1", "0.0.0.0")))


def test_a_default_address_of_dockerd_is_told_from_one_that_was_asked_for() -> None:
    seen = published(ladder(healthy(BOOKWORM), own=NOBODY), "127.0.0.1")
    asked = {"5000/tcp": [{"HostIp": "", "HostPort": "5000"}]}
    assert "`ip` setting" in told(inspected(seen, lambda one: one["HostConfig"].update(PortBindings=asked)))
    assert "`ip` setting" not in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_address_that_the_host_lost_is_told_from_one_that_it_has(platform: str) -> None:
    seen = ladder(healthy(platform), own=NOBODY, loopback=NOBODY)
    gone = published(seen, "192.0.2.99")
    assert causes(gone) == ("published-address-gone",)
    assert root(gone).confidence is Confidence.PROVEN
    assert "192.0.2.99" in told(gone)
    assert "published-on-another-address" in causes(published(seen, "172.17.0.1"))
    assert not OF_PUBLICATION & set(causes(published(seen, seen.host.address)))


def test_without_the_host_s_addresses_none_is_called_lost() -> None:
    seen = missing(published(ladder(healthy(BOOKWORM), own=NOBODY), "192.0.2.99"), "addresses")
    assert {"published-address-gone", "published-on-another-address"} <= untold(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_that_publishes_another_port_or_none_is_named(platform: str) -> None:
    seen = holding(ladder(healthy(platform), own=NOBODY, loopback=NOBODY, container=None), "")
    for other in (published(seen), published(seen, "0.0.0.0", "::", port="5001")):
        assert causes(other) == ("port-not-published",)
        assert root(other).confidence is Confidence.PROVEN
        assert "-p 5000:5000" in told(other)
    assert "publishes 0.0.0.0:5001\n" in told(published(seen, "0.0.0.0", "::", port="5001"))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("published-on-an-internal-network", "network inner is internal"),
        ("published-on-a-macvlan", "network lan is of driver macvlan"),
        ("published-and-no-network-at-all", "network none leads nowhere"),
    ],
)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_on_a_network_that_publishes_nothing_another_network_helps_and_nothing_else_is_to_blame(
    platform: str, state: str, why: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("port-not-published",)
    assert root(seen).confidence is Confidence.PROVEN
    assert why in told(seen)
    assert "docker network connect bridge registry" in told(seen)
    assert "docker run" not in told(seen)
    assert reported(seen).plans == ()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_is_not_made_again_on_a_network_that_publishes_nothing(platform: str) -> None:
    advice = told(recorded(platform, "unpublished-on-an-internal-network"))
    assert "docker run -d --name=registry --restart=always -p 5000:5000 registry:2" in advice
    assert "docker network connect inner registry" in advice


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_container_with_an_address_of_its_own_is_shown_it(platform: str) -> None:
    assert "# registry is reached at 10.77.3.2" in told(recorded(platform, "published-on-a-macvlan"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_without_docker_s_networks_the_port_is_unpublished_all_the_same_and_no_run_is_repeated(platform: str) -> None:
    unknown = missing(recorded(platform, "published-on-an-internal-network"), "engine-networks")
    assert causes(unknown) == ("port-not-published",)
    assert "internal" not in told(unknown)
    assert "docker network connect bridge registry" in told(unknown)
    assert reported(unknown).plans == ()


def test_a_port_on_which_something_else_listens_is_not_called_unpublished() -> None:
    assert "port-not-published" not in causes(holding(published(healthy(BOOKWORM)), PYTHON))


def test_without_the_sockets_no_port_is_called_unpublished() -> None:
    assert "port-not-published" in untold(missing(published(healthy(BOOKWORM)), "sockets", "listeners"))


def test_a_task_of_a_swarm_is_published_by_the_swarm() -> None:
    seen = published(holding(healthy(BOOKWORM), ""))
    task = inspected(seen, lambda one: one["Config"].update(Labels={"com.docker.swarm.service.id": "x"}))
    assert "port-not-published" in untold(task)


def test_a_service_without_a_container_s_name_whose_port_nobody_has_is_not_published() -> None:
    seen = holding(ladder(healthy(BOOKWORM, container=None), own=NOBODY, loopback=NOBODY, container=None), "")
    assert causes(published(seen)) == ("port-not-published",)


def test_compose_is_answered_in_compose_s_words() -> None:
    seen = published(ladder(healthy(BOOKWORM), own=NOBODY), "127.0.0.1")
    labels = {
        "com.docker.compose.project": "reg",
        "com.docker.compose.service": "registry",
        "com.docker.compose.project.config_files": "/srv/reg/compose.yml",
    }
    advice = told(inspected(seen, lambda one: one["Config"].update(Labels=labels)))
    assert 'ports: ["0.0.0.0:5000:5000"]' in advice
    assert "docker compose -p reg -f /srv/reg/compose.yml up -d registry" in advice


def test_the_line_keeps_volumes_and_names_of_variables_and_shows_no_value() -> None:
    def change(one: dict[str, Any]) -> None:
        one["Config"].update(Env=["PATH=/bin", "SECRET=hunter2"], Cmd=["serve", "--password=hunter2"])
        one["Mounts"] = [
            {"Type": "volume", "Name": "0a1b2c", "Destination": "/var/lib/registry", "RW": True},
            {"Type": "bind", "Source": "/etc/it's", "Destination": "/c", "RW": False},
        ]

    advice = told(inspected(published(ladder(healthy(BOOKWORM), own=NOBODY), "127.0.0.1"), change))
    assert "-v 0a1b2c:/var/lib/registry" in advice
    assert """-v '/etc/it'"'"'s:/c:ro'""" in advice
    assert "-e SECRET" in advice
    assert "hunter2" not in advice


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_name_that_leads_elsewhere_is_named_before_all_else(platform: str) -> None:
    seen = serving(healthy(platform), "http://registry.example:5000/v2/")
    seen = seen_as(seen, ReachOutcome.REFUSED, phase=Phase.CONNECT, address="10.99.0.99")
    assert root(seen).cause == "name-resolves-elsewhere"
    assert root(seen).confidence is Confidence.PROVEN
    here = seen_as(seen, ReachOutcome.REFUSED, phase=Phase.CONNECT, address=seen.host.address)
    assert not OF_PUBLICATION & set(causes(here))


def test_a_host_behind_nat_is_not_called_another_machine() -> None:
    seen = serving(healthy(BOOKWORM), "http://registry.example:5000/v2/")
    seen = seen_as(seen, ReachOutcome.REFUSED, phase=Phase.CONNECT, address="192.0.2.99")
    for address in ("192.0.2.99", "registry.example"):
        behind = replace(seen, host=replace(seen.host, address=address))
        assert "name-resolves-elsewhere" not in causes(behind)
    by_name = replace(seen, host=replace(seen.host, address="host1.example"))
    assert root(by_name).confidence is Confidence.LIKELY


def test_a_name_that_leads_to_ipv6_is_not_judged() -> None:
    seen = serving(healthy(BOOKWORM), "http://registry.example:5000/v2/")
    assert "name-resolves-elsewhere" in untold(
        seen_as(seen, ReachOutcome.REFUSED, phase=Phase.CONNECT, address="2001:db8::1")
    )


def test_a_name_that_does_not_resolve_is_said_to() -> None:
    seen = serving(healthy(BOOKWORM), "http://registry.example:5000/v2/")
    seen = seen_as(seen, ReachOutcome.NAME_UNKNOWN, phase=Phase.RESOLVE, detail="Name or service not known")
    assert root(seen).cause == "name-does-not-resolve"


def without_rules(seen: Look) -> Look:
    """Dockerd told to write no rules: only docker-proxy leads to the container."""
    assert seen.facts is not None
    command = seen.facts.outputs["daemon"].stdout
    return printing(
        printing(seen, "iptables", ""),
        "daemon",
        command.replace("/usr/sbin/dockerd", "/usr/sbin/dockerd --iptables=false"),
    )


@pytest.mark.parametrize("platform", PLATFORMS)
def test_docker_proxy_matters_only_where_no_rule_leads_to_the_container(platform: str) -> None:
    seen = holding(ladder(healthy(platform), own=NOBODY, loopback=NOBODY), "")
    assert "docker-proxy-gone" not in causes(seen)
    assert "docker-proxy-gone" in causes(without_rules(seen))
    assert "docker-proxy-gone" not in causes(without_rules(healthy(platform)))
    assert "docker-proxy-gone" in untold(missing(without_rules(seen), "sockets", "listeners"))


def silent_engine(seen: Look, why: str = "Read timed out.", *, silent: bool = True) -> Look:
    seen = missing(seen, "engine-info", "engine-containers", "engine-logs")
    assert seen.facts is not None
    for probe in ("engine-info", "engine-containers", "engine-logs"):
        seen.facts.missing[probe] = Unavailable(f"the Docker Engine did not answer: {why}", silent)  # type: ignore[index]  # a dict of ours
    return seen


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_silent_engine_is_to_blame_only_where_nothing_of_the_service_answers(platform: str) -> None:
    dead = ladder(healthy(platform), own=NOBODY, loopback=HUNG_UP, container=None, listening=None)
    assert causes(silent_engine(dead)) == ("dockerd-hung",)
    assert root(silent_engine(dead)).confidence is Confidence.LIKELY
    assert "dockerd-hung" not in causes(silent_engine(ladder(healthy(platform, TIMED_OUT), container=None)))
    assert "dockerd-hung" in untold(silent_engine(dead, "permission denied", silent=False))
    assert causes(silent_engine(healthy(platform, ANSWERED))) == ()


def test_a_dockerd_that_is_down_is_not_to_blame_while_the_service_answers_on_the_host() -> None:
    seen = silent_engine(ladder(healthy(BOOKWORM, TIMED_OUT), own=GOOD, loopback=LOST, container=None), "refused")
    assert seen.facts is not None
    units = seen.facts.outputs["units"].stdout.replace("Id=docker.service\nLoad", "Id=docker.service\nX")
    blocks = [
        block.replace("ActiveState=active", "ActiveState=inactive") if "Id=docker.service" in block else block
        for block in units.replace("\nX", "\nLoad").split("\n\n")
    ]
    down = printing(seen, "units", "\n\n".join(blocks))
    assert "dockerd-down" not in causes(down)
    assert "dockerd-down" in causes(ladder(down, own=NOBODY, loopback=NOBODY, container=None))
