"""The judge of a soak finds each thing that can be wrong with a run, and nothing wrong with a good one."""

from dataclasses import replace

from tests.soak.bots import Life, Sample
from tests.soak.judge import GREEN, ITSELF, Run, Told, not_judged, wrong
from tests.soak.schedule import Fault, Injected
from tests.soak.table import table

OUTAGE = Injected(Fault.FORWARDING_OFF, 100, 300, "host1", click=True)
BLIND = Injected(Fault.SSH_REFUSED, 50, 400, "host2")
BLIP = Injected(Fault.BLIP, 60, 62, "host3")
OWN = Injected(Fault.NO_DESCRIPTORS, 500, 520)
TOLD = Told("host1/registry", 110, GREEN, "IPv4 forwarding is switched off")
TOLD_BLIND = Told("host2", 250, GREEN, "nobody listens for SSH at 127.1.0.3")
FLAT = tuple(Sample(age, 140, 100) for age in range(300))
GOOD = Run(
    (OUTAGE, BLIND, BLIP, OWN),
    (TOLD, TOLD_BLIND, Told(ITSELF, 512, GREEN, "out of file descriptors")),
    (Life("one", 0, list(FLAT), stopped=0.5),),
    {"host1": [(120, "write the file"), (121, "switch it on")]},
)


def found(run: Run) -> str:
    """The one thing that is wrong."""
    [says] = wrong(run)
    return says


def test_nothing_is_wrong_with_a_good_run() -> None:
    assert wrong(GOOD) == []
    assert "Nothing was wrong." in table(GOOD, [])


def test_what_is_told_twice_never_or_of_nothing_is_found() -> None:
    assert found(replace(GOOD, told=(*GOOD.told, replace(TOLD, at=130)))).startswith("twice: host1/registry")
    assert found(replace(GOOD, told=GOOD.told[1:])).startswith("lost: host1/registry had forwarding off at 100")
    assert found(replace(GOOD, told=(*GOOD.told, Told("host9/registry", 70, GREEN, "")))).startswith("invented: host9")
    assert found(replace(GOOD, told=(*GOOD.told, Told("host3/registry", 65, GREEN, "")))).startswith("invented: host3")
    assert found(replace(GOOD, told=(*GOOD.told, Told("all hosts", 65, GREEN, "")))).startswith("invented: all hosts")


def test_what_is_told_before_it_was_so_is_found() -> None:
    assert "before forwarding off" in found(replace(GOOD, told=(replace(TOLD, at=90), *GOOD.told[1:])))


def test_more_notices_of_itself_than_it_had_troubles_are_found() -> None:
    more = (Told(ITSELF, 600, GREEN, ""),)
    assert found(replace(GOOD, told=(*GOOD.told, *more))).startswith(f"invented: {ITSELF}")


def test_a_message_that_is_not_over_is_found() -> None:
    assert found(replace(GOOD, told=(replace(TOLD, colour="#d92d20"), *GOOD.told[1:]))).startswith("not over: host1")


def test_the_cause_is_not_asked_for_where_a_bot_was_in_trouble_nearly_all_the_time() -> None:
    short = replace(OUTAGE, until=120)
    quiet = replace(GOOD, told=(replace(TOLD, said="something else"), *GOOD.told[1:]), steps={})
    assert found(replace(quiet, injected=(short, *GOOD.injected[1:]))).startswith("no cause")
    killed = Injected(Fault.KILLED, 104, 105, "one")
    assert wrong(replace(quiet, injected=(short, *GOOD.injected[1:], killed))) == []


def test_a_message_without_the_cause_is_found() -> None:
    assert found(replace(GOOD, told=(replace(TOLD, said="something else"), *GOOD.told[1:]))).startswith("no cause")


def test_a_step_that_ran_twice_or_without_an_approval_is_found() -> None:
    twice = {"host1": [*GOOD.steps["host1"], (130.0, "switch it on")]}
    assert found(replace(GOOD, steps=twice)) == "ran 2 times on host1 after 100 s: switch it on"
    unasked = replace(GOOD, injected=(replace(OUTAGE, click=False), *GOOD.injected[1:]))
    assert "nobody approved it" in found(unasked)


def test_a_process_that_grows_gives_up_or_does_not_stop_is_found() -> None:
    life = GOOD.lives[0]
    grows = replace(life, samples=[replace(each, rss=140 + each.age / 3) for each in FLAT])
    leaks = replace(life, samples=[replace(each, descriptors=100 + int(each.age)) for each in FLAT])
    for bad, says in (
        (grows, "grew from"),
        (leaks, "descriptors"),
        (replace(life, status=64), "gave up"),
        (replace(life, stopped=12.0), "took 12.0 s to stop"),
    ):
        assert says in found(replace(GOOD, lives=(bad,)))


def test_a_process_that_was_starved_of_descriptors_holds_fewer_until_it_is_warm_again() -> None:
    life = GOOD.lives[0]
    early = [replace(each, descriptors=100 if each.age < 150 else 140) for each in FLAT]
    starved = Injected(Fault.NO_DESCRIPTORS, life.began + 60, life.began + 95, "")
    run = replace(GOOD, lives=(replace(life, samples=early),))
    assert "descriptors" in found(run)
    assert wrong(replace(run, injected=(*GOOD.injected, starved))) == []


def test_what_this_machine_was_too_busy_to_answer_is_left_to_a_person_and_told() -> None:
    message = Told("host9/registry", 70, GREEN, "timed out at http")
    once = replace(GOOD, told=(*GOOD.told, message), late=((65.0, 2.5),))
    twice = replace(once, late=((62.0, 2.5), (65.0, 3.0)))
    assert not_judged(once) == []
    assert found(once).startswith("invented: host9")
    assert not_judged(twice) == [message]
    assert wrong(twice) == []
    assert "host9/registry at 70 s: 'timed out at http'" in table(twice, [])
