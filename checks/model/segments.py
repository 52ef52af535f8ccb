"""Where a packet was last seen, and first missed."""

from dataclasses import dataclass
from enum import StrEnum


class Stretch(StrEnum):
    """A part of the way of a client's first packet, or of the answer to it: the one on which it died."""

    BEFORE_HOST = "before-host"  # it never came in on the host
    INTO_HOST = "into-host"  # it came in, and was neither passed on nor answered
    REFUSED_BY_HOST = "refused-by-host"  # the host itself answered it: with a reset, or with an ICMP error
    TAKEN_BY_HOST = "taken-by-host"  # a program of the host accepted it, and asked no container
    ELSEWHERE = "elsewhere"  # it left the host by another interface than the container's
    TO_CONTAINER = "to-container"  # the way to the container is known, and it did not get there
    IN_CONTAINER = "in-container"  # it was handed to the container, which did not answer
    REFUSED_BY_CONTAINER = "refused-by-container"
    BACK_INTO_HOST = "back-into-host"  # the answer came back from the container, and did not leave the host
    BACK_ELSEWHERE = "back-elsewhere"  # it left by another interface than the question came by
    BACK_UNTRANSLATED = "back-untranslated"  # it left with an address that the client does not know
    AFTER_HOST = "after-host"  # it left the host as it should, and the client has not got it


class Passage(StrEnum):
    """What a packet does at a place, as a word for people."""

    SENT = "sent by"
    ENTERING = "coming in by"
    LEAVING = "leaving by"
    ANSWERED = "answered by"
    ARRIVING = "arriving at"


@dataclass(frozen=True)
class Spot:
    """One place of the way. ``name`` is of an interface, else of who sends, answers or receives."""

    passage: Passage
    name: str
    answer: bool = False  # whether it is the answer that passes there

    @property
    def says(self) -> str:
        """In a program's answer: ``leaving by docker0``, ``its answer coming in by docker0``."""
        return f"{'its answer ' if self.answer else ''}{self.where}"

    @property
    def where(self) -> str:
        return f"{self.passage} {self.name}"


@dataclass(frozen=True)
class Segment:
    """The answer where no cause has a name: between these two it died.

    ``why`` is for people, and empty where nobody said; ``reason`` is the kernel's own word (enum skb_drop_reason).
    """

    stretch: Stretch
    last_seen: Spot
    first_missed: Spot
    why: str = ""
    reason: str = ""

    @property
    def says(self) -> str:
        """The segment in a line."""
        return f"{self.between}: {self.why}" if self.why else self.between

    @property
    def between(self) -> str:
        """The two places."""
        packet = "its answer" if self.last_seen.answer else "it"
        if self.last_seen.passage is Passage.SENT:
            return f"{packet} was {self.last_seen.where}, and not seen {self.first_missed.where}"
        return f"{packet} was seen {self.last_seen.where}, and not {self.first_missed.where}"
