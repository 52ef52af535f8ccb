"""What answers and is not right: errors, another scheme, another program, a certificate, a full disk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.diagnose import diagnose
from checks.facts.system import SYSTEM
from checks.look import Look
from checks.model import Confidence, Phase, ReachOutcome, ServiceKind
from tests import recordings
from tests.looks import ANSWERED
from tests.unit.checks.container_looks import (
    BOOKWORM,
    CONNECTED,
    PLATFORMS,
    ROOM,
    Tried,
    answered,
    causes,
    healthy,
    holding,
    inspected,
    ladder,
    missing,
    printing,
    risks,
    root,
    seen_as,
    serving,
    state,
    told,
    untold,
)
from tests.unit.checks.fixes.plans import TRIXIE, recorded, reported

NO_TLS = (35, CONNECTED + "* TLS connect error: error:0A00010B:SSL routines::wrong version number\n", "000")
NOT_HTTP = (1, CONNECTED + "* Received HTTP/0.9 when not allowed\n", "000")
OF_REGISTRIES = {"registry-error", "not-a-registry", "scheme-mismatch", "certificate-expired", "certificate-untrusted"}
FULL = ROOM.replace("25% /srv/data", "100% /srv/data")


def everywhere(seen: Look, tried: Tried, other: Tried | None = None) -> Look:
    return ladder(seen, own=tried, loopback=tried, container=tried, other=other)


def failing(platform: str, status: int, *, registry: bool = True) -> Look:
    """A registry that answers everybody with this status."""
    seen = everywhere(healthy(platform), answered(status, registry=registry))
    return seen_as(seen, ReachOutcome.BAD_STATUS, status)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_error_of_the_registry_is_its_own(platform: str) -> None:
    assert causes(failing(platform, 503)) == ("registry-error",)
    assert root(failing(platform, 503)).confidence is Confidence.PROVEN


def test_an_error_that_only_outside_sees_is_not_the_registry_s() -> None:
    assert not OF_REGISTRIES & set(causes(seen_as(healthy(BOOKWORM), ReachOutcome.BAD_STATUS, 502)))


# --- what stands in front ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "who"),
    [
        (
            "proxy-in-front-of-a-registry-it-cannot-reach",
            "container proxy (registry:2), which calls itself nginx/1.24.0",
        ),
        ("proxy-in-front-of-an-unpublished-registry", "container proxy (registry:2)"),
        ("proxy-of-the-host-in-front-of-a-registry-it-cannot-reach", "python3 (pid "),
    ],
)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_proxy_that_cannot_reach_the_registry_is_named_and_the_registry_is_well(
    platform: str, state: str, who: str
) -> None:
    seen = recorded(platform, state)
    assert causes(seen) == ("proxy-in-front-fails",)
    assert root(seen).confidence is Confidence.PROVEN
    assert f"port 5000 is answered by {who}" in told(seen)
    assert "the service itself, at 172.17.0.2, answered 200" in told(seen)
    assert reported(seen).proposed == ()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_answers_well_in_the_registry_s_place_is_what_stands_in_front_of_it(platform: str) -> None:
    seen = recorded(platform, "proxy-answers-in-a-registry-s-place")
    assert causes(seen) == ("proxy-in-front-fails",)
    assert "upstream; no registry" not in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_proxy_hands_the_registry_s_own_error_on(platform: str) -> None:
    seen = recorded(platform, "failing-registry-behind-a-proxy")
    assert causes(seen) == ("registry-error",)
    assert "at the container's own address: bad status 503" in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_of_a_container_that_is_a_proxy_itself_the_answer_alone_tells(platform: str) -> None:
    for seen in (
        recorded(platform, "proxy-watched-in-front-of-a-registry-it-cannot-reach"),
        failing(platform, 502, registry=False),
        failing(platform, 504, registry=False),
    ):
        assert causes(seen) == ("proxy-in-front-fails",)
        assert root(seen).confidence is Confidence.LIKELY
    assert causes(failing(platform, 502)) == ("registry-error",)  # it has a registry's header


@pytest.mark.parametrize("platform", PLATFORMS)
def test_where_the_registry_behind_a_proxy_was_not_reached_nothing_is_proven(platform: str) -> None:
    seen = without_inner(recorded(platform, "proxy-in-front-of-a-registry-it-cannot-reach"))
    assert causes(seen) == ("proxy-in-front-fails",)
    assert root(seen).confidence is Confidence.LIKELY
    assert "registry-error" in untold(seen)
    other = without_inner(recorded(platform, "failing-registry-behind-a-proxy"))
    assert causes(other) == ("undetermined",)
    assert {"registry-error", "proxy-in-front-fails"} <= untold(other)


def test_a_proxy_that_shares_no_network_with_the_service_is_told_to() -> None:
    seen = recorded(BOOKWORM, "proxy-in-front-of-a-registry-it-cannot-reach")
    assert "share no network" not in told(seen)

    def moved(one: dict[str, Any]) -> None:
        one["NetworkSettings"]["Networks"] = {"back": one["NetworkSettings"]["Networks"]["bridge"]}

    assert "they share no network: proxy is in bridge, registry in back" in told(inspected(seen, moved))


def without_inner(seen: Look) -> Look:
    """The same look, had nobody tried the container behind the port."""
    assert seen.facts is not None
    sections = seen.facts.outputs["path"].stdout.split("\n@ ")
    return printing(seen, "path", "\n@ ".join(one for one in sections if " rung inner " not in one))


def test_without_the_ladder_an_error_is_not_told() -> None:
    assert {"registry-error", "not-a-registry"} <= untold(missing(failing(BOOKWORM, 503), "path"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_web_page_in_a_registry_s_place_is_no_registry(platform: str) -> None:
    seen = seen_as(everywhere(healthy(platform), answered(200)), ReachOutcome.NOT_A_REGISTRY, 200)
    assert causes(seen) == ("not-a-registry",)
    assert root(seen).confidence is Confidence.PROVEN
    lost = failing(platform, 404, registry=False)
    assert (root(lost).cause, root(lost).confidence) == ("not-a-registry", Confidence.LIKELY)


def test_what_speaks_no_http_is_no_registry() -> None:
    assert causes(seen_as(everywhere(healthy(BOOKWORM), NOT_HTTP), ReachOutcome.NOT_HTTP)) == ("not-a-registry",)


@pytest.mark.parametrize("kind", [ServiceKind.HTTP, ServiceKind.TCP])
@pytest.mark.parametrize("status", [404, 500])
def test_a_service_of_another_kind_is_never_measured_as_a_registry(kind: ServiceKind, status: int) -> None:
    seen = failing(BOOKWORM, status, registry=False)
    assert not OF_REGISTRIES & set(causes(serving(seen, seen.service.url, kind)))


def test_a_stopped_container_s_place_taken_by_a_web_server_is_no_registry_s_fault() -> None:
    seen = holding(state(failing(BOOKWORM, 404, registry=False), Status="exited"), "")
    assert causes(seen) == ("container-stopped",)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_http_spoken_to_tls_is_proven_by_trying_it(platform: str) -> None:
    seen = everywhere(healthy(platform), answered(400), other=answered(200, registry=True))
    seen = seen_as(seen, ReachOutcome.BAD_STATUS, 400)
    assert causes(seen) == ("scheme-mismatch",)
    assert f"https://{seen.host.address}:5000/v2/" in told(seen)
    nothing = seen_as(everywhere(healthy(platform), answered(400), other=NO_TLS), ReachOutcome.BAD_STATUS, 400)
    assert "scheme-mismatch" not in causes(nothing)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tls_spoken_to_plain_http_is_proven_by_trying_it(platform: str) -> None:
    seen = healthy(platform)
    seen = serving(
        everywhere(seen, NO_TLS, other=answered(200, registry=True)), f"https://{seen.host.address}:5000/v2/"
    )
    seen = seen_as(seen, ReachOutcome.TLS_FAILED, phase=Phase.TLS, detail="WRONG_VERSION_NUMBER")
    assert causes(seen) == ("scheme-mismatch",)
    assert "insecure-registries" in told(seen)
    assert "scheme-mismatch" in untold(missing(seen, "path"))


def test_a_plain_server_that_waits_in_vain_for_the_end_of_a_line_is_told_too() -> None:
    silent = (28, CONNECTED + "* SSL connection timeout\n", "000")
    seen = serving(
        everywhere(healthy(BOOKWORM), silent, other=answered(200, registry=True)), "https://192.0.2.7:5000/v2/"
    )
    assert causes(seen_as(seen, ReachOutcome.TIMED_OUT, phase=Phase.TLS)) == ("scheme-mismatch",)


def on_tls(platform: str, expires: datetime, begins: datetime = datetime(2019, 1, 1, tzinfo=UTC)) -> Look:
    """A registry that shows a certificate of its own making."""
    shown = (
        f"{CONNECTED}*  subject: CN=registry.example\n*  start date: {begins:%b %d %H:%M:%S %Y} GMT\n"
        f"*  expire date: {expires:%b %d %H:%M:%S %Y} GMT\n"
        "*  issuer: CN=our own CA\n< Docker-Distribution-Api-Version: registry/2.0\n"
    )
    seen = everywhere(healthy(platform), (0, shown, "200"))
    return serving(seen, f"https://{seen.host.address}:5000/v2/")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_certificate_that_nobody_vouches_for_is_named_with_its_issuer(platform: str) -> None:
    seen = on_tls(platform, datetime(2030, 1, 1, tzinfo=UTC))
    seen = seen_as(seen, ReachOutcome.CERTIFICATE_UNTRUSTED, phase=Phase.TLS, detail="self-signed certificate")
    assert causes(seen) == ("certificate-untrusted",)
    assert "signed by CN=our own CA" in told(seen)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_expired_certificate_is_told_also_where_nobody_vouches_for_it(platform: str) -> None:
    seen = on_tls(platform, datetime(2020, 1, 1, tzinfo=UTC))
    expired = seen_as(seen, ReachOutcome.CERTIFICATE_EXPIRED, phase=Phase.TLS, detail="certificate has expired")
    assert causes(expired) == ("certificate-expired",)
    assert root(expired).confidence is Confidence.PROVEN
    untrusted = seen_as(seen, ReachOutcome.CERTIFICATE_UNTRUSTED, phase=Phase.TLS, detail="self-signed certificate")
    assert causes(untrusted) == ("certificate-expired", "certificate-untrusted")


def by_one_clock(seen: Look) -> Look:
    """The same, had it been asked just when the host's clock says that it was looked at."""
    return replace(seen, outside=replace(seen.outside, at=seen.need(SYSTEM).clock))


