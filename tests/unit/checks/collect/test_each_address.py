"""A name with more than one address: each is reached for itself, for a client may try one alone."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.collect.reach import reach_each
from checks.diagnose import diagnose
from checks.model import ReachOutcome, Service
from tests.looks import ANSWERED, REFUSED, look

HERE, NOT_HERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def port() -> Iterator[int]:
    """Of a program that listens on one address alone."""
    with socket.create_server((HERE, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of two addresses, which no resolver of a machine that runs tests can be counted on to have."""
    asked = socket.getaddrinfo

    def both(host: str, *more: Any, **keys: Any) -> list[Any]:
        hosts = (HERE, NOT_HERE) if host == "both.example" else (host,)
        return [info for one in hosts for info in asked(one, *more, **keys)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    return "both.example"


def reached(target: str, port: int) -> dict[str | None, ReachOutcome]:
    service = Service("registry", f"http://{target}:{port}/v2/")
    return {one.address: one.ended for one in asyncio.run(reach_each(service, lambda: datetime.now(UTC)))}


def test_each_address_of_a_name_is_told(name: str, port: int) -> None:
    assert reached(name, port) == {HERE: ReachOutcome.ANSWERED, NOT_HERE: ReachOutcome.REFUSED}


def test_a_service_with_one_address_costs_nothing_more(port: int) -> None:
    assert reached(HERE, port) == {}


def test_a_name_that_answers_at_one_address_alone_is_a_risk_and_no_outage() -> None:
    each = (replace(ANSWERED, address="10.77.0.21"), replace(REFUSED, address="fd77::21"))
    diagnosis = diagnose(replace(look("debian12-docker20.10.24", "healthy", ANSWERED), each=each))
    assert diagnosis.causes == ()
    [risk] = [one for one in diagnosis.risks if one.cause == "address-not-answering"]
    assert "is also fd77::21, which is refused at connect" in risk.evidence[0].says
    assert risk.evidence[1].says.startswith("it answers at 10.77.0.21;")


@pytest.mark.parametrize("outcomes", [(ANSWERED, ANSWERED), (REFUSED, REFUSED), ()])
def test_addresses_that_are_all_alike_are_none(outcomes: tuple[Any, ...]) -> None:
    each = tuple(replace(one, address=f"10.77.0.{number}") for number, one in enumerate(outcomes))
    diagnosis = diagnose(replace(look("debian12-docker20.10.24", "healthy", ANSWERED), each=each))
    assert "address-not-answering" not in {one.cause for one in diagnosis.risks}
