"""What goes wrong on purpose. A test sets faults by name.

Each is used up by the next thing that it applies to, but for what a workspace lacks: it stays without that.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CallFault:
    """What happens to one Web API call, or to one use of a response_url.

    The delay comes first. `lose_answer` carries the call out and then cuts the connection: the caller cannot
    know whether the message was posted, which is how a message comes to be posted twice.
    """

    status: int = 200
    retry_after: int | None = None
    error: str | None = None
    delay: float = 0
    cut: bool = False
    lose_answer: bool = False
    body: str | None = None
    content_type: str = "text/html"

    @property
    def answers(self) -> bool:
        """Tell whether the fault takes the place of the method."""
        ours = self.cut or self.error is not None or self.body is not None
        return ours or self.status != 200  # noqa: PLR2004  HTTP's own word for fine


RESPONSE_URL = "response_url"
ANY_METHOD = "*"


@dataclass
class Faults:
    """The faults that are still to happen. Methods are named as Slack names them; `*` is any method."""

    _calls: dict[str, deque[CallFault]] = field(default_factory=dict)
    missing_blocks: frozenset[str] = frozenset()
    ignores_client_msg_ids: bool = False
    acks_to_drop: int = 0
    envelopes_to_repeat: int = 0
    handshakes_to_fail: int = 0

    def rate_limit(self, method: str, *, times: int = 1, retry_after: int = 1) -> None:
        """Answer the next calls with 429 and a whole number of seconds in Retry-After."""
        self._add(method, times, CallFault(status=429, retry_after=retry_after, error="ratelimited"))

    def server_error(self, method: str, *, times: int = 1, status: int = 500) -> None:
        """Answer the next calls with a 5xx and a body that is no JSON, as Slack's front does."""
        self._add(method, times, CallFault(status=status))

    def refuse(self, method: str, error: str, *, times: int = 1) -> None:
        """Answer the next calls with `ok: false` and this error."""
        self._add(method, times, CallFault(error=error))

    def answer_instead(self, method: str, body: str, content_type: str, *, times: int = 1) -> None:
        """Answer the next calls with 200 and this body, as a proxy does that wants somebody to log in."""
        self._add(method, times, CallFault(body=body, content_type=content_type))

    def delay(self, method: str, seconds: float, *, times: int = 1) -> None:
        """Let the next calls take this much longer, and then work."""
        self._add(method, times, CallFault(delay=seconds))

    def cut(self, method: str, *, times: int = 1) -> None:
        """Cut the connection of the next calls without doing anything."""
        self._add(method, times, CallFault(cut=True))

    def lose_answer(self, method: str, *, times: int = 1) -> None:
        """Carry the next calls out and cut the connection before the answer."""
        self._add(method, times, CallFault(lose_answer=True))

    def without_blocks(self, *kinds: str) -> None:
        """Refuse these kinds of blocks wherever they stand, as a workspace does to which they were not rolled out."""
        self.missing_blocks |= frozenset(kinds)

    def ignore_client_msg_ids(self) -> None:
        """Post a second message for a repeated client_msg_id, as a workspace would that knows none from apps."""
        self.ignores_client_msg_ids = True

    def drop_acks(self, times: int = 1) -> None:
        """Lose the next acknowledgements on their way to Slack."""
        self.acks_to_drop += times

    def deliver_twice(self, times: int = 1) -> None:
        """Deliver the next envelopes twice."""
        self.envelopes_to_repeat += times

    def fail_handshakes(self, times: int = 1) -> None:
        """Fail the next WebSocket handshakes. The ticket in the URL is used up all the same."""
        self.handshakes_to_fail += times

    def clear(self) -> None:
        """Forget every fault that has not happened yet."""
        self._calls.clear()
        self.missing_blocks = frozenset()
        self.ignores_client_msg_ids = False
        self.acks_to_drop = self.envelopes_to_repeat = self.handshakes_to_fail = 0

    def for_call(self, method: str) -> CallFault | None:
        """Take the fault that this call suffers, if there is one."""
        for name in (method, ANY_METHOD):
            waiting = self._calls.get(name)
            if waiting:
                return waiting.popleft()
        return None

    def drops_this_ack(self) -> bool:
        """Take one lost acknowledgement, if there is one."""
        if not self.acks_to_drop:
            return False
        self.acks_to_drop -= 1
        return True

    def repeats_this_envelope(self) -> bool:
        """Take one double delivery, if there is one."""
        if not self.envelopes_to_repeat:
            return False
        self.envelopes_to_repeat -= 1
        return True

    def fails_this_handshake(self) -> bool:
        """Take one failed handshake, if there is one."""
        if not self.handshakes_to_fail:
            return False
        self.handshakes_to_fail -= 1
        return True

    def _add(self, method: str, times: int, fault: CallFault) -> None:
        self._calls.setdefault(method, deque()).extend([fault] * times)