def test_a_certificate_that_has_expired_by_our_clock_alone_is_likely_at_most() -> None:
    seen = on_tls(BOOKWORM, datetime(2030, 1, 1, tzinfo=UTC))
    seen = seen_as(seen, ReachOutcome.CERTIFICATE_EXPIRED, phase=Phase.TLS, detail="certificate has expired")
    later = replace(seen, outside=replace(seen.outside, at=datetime(2031, 1, 1, tzinfo=UTC)))
    assert root(later).confidence is Confidence.LIKELY
    assert "UTC, ours 2031-01-01 00:00" in told(later)


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
def test_where_the_clocks_agree_a_valid_certificate_has_an_issuer_that_has_expired(platform: str) -> None:
    seen = by_one_clock(recorded(platform, "certificate-of-an-expired-issuer"))
    assert causes(seen) == ("certificate-expired",)
    assert root(seen).confidence is Confidence.PROVEN
    assert "it has not expired itself: one of those that signed it has" in told(seen)
    assert "docker restart" not in told(seen)


@pytest.mark.parametrize("platform", [BOOKWORM, TRIXIE])
@pytest.mark.parametrize(
    ("state", "cause", "remedy"),
    [
        ("certificate-self-signed", "certificate-untrusted", "openssl x509   # it is its own CA"),
        ("certificate-without-its-chain", "certificate-untrusted", "the server leaves out what is between"),
        ("certificate-untrusted", "certificate-untrusted", "# else its CA is not known:"),
        ("certificate-not-yet-valid", "certificate-not-yet-valid", "which clock goes wrong?"),
        ("certificate-of-another-address", "certificate-of-another-name", "# it needs IP:10.77.0.1"),
        ("certificate-expired", "certificate-expired", "# renew it there, then:"),
    ],
)
def test_each_fault_of_a_certificate_has_a_remedy_of_its_own(
    platform: str, state: str, cause: str, remedy: str
) -> None:
    seen = by_one_clock(recorded(platform, state))
    assert causes(seen) == (cause,)
    assert root(seen).confidence is Confidence.PROVEN
    assert remedy in told(seen)
    trusts = "certs.d" in told(seen)
    assert trusts is (cause == "certificate-untrusted")


