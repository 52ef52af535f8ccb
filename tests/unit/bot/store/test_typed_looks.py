"""What an earlier release stored of its looks, in sentences, is read as what a look says today.

releases/0.1.0-0003-looks.sql was written by that release, of the looks in stored_looks.py.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.cli.baselines import baselines
from bot.incidents.model import Incident
from bot.incidents.recurrence import recurrence
from bot.store import Store
from bot.wording.reports import by_reason
from checks.baseline import baseline
from checks.execution.snapshot import differences, snapshot
from checks.look import Look
from checks.model import Aspect, Change, ChangeKind, Family, Missing, Value
from checks.timeline import timeline
from tests import recordings
from tests.histories import NOW
from tests.unit.bot.store import stored_looks
from tests.unit.bot.store.stored_looks import BOOKWORM, SILENT, TOLD

OLD = Path(__file__).parent / "releases/0.1.0-0003-looks.sql"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with closing(sqlite3.connect(tmp_path / "store.db")) as old:
        old.executescript(OLD.read_text(encoding="utf-8"))
    opened = await Store.open(f"sqlite:///{tmp_path}/store.db")
    yield opened
    await opened.close()


async def known(store: Store, service: str) -> Incident:
    newest = await store.incidents.newest("host1", service)
    assert newest
    return newest


def as_stored(look: Look) -> set[Change]:
    """The timeline of a look; when a file that is gone had been written was not in the sentence."""
    return {
        replace(change, of=(change.of[0], "", "none")) if change.what.endswith(" went away") else change
        for change in timeline(look)
    }


@pytest.mark.parametrize("name", TOLD)
async def test_an_old_timeline_says_what_a_new_one_of_the_same_look_does(store: Store, name: str) -> None:
    report = (await known(store, name)).report
    assert report
    assert set(report.timeline) == as_stored(TOLD[name]())
    assert len(report.timeline) > 9


async def test_every_kind_of_change_is_among_them() -> None:
    assert {change.kind for made in TOLD.values() for change in timeline(made())} == set(ChangeKind)


async def test_what_came_first_each_time_is_known_over_the_change_of_releases(store: Store) -> None:
    newest = await known(store, "told_by_all")
    past = await store.incidents.past(newest, newest.opened_at - timedelta(days=7))
    assert recurrence(past, newest, NOW).startswith(
        "Second time in 7 days, each time 2 s after network.service restarted: "
        "webpanel (in webpanel.service) ran `sudo /bin/systemctl restart network`. "
    )
    today = timeline(stored_looks.told_by_all())
    assert newest.report
    again = replace(newest, id="today", report=replace(newest.report, timeline=today))
    assert recurrence(past, again, NOW) == recurrence(past, newest, NOW)


async def test_the_values_of_old_looks_are_of_what_they_are_of_today(store: Store) -> None:
    for name, made in TOLD.items():
        report = (await known(store, name)).report
        assert report
        assert report.baseline == baseline(made())
    assert await store.baselines.all() == (("host1", "told_by_all", stored_looks.good("14:03:10")),)


async def test_a_command_that_finds_a_store_of_the_release_before_does_without_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with closing(sqlite3.connect(tmp_path / "store.db")) as old:
        old.executescript(OLD.read_text(encoding="utf-8"))
    assert baselines(url) == ()
    await (await Store.open(url)).close()
    [(_, _, good)] = baselines(url)
    assert good.of(Aspect.HOST_FORWARDING) == Value(Aspect.HOST_FORWARDING, "1")


async def test_which_fact_was_missing_is_known_and_that_it_was_for_the_whole_host(store: Store) -> None:
    report = (await known(store, "blind")).report
    assert report
    assert report.trouble == SILENT
    missing = {finding.cause: finding.missing for finding in report.diagnosis.not_told}
    assert missing["dockerd-down"] == Missing("units", SILENT.says, of_host=True)
    assert missing["watcher-offline"] == Missing("peers", "no other host can be asked")
    assert ("the host could not be looked at", ("dockerd-down", "ip-forward-off")) in [
        (why, tuple(sorted(ids))) for why, ids in by_reason(report.diagnosis.not_told)
    ]


async def test_the_host_before_a_run_and_what_it_changed_are_read_by_family(store: Store) -> None:
    [first] = await store.incidents.past(await known(store, "told_by_all"), NOW - timedelta(days=7))
    [run] = first.offers
    assert run.before
    assert run.applied
    whole = snapshot(recordings.load(recordings.FOLDER / BOOKWORM / "firewalld-running-healthy.json"))
    assert run.before.families.keys() == whole.families.keys()
    for family, values in run.before.families.items():
        assert all(whole.families[family].states[name].startswith(value) for name, value in values.states.items())
        assert values.moments.items() <= whole.families[family].moments.items()
    assert run.before.families[Family.CONTAINER].moments
    well, deaf = (
        snapshot(recordings.load(recordings.FOLDER / BOOKWORM / f"{state}.json"))
        for state in ("healthy", "firewalld-started-after-deaf-dockerd")
    )
    assert len(run.applied.differences) > 4
    assert set(run.applied.differences) <= set(differences(well, deaf, ("rules nat *",)))


async def test_a_report_without_an_incident_is_carried_over_too(store: Store) -> None:
    [report] = [one for one in await store.incidents.last_reports() if one.service == "no-incident"]
    assert set(report.timeline) == as_stored(stored_looks.told_after_days())
