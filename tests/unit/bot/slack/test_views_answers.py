"""What the slash command answers: one host in full, all hosts at a glance, and the short ones."""

from dataclasses import replace
from datetime import timedelta

from bot.incidents.model import IncidentKind
from bot.monitoring.monitor import ServiceOverview
from bot.slack.listeners import glance
from bot.slack.message import Message
from bot.slack.views import Glance, answer, help_text, looking, overview, unknown_host, unknown_service
from checks.commands import typed
from checks.model import Diagnosis, Status, Trouble, Vantage
from tests.unit.bot.slack.view_samples import (
    BY_HAND,
    HALF_BLIND,
    HEALTHY,
    NOW,
    OFFER,
    OPEN,
    REPORT,
    blocks,
    body,
    buttons,
    problems,
    reading,
)

UNKNOWN = replace(
    HEALTHY, service="web", status=Status.UNKNOWN, trouble=Trouble("ssh-refused", "host1 refused SSH"), readings=()
)


def header(message: Message) -> str:
    return str(next(block for block in blocks(message) if block["type"] == "header")["text"]["text"])


# --- one host ---


def test_a_healthy_service_is_one_line_with_its_proof() -> None:
    message = answer([HEALTHY], {}, NOW)
    assert header(message) == "🟢 host1/registry: healthy"
    assert "🟢 *registry*: `answered 200 in 3 ms`" in body(message)
    assert message.text == "host1: 1 of 1 service healthy."


def test_a_healthy_host_says_in_one_line_what_nobody_could_look_at() -> None:
    both = answer([HALF_BLIND, replace(HALF_BLIND, service="api")], {}, NOW)
    says = "*Could not be asked:* units, D-Bus: systemctl ended with 1; path: port 5000, own: curl ended with 2"
    assert body(both).count(says) == 1
    assert "Could not be asked" not in body(answer([HEALTHY], {}, NOW))


def test_an_ill_service_says_it_once_for_its_host() -> None:
    ill = replace(REPORT, unavailable=HALF_BLIND.unavailable)
    assert body(answer([ill, replace(HALF_BLIND, service="api")], {}, NOW)).count("Could not be asked:*") == 1


def test_an_ill_service_is_told_in_full_with_its_buttons() -> None:
    message = answer([REPORT], {"registry": [OFFER]}, NOW)
    assert header(message) == "🔴 host1/registry: IPv4 forwarding is switched off"
    assert "net.ipv4.ip_forward = 0" in body(message)
    assert buttons(message)["approve:enable-ip-forward"]["value"] == "offer-1"
    assert problems(message) == []


def test_what_is_ill_comes_first_and_what_is_healthy_last() -> None:
    message = answer([HEALTHY, UNKNOWN, replace(REPORT, service="api")], {}, NOW)
    text = body(message)
    assert header(message) == "🔴 host1: 1 of 3 services healthy"
    assert text.index("🔴 *api*") < text.index("⚪ *web*") < text.index("🟢 *registry*")
    assert [card["color"] for card in message.attachments] == ["#d92d20", "#8d8d8d", "#2eb67d"]


def test_a_host_that_could_not_be_looked_at_says_why() -> None:
    text = body(answer([UNKNOWN], {}, NOW))
    assert "`ssh-refused`" in text
    assert "host1 refused SSH" in text


def test_the_answer_says_when_it_looked_and_how_long_that_took() -> None:
    assert "took 0.8 s" in body(answer([REPORT], {}, NOW))


def test_a_healthy_service_with_a_risk_says_so() -> None:
    risky = replace(HEALTHY, diagnosis=Diagnosis(risks=REPORT.diagnosis.risks))
    assert "The container would stay down" in body(answer([risky], {}, NOW))


def test_a_fix_that_only_a_person_can_run_has_its_commands_and_no_button() -> None:
    message = answer([replace(REPORT, plans=(BY_HAND,))], {}, NOW)
    assert BY_HAND.by_hand in body(message)
    assert typed(BY_HAND.steps[0]) in body(message)
    assert buttons(message) == {}


def test_a_host_with_many_ill_services_still_fits_and_names_each() -> None:
    reports = [replace(REPORT, service=f"service-{number}") for number in range(30)]
    message = answer(reports, {report.service: [OFFER] for report in reports}, NOW)
    text = body(message)
    assert problems(message) == []
    assert "Left out to fit" in text
    assert "net.ipv4.ip_forward = 0" in text
    assert "*service-29*" in text


def test_a_host_without_services_has_an_answer_too() -> None:
    assert problems(answer([], {}, NOW)) == []


# --- all hosts ---


def test_the_overview_counts_and_tells_what_is_ill_first() -> None:
    message = overview(
        [
            Glance("host1", "registry", ok=True),
            Glance("host1", "web", ok=False, says="timed out at connect", down=timedelta(seconds=192)),
            Glance("host2", "registry", ok=None),
        ],
        NOW,
    )
    assert header(message) == "🔴 1 of 3 services answer on 2 hosts, 1 not reached yet"
    assert "🔴 *host1/web*: timed out at connect · down for 3 min 12 s" in body(message)
    assert "🟢 *host1* registry" in body(message)
    assert "⚪ *host2* registry (not reached yet)" in body(message)


def test_a_service_for_which_a_fault_is_being_prevented_is_not_down() -> None:
    incident = replace(OPEN, kind=IncidentKind.PREVENTION, report=HEALTHY)
    seen = glance(ServiceOverview("host1", "registry", reading(Vantage.OUTSIDE), incident, HEALTHY), NOW)
    assert seen.ok


def test_when_all_is_well_the_overview_is_green() -> None:
    assert header(overview([Glance("host1", "registry", ok=True)], NOW)) == "🟢 1 of 1 service answer on 1 host"


def test_five_hundred_hosts_fit_into_an_overview() -> None:
    glances = [Glance(f"host{n}", "registry", ok=n % 10 != 0, says="timed out at connect") for n in range(500)]
    message = overview(glances, NOW)
    assert problems(message) == []
    assert "and 25 more" in body(message)
    assert "more hosts" in body(message)


def test_without_hosts_the_overview_says_so() -> None:
    assert "No hosts are configured" in overview([], NOW).text


# --- short answers ---


def test_help_names_every_form_of_the_command() -> None:
    for form in ("/dockerhealth`", "/dockerhealth HOST`", "/dockerhealth HOST SERVICE`", "/dockerhealth help`"):
        assert form in help_text().text


def test_an_unknown_host_gets_the_nearest_names() -> None:
    assert unknown_host("hots1", ["host1", "host2"]).text.endswith("Did you mean `host1` or `host2`?")
    assert "lists all hosts" in unknown_host("x", []).text


def test_an_unknown_service_gets_the_names_that_there_are() -> None:
    assert unknown_service("host1", "x", ["registry"]).text.endswith("Did you mean `registry`?")


def test_short_answers_are_text_and_a_block_of_the_same() -> None:
    for message in (help_text(), looking("host1")):
        assert problems(message) == []
        assert message.text == body(message)