@pytest.mark.parametrize(("days", "soon"), [(13, True), (15, False)])
def test_a_certificate_about_to_expire_is_a_risk(days: int, soon: bool) -> None:  # noqa: FBT001  # a case of the table
    good = replace(ANSWERED, expires=recordings.RECORDED_AT + timedelta(days=days))
    seen = serving(healthy(BOOKWORM, good), "https://192.0.2.7:5000/v2/")
    found = {finding.cause for finding in diagnose(seen).risks}
    assert ("certificate-expiring" in found) is soon
    assert "certificate-expiring" in untold(replace(seen, outside=ANSWERED))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_start_that_found_no_room_is_proven_by_the_full_disk(platform: str) -> None:
    seen = state(healthy(platform), Status="exited", Error="write /var/lib/docker/x: no space left on device")
    seen = holding(seen, "")
    full = printing(seen, "disks", ROOM.replace("25% /var/lib/docker", "100% /var/lib/docker", 1))
    assert causes(full) == ("disk-full",)
    assert root(full).confidence is Confidence.PROVEN
    assert "/var/lib/docker is 100% full" in told(full)
    assert (root(seen).cause, root(seen).confidence) == ("disk-full", Confidence.LIKELY)


def with_data(seen: Look, source: str) -> Look:
    mount = {"Type": "bind", "Source": source, "Destination": "/var/lib/registry", "RW": True}
    return inspected(seen, lambda one: one.update(Mounts=[mount]))


