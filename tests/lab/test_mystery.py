"""The story that nobody could explain: a program restarts a network service, whose stop switches forwarding off.

No shell history shows it. The alert must say what switched it off, when, and who or what asked for that.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli.baselines import baselines
from bot.slack.views.markup import JOINER, when
from tests.lab.faults import network_service
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.team import Team, on, team

pytestmark = pytest.mark.lab

CAUSE = "IPv4 forwarding is switched off"
SCRIPT = "/etc/rc.d/init.d/network:12"


async def seen_well(people: Team) -> None:
    """The host is healthy, and somebody asked: what comes later is compared with that."""
    await people.slack.command(people.alice, "#docker-health", "/dockerhealth", "host1")
    await people.told(people.alice, "healthy")


@pytest.mark.parametrize(
    ("fault", "asker"),
    [
        (network_service.web_program_restarts_network, "webpanel (in webpanel.service) ran"),
        (network_service.root_web_program_restarts_network, "who asked is not recorded. At that time webpanel.service"),
        (network_service.timer_restarts_network, "who asked is not recorded. At that time renew-address.service"),
        (network_service.person_restarts_network, "ops (in login session"),
        (network_service.script_restarts_network, "who asked is not recorded. At that time renew (pid "),
        (network_service.program_in_root_login_restarts_network, "At that time renew (pid "),
    ],
)
async def test_the_alert_says_what_switched_forwarding_off_and_when_and_who_asked(
    lab: Lab, host: LabHost, tmp_path: Path, fault: Callable[[LabHost], None], asker: str
) -> None:
    async with team(lab, host, tmp_path) as people, people.bot():
        await seen_well(people)
        alert = await people.alerted(CAUSE, await on(host, fault))
        assert "network.service was restarted at" in alert.shown
        assert SCRIPT in alert.shown
        assert "sysctl -w net.ipv4.ip_forward=0" in alert.shown
        assert asker in alert.shown
        assert "net.ipv4.ip_forward changed from 1 to 0 between" in alert.shown, alert.shown


async def test_what_it_was_like_is_known_after_a_restart_of_the_bot_and_at_the_terminal(
    lab: Lab, host: LabHost, tmp_path: Path
) -> None:
    async with team(lab, host, tmp_path) as people:
        async with people.bot():
            await seen_well(people)
        since = await on(host, network_service.web_program_restarts_network)
        [(_, _, good)] = baselines(people.settings.store)
        async with people.bot():
            alert = await people.alerted(CAUSE, since)
        shown = alert.shown.replace(JOINER, "")  # it keeps Slack from taking a part of a time for an emoji
        assert f"net.ipv4.ip_forward changed from 1 to 0 between {when(good.at)} and" in shown
        assert baselines(people.settings.store) == (("host1", "registry", good),)
