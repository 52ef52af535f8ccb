"""What the story prints of a message in Slack."""

from bot.demo import excerpt
from bot.demo.local_slack import Message, Revision

LINES = """\
*Proof*
• `net.ipv4.ip_forward = 0` (read from /proc)
• `ip route` answers: No route
*Reached from*
```
outside ✗
```
*Ruled out*
• `dockerd-down` docker.service is active
• `docker-nat-rule-missing` nat: -A DOCKER ! -i docker0 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 172.17.0.2:5000
:hourglass_flowing_sand: step 1 of 2: write it"""  # noqa: E501  # as long as the real one


def _message(lines: str) -> Message:
    section = {"type": "section", "block_id": "b", "text": {"type": "mrkdwn", "text": lines}}
    header = {"type": "header", "block_id": "h", "text": {"type": "plain_text", "text": "🔴 host1/registry: broken"}}
    return Message(channel="C1", ts="1", user="U1", revisions=[Revision("1", "", [header, section])])


def test_the_headline_the_proof_and_the_suspects_are_found() -> None:
    message = _message(LINES)
    assert excerpt.headline(message) == "🔴 host1/registry: broken"
    assert excerpt.proof(message) == ["net.ipv4.ip_forward = 0 (read from /proc)", "ip route answers: No route"]
    first, second = excerpt.ruled_out(message)
    assert first == "dockerd-down (docker.service is active)"
    assert second.startswith("docker-nat-rule-missing (nat: -A DOCKER")
    assert second.endswith("…)")
    assert excerpt.progress(message) == "step 1 of 2: write it"


def test_a_message_without_them_has_none() -> None:
    message = _message("Nothing of that")
    assert (excerpt.proof(message), excerpt.ruled_out(message), excerpt.progress(message)) == ([], [], "")
    assert excerpt.buttons(message) == ""


def test_a_long_message_is_cut_and_says_so() -> None:
    lines = excerpt.whole(_message("\n".join(f"• {number}" for number in range(60))))
    assert lines[-1] == "… and 21 lines more"


def test_ids_are_replaced_by_names() -> None:
    assert excerpt.named("approved by @U1", {"@U1": "@olga"}) == "approved by @olga"