def test_errors_of_a_registry_whose_disk_is_full_are_likely_the_disk_s() -> None:
    seen = printing(with_data(failing(BOOKWORM, 503), "/srv/data"), "disks", FULL)
    assert causes(seen) == ("disk-full",)
    assert root(seen).confidence is Confidence.LIKELY
    elsewhere = printing(failing(BOOKWORM, 503), "disks", FULL)
    assert causes(elsewhere) == ("registry-error",)


def test_a_full_disk_alone_breaks_nothing_and_is_a_risk() -> None:
    seen = printing(with_data(healthy(BOOKWORM, ANSWERED), "/srv/data"), "disks", FULL)
    assert causes(seen) == ()
    assert "disk-filling" in risks(seen)
    assert "disk-filling" not in risks(healthy(BOOKWORM))


def test_inodes_fill_a_disk_too() -> None:
    few = ROOM.replace("3% /var/lib/docker", "97% /var/lib/docker")
    assert "disk-filling" in risks(printing(healthy(BOOKWORM), "disks", few))


@pytest.mark.parametrize("source", ["/mnt/nfs/registry", "/srv/data"])
def test_a_disk_that_was_not_measured_is_not_called_roomy(source: str) -> None:
    seen = with_data(healthy(BOOKWORM, ANSWERED), source)
    assert ("disk-filling" in untold(seen)) is source.startswith("/mnt/nfs")
    assert "disk-filling" in untold(missing(seen, "disks"))
