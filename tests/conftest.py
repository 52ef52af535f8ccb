"""What every test starts from."""

import signal
from collections.abc import Iterator

import pytest
import structlog


def pytest_configure() -> None:
    """Have a run that is told to end do so as after Ctrl-C, with all fixtures taken down, instead of on the spot."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    # Not by raising SIGINT: a shell has its background jobs ignore that one, and then nothing would end this run.
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands configure logging for their process; the next test is another process, as it were."""
    yield
    structlog.reset_defaults()
