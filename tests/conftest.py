"""What every test starts from."""

import signal
from collections.abc import Iterator

import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


def pytest_configure() -> None:
    """Have a run that is told to end do so as after Ctrl-C, with all fixtures taken down, instead of on the spot."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    # Not by raising SIGINT: a shell has its background jobs ignore that one, and then nothing would end this run.
    raise KeyboardInterrupt


class OneLab(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """All tests on real hosts run in one process, one after the other: there is one lab. The rest runs beside them.

    A scope is what one process gets at a time, the largest first.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "lab" if nodeid.startswith("tests/lab/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneLab:
    return OneLab(config, log)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands configure logging for their process; the next test is another process, as it were."""
    yield
    structlog.reset_defaults()
