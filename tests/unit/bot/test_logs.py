"""Each line of the log is JSON, whatever it says, and has no secret that a host printed."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot import logs

PLANTED = "Pl4nted-8c1d"


@pytest.fixture
def log() -> Iterator[structlog.typing.FilteringBoundLogger]:
    logs.configure(logging.INFO)
    yield structlog.get_logger()
    structlog.reset_defaults()


def test_a_line_is_json_without_secrets_and_numbers_stay(
    log: structlog.typing.FilteringBoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ValueError(f"postgres://shop:{PLANTED}@db")
    log.error(
        "it failed", token=3, of=["a", f"PASSWORD={PLANTED}"], why=error, says=f"--token {PLANTED}", exc_info=error
    )
    [line] = capsys.readouterr().err.splitlines()
    assert PLANTED not in line
    event = json.loads(line)
    assert (event["token"], event["of"], event["says"]) == (3, ["a", "PASSWORD=***"], "--token ***")
    assert "postgres://shop:***@db" in event["why"]
    assert "postgres://shop:***@db" in event["exception"]
