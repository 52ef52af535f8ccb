"""File descriptors are shared out before they run out."""

import resource

from checks.collect.descriptors import limit, shared_out
from checks.model import Host, Login, Service


def hosts(number: int, services: int = 1, jump: str | None = None) -> list[Host]:
    watched = tuple(Service(f"s{one}", f"tcp://192.0.2.1:{one + 1}") for one in range(services))
    return [Host(f"host{one}", "192.0.2.1", watched, Login(proxy_jump=jump)) for one in range(number)]


def test_a_hundred_hosts_fit_into_what_systemd_gives() -> None:
    budget = shared_out(1024, hosts(100), 20)
    assert (budget.suffices, budget.looks) == (True, 20)


def test_looks_take_what_readings_leave() -> None:
    assert shared_out(1024, hosts(400), 20).looks == (1024 - 96 - 800) // 18
    assert shared_out(1024, hosts(100, services=4), 20).looks == (1024 - 96 - 500) // 42


def test_a_jump_is_a_connection_of_its_own() -> None:
    by_way = shared_out(1024, hosts(100, jump="first,second"), 20)
    assert by_way.least - shared_out(1024, hosts(100), 20).least == 200


def test_what_does_not_fit_is_told_and_one_look_at_a_time_is_left() -> None:
    budget = shared_out(1024, hosts(1000), 20)
    assert (budget.suffices, budget.looks, budget.least) == (False, 1, 96 + 2000 + 18)


def test_nobody_looks_at_nothing() -> None:
    assert shared_out(1024, [], 20).looks == 20


def test_this_process_asks_for_all_that_it_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        assert limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
