"""What the local Slack refuses, and what a driver of it did wrong."""

from typing import Any


class SlackError(Exception):
    """An answer of `{"ok": false, "error": ...}`, as every Web API method gives it."""

    def __init__(self, error: str, **more: Any) -> None:
        """Remember the error code, and what else the answer says."""
        super().__init__(error)
        self.error = error
        self.more = more

    @classmethod
    def of_problems(cls, error: str, problems: list[str]) -> "SlackError":
        """Build an error that lists what is wrong, in both of the places where Slack lists it."""
        messages = [f"[ERROR] {problem}" for problem in problems]
        return cls(error, errors=problems, response_metadata={"messages": messages})

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON answer."""
        return {"ok": False, "error": self.error, **self.more}


class CannotDoError(Exception):
    """A person in real Slack could not do this: no such button, not in that channel, no modal open."""


class NeverHappenedError(TimeoutError):
    """What a test waited for was not seen in time; the text says what was there instead."""
