"""A look says which container a command for a person is about."""

import pytest

from tests import recordings

BOOKWORM = recordings.FOLDER / "debian12-docker20.10.24"


@pytest.mark.parametrize(
    ("state", "answers", "publishes"),
    [
        ("healthy", "registry", "registry"),
        ("front", "registry", "front"),
        ("forwarding-off-and-renamed", "reg-registry-1", "reg-registry-1"),
        ("host-cable-out", "registry", "registry"),  # nobody could be asked
    ],
)
def test_commands_name_the_container_whose_program_answers_or_the_one_that_publishes_the_port(
    state: str, answers: str, publishes: str
) -> None:
    look = recordings.replay(BOOKWORM / f"{state}.json")
    assert (look.named(), look.named(front=True)) == (answers, publishes)
