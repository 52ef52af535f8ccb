"""A fault that comes back, on a real host: recognised, and mended without a click as often as is allowed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.demo.local_slack import Message
from bot.slack.views.markup import JOINER
from tests.lab.faults import network_service
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.passing import time_passes
from tests.lab.team import PATIENCE, Team, on, team

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300, func_only=True)]

CAUSE = "IPv4 forwarding is switched off"
KEPT = "/etc/sysctl.d/99-zz-dockerhealth-ip-forward.conf"
AUTO = {"fix": "enable-ip-forward", "host": "host1", "per_day": 2, "returns_within": "30m"}


@pytest.fixture
async def people(lab: Lab, host: LabHost, tmp_path: Path) -> AsyncIterator[Team]:
    async with team(lab, host, tmp_path, approvals={"auto": [AUTO]}) as made:
        yield made


def again(host: LabHost) -> None:
    """Somebody tidied /etc, and the web panel changes the address once more."""
    host.path(KEPT).unlink()
    network_service.change_address(host)


async def newest(people: Team, since: int) -> Message:
    """The alert that follows the ones that there are."""
    await people.slack.wait_until(lambda: len(people.slack.messages("#docker-health")) > since, timeout=PATIENCE)
    return people.slack.messages("#docker-health")[since]


def shown(alert: Message) -> str:
    return alert.shown.replace(JOINER, "")


async def test_it_is_mended_without_a_click_twice_a_day_and_told_with_what_comes_first_each_time(
    people: Team, host: LabHost, tmp_path: Path
) -> None:
    faults = (network_service.web_program_restarts_network, again)
    for number, fault in enumerate(faults):
        async with people.bot():
            await on(host, fault)
            alert = await newest(people, since=number)
            await people.slack.wait_until(lambda: people.is_green(alert), timeout=PATIENCE)  # noqa: B023  # at once
            assert "by itself, as the configuration allows" in shown(alert)
            assert host.outside() == "200"
        assert ("Second time in 7 days" in shown(alert)) is (number == 1)
        time_passes(tmp_path / "dockerhealth.db", host, timedelta(hours=2))
    async with people.bot():
        await on(host, again)
        alert = await newest(people, since=2)
        await people.slack.wait_until(lambda: "has stopped: it ran 2 times within 24 hours" in shown(alert), PATIENCE)
        assert "Third time in 7 days, each time" in shown(alert)
        assert "after network.service" in shown(alert)
        assert "webpanel" in shown(alert)
        assert host.outside() != "200"
        await people.approved(alert, "enable-ip-forward")
    assert host.outside() == "200"


async def test_it_stops_by_itself_when_the_same_is_back_at_once(people: Team, host: LabHost) -> None:
    async with people.bot():
        await on(host, network_service.web_program_restarts_network)
        alert = await newest(people, since=0)
        await people.slack.wait_until(lambda: people.is_green(alert), timeout=PATIENCE)
        await on(host, again)
        await people.slack.wait_until(lambda: "has stopped: it came back" in shown(alert), timeout=PATIENCE)
        assert "A person has to decide" in shown(alert)
        assert host.outside() != "200"
        await people.approved(alert, "enable-ip-forward")
        assert len(people.slack.messages("#docker-health")) == 1
