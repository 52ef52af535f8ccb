"""Whatever hosts, people and configurations contain: Slack takes the message, and none of it becomes markup."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.incidents.model import (
    Approval,
    CameBack,
    Incident,
    IncidentKind,
    IncidentState,
    Offer,
    RanOften,
    Stopped,
    Transition,
)
from bot.slack.message import Message
from bot.slack.views import Glance, alert, answer, looking, overview, unknown_host, unknown_service
from bot.slack.views.markup import code, cut, fitted, preformatted, prose, valued
from checks.model import (
    Applied,
    Change,
    ChangeKind,
    Diagnosis,
    Difference,
    Evidence,
    Family,
    Finding,
    FixId,
    Lasts,
    NoChange,
    Outcome,
    Plan,
    Report,
    Risk,
    Snapshot,
    Status,
    Step,
    StepResult,
    Trouble,
    Values,
    Vantage,
    Verdict,
)
from tests.unit.bot.slack.view_samples import NOW, OFFER, OPEN, PLAN, REPORT, blocks, body, buttons, problems, reading

# An incident that is too large for any message is what is tried here; that its repr is large too is no mistake.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")

NASTY = (
    "<!channel>",
    "<!here|x>",
    "@here @channel @everyone",
    "<@U012ABCDEF>",
    "<https://evil.example|click>",
    "```",
    "`",
    "*bold* _it_ ~gone~",
    "&amp;&lt;",
    "\n> quote\n",
    "\x1b[31mred\x1b[0m",
    "\u202etxet",
    ":fire::x:",
    "é́́",
    "👩‍👩‍👧‍👦",
    "",
)
RUN = "run-1"  # so that some undo belongs to some run
text = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=30)), max_size=8).map("".join)
long_text = st.builds(lambda part, times: part * times, text, st.sampled_from([1, 1, 40, 400]))
times = st.integers(-10_000, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


def many(one: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=most).map(tuple)


findings = st.builds(
    Finding,
    text,
    text,
    st.sampled_from(Verdict),
    long_text,
    many(st.builds(Evidence, text, long_text), 12),
    long_text,
    advice=many(long_text, 3),
)
lines = st.lists(long_text, max_size=5).map("\n".join)
argv = st.tuples(long_text, long_text, long_text)
undo = st.builds(Step, long_text, argv)
steps = st.builds(Step, long_text, argv, st.booleans(), undo=many(undo, 1))
differences = st.builds(
    Difference, st.sampled_from(Family), text, st.none() | lines, st.none() | lines, announced=st.booleans()
)
plans = st.builds(
    Plan,
    fix=st.sampled_from(FixId),
    title=long_text,
    host=text,
    service=text,
    cause=text,
    risk=st.sampled_from(Risk),
    steps=many(steps, 12),
    blast_radius=long_text,
    verify=long_text,
    basis=st.just({}),
    notes=many(long_text, 8),
    preflight=many(long_text, 10),
    lasts=st.sampled_from(Lasts),
    undoes=st.sampled_from(["", RUN, "<!channel>`"]),
    restores=many(differences, 5),
    undo_unasked=st.booleans(),
    by_hand=st.just("") | long_text,
)
readings = many(st.sampled_from(Vantage).map(reading), 20)
changes = st.builds(
    Change,
    st.sampled_from(ChangeKind),
    st.just(()),
    times,
    long_text,
    text,
    times=st.integers(1, 9),
    since=st.none() | times,
)
reports = st.builds(
    Report,
    text,
    text,
    times,
    st.sampled_from(Status),
    readings,
    st.builds(Diagnosis, many(findings, 3), many(findings, 4), many(findings, 40), many(findings, 5)),
    many(plans, 2),
    many(st.builds(NoChange, text, long_text), 3),
    many(changes, 30),
    st.none() | st.builds(Trouble, text, long_text),
    st.floats(0, 1e6),
)
results = st.builds(StepResult, steps, st.none() | st.integers(0, 255), long_text, st.floats(0, 1e4))
values = st.builds(Values, st.dictionaries(text, lines, max_size=3))
differences = st.builds(
    Difference, st.sampled_from(Family), long_text, st.none() | lines, st.none() | lines, st.booleans()
)
applied = st.builds(
    Applied,
    st.sampled_from(Outcome),
    long_text,
    many(results, 4),
    readings,
    many(differences, 6),
)
people = st.sampled_from(["U012ABCDEF", "terminal:<!here>", "auto", "<!channel>", "`*_"])
approvals = st.builds(Approval, people | text, times, st.just("digest"))
offers = st.builds(
    Offer,
    st.just(RUN) | st.uuids().map(str) | text,
    plans,
    text,
    times,
    times,
    st.none() | approvals,
    st.none() | applied,
    long_text,
    st.booleans(),
    st.integers(1, 3),
    many(approvals, 3),
    st.none() | st.builds(Snapshot, st.dictionaries(st.sampled_from(Family), values, max_size=3)),
)
stopped = st.builds(Stopped, text, st.builds(CameBack, st.timedeltas()) | st.builds(RanOften, st.integers()))
transitions = st.builds(
    Transition,
    st.none() | st.sampled_from(IncidentState),
    st.sampled_from(IncidentState),
    long_text,
    times,
    people | text,
)
incidents = st.builds(
    Incident, st.uuids().map(str), text, text, st.sampled_from(IncidentState), times, many(transitions, 9),
    st.none() | reports, many(offers, 5), st.none() | times, st.just("") | long_text,
    st.none() | stopped, st.sampled_from(IncidentKind), long_text,
)  # fmt: skip

OURS = re.compile(r"<!date\^-?\d+\^\{date_short_pretty\} \{time_secs\}\|[\d :-]+ UTC>|<@[UW][A-Z0-9]{2,}>")
FENCED = re.compile(r"```\n.*?\n```", re.DOTALL)
MENTION = re.compile(r"@(here|channel|everyone|group)\b", re.IGNORECASE)


def check(message: Message) -> None:
    assert problems(message) == []
    mrkdwn = [message.text, *_mrkdwn(blocks(message))]
    for shown in mrkdwn:
        bare = OURS.sub("", shown)
        assert "<" not in bare
        assert ">" not in bare
        assert not re.search(r"&(?!(?:amp|lt|gt);)", bare)
        assert not MENTION.search(bare)
        rest = FENCED.sub("", bare)
        assert "```" not in rest
        assert all(line.count("`") % 2 == 0 for line in rest.splitlines())


def _mrkdwn(value: Any) -> list[str]:
    if isinstance(value, list):
        return [each for inner in value for each in _mrkdwn(inner)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "mrkdwn":
        assert value["verbatim"] is True  # or Slack looks for names and links in plain words
        return [value["text"]]
    return [each for inner in value.values() for each in _mrkdwn(inner)]


slow = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=set(Phase) - {Phase.shrink},  # to shrink what is this large takes ten minutes
)


@slow
@given(incidents)
def test_no_incident_breaks_an_alert(incident: Incident) -> None:
    check(alert(incident, NOW))


@slow
@given(st.lists(reports, max_size=6), st.lists(offers, max_size=2))
def test_no_report_breaks_an_answer(some: list[Report], offered: list[Offer]) -> None:
    check(answer(some, {report.service: offered for report in some}, NOW))


@slow
@given(
    st.lists(
        st.builds(Glance, text, text, st.none() | st.booleans(), long_text, st.none() | st.timedeltas()), max_size=200
    )
)
def test_nothing_breaks_an_overview(glances: list[Glance]) -> None:
    check(overview(glances, NOW))


@slow
@given(long_text, st.lists(long_text, max_size=9))
def test_nothing_breaks_a_short_answer(name: str, names: list[str]) -> None:
    for message in (looking(name), unknown_host(name, names), unknown_service(name, name, names)):
        check(message)


@given(long_text, st.integers(20, 300))
def test_text_is_cut_to_its_limit_by_whole_characters(words: str, limit: int) -> None:
    for shown in (fitted(words, limit), cut(words, limit), prose(words, limit), valued(words, limit)):
        assert len(shown) <= limit
    assert not re.search(r"&(?!(?:amp|lt|gt);)", fitted(words, limit))


def test_a_cut_never_splits_an_entity_or_an_accented_character() -> None:
    assert fitted("<<<<<<", 13) == "&lt;&lt;&lt;…"
    assert cut("abe\u0301def", 4) == "ab…"


def test_names_in_messages_are_words_and_nothing_else() -> None:
    assert prose("*b* `c` ~s~ _i_ a_b") == "∗b∗ ˋcˋ ∼s∼ ˍiˍ a_b"  # noqa: RUF001  # look-alikes
    assert code("a`b\n<c>") == "`aˋb &lt;c&gt;`"  # noqa: RUF001  # the same
    assert preformatted("x ```\ny") == "```\nx ˋˋˋ\ny\n```"  # noqa: RUF001  # the same


def test_values_stand_out_in_running_text() -> None:
    assert valued("net.ipv4.ip_forward = 0 (read from /proc).") == "`net.ipv4.ip_forward = 0` (read from /proc)."
    assert valued("`ip route get 10.0.0.1` answers: via eth0") == "`ip route get 10.0.0.1` answers: via eth0"
    assert valued("a stray ` and <b>") == "a stray ˋ and &lt;b&gt;"  # noqa: RUF001  # the look-alike


def test_a_message_too_long_loses_the_least_important_parts_first_and_says_so() -> None:
    change = Change(ChangeKind.COMMAND, ("w", "c"), NOW, "c" * 150, "w" * 50)
    ruled_out = Finding("x" * 50, "registry", Verdict.PASS, "", why="w" * 150)
    back = (Step("d" * 80, ("echo", "y" * 80)),)
    long_plan = replace(
        PLAN,
        steps=tuple(Step("d" * 80, ("echo", "y" * 80), undo=back if number < 5 else ()) for number in range(14)),
    )
    report = replace(
        REPORT,
        timeline=(change,) * 12,
        diagnosis=replace(REPORT.diagnosis, ruled_out=(ruled_out,) * 20),
    )
    offered = tuple(replace(OFFER, id=str(n), plan=replace(long_plan, fix=fix)) for n, fix in enumerate(FixId) if n < 2)
    message = alert(replace(OPEN, report=report, offers=offered), NOW)
    shown = body(message)
    assert problems(message) == []
    assert "Left out to fit: timeline" in shown
    assert "dockerhealth check host1 registry" in shown
    assert "network.service restarted" not in shown
    assert "net.ipv4.ip_forward = 0" in shown
    assert "approve:enable-ip-forward" in buttons(message)
    assert shown.count("*Runs*") == 2
