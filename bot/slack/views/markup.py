"""Text for Slack's mrkdwn that is only ever text: whatever a host printed cannot become markup or a mention."""

import re
import unicodedata
from datetime import UTC, datetime

from bot.text import plain
from bot.wording.plans import who

ELLIPSIS = "…"
MENTION = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
EMOJI = re.compile(r":(?=[\w+'-]+:)")
EDGE_UNDERSCORE = re.compile(r"(?<!\w)_|_(?!\w)")
FENCE = re.compile(r"`{3,}")
VALUE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC"
    r"|`(?P<quoted>[^`]*[^`\s][^`]*)`"
    r"|(?P<setting>[\w./-]+ = [^\s,;()`]*[^\s,;()`.:])"
    r"|(?<![\w-])(?P<rule>-A [\w.-]+ [^`]*?[^`:;])(?=: |; |$)"
)
SHORTEST_VALUE = 12  # characters of room that a value is worth beginning in
JOINER = "\u2060"  # takes no room, and ends what would have been a mention or an emoji
GRAVE = "ˋ"  # noqa: RUF001  # looks like a backtick, that is its point
LOOKALIKES = str.maketrans({"*": "∗", "`": GRAVE, "~": "∼"})  # noqa: RUF001  # the same
USER = re.compile(r"[UW][A-Z0-9]{2,}")


def escaped(text: str) -> str:
    """Text in which nothing is a mention, a link or an entity."""
    broken = MENTION.sub("@" + JOINER, text)
    return broken.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def prose(text: str, limit: int = 500) -> str:
    """Running text: no mention, link, emoji, bold, italic, strike or code comes of it."""
    return _words(plain(text), limit)


def _words(line: str, limit: int) -> str:
    words = EMOJI.sub(":" + JOINER, line).translate(LOOKALIKES)
    return fitted(EDGE_UNDERSCORE.sub("ˍ", words), limit)


def valued(text: str, limit: int = 500) -> str:
    """Running text whose values stand out as code: ``name = value``, a rule of iptables, what stands in backticks.

    Times are each reader's own, as they are beside it.
    """
    line, shown, end = plain(text)[: 2 * limit], "", 0  # what is shown is never shorter than what it shows
    for match in VALUE.finditer(line):
        if len(shown) > limit - SHORTEST_VALUE:
            break
        shown += _words(line[end : match.start()], limit - len(shown) - SHORTEST_VALUE + 1)
        shown += _value(match, limit - len(shown))
        end = match.end()
    return shown + _words(line[end:], limit - len(shown)) if len(shown) < limit else shown


def _value(match: re.Match[str], limit: int) -> str:
    if match["time"] is None:
        return code(match["quoted"] or match["setting"] or match["rule"], limit - 2)
    try:
        stamp = when(datetime.fromisoformat(f"{match['time']}+00:00"))
    except ValueError:  # digits that only look like a time
        stamp = ""
    return stamp if 0 < len(stamp) <= limit else _words(match[0], limit)


def code(text: str, limit: int = 300) -> str:
    """A value in code format, on one line."""
    shown = fitted(plain(text).replace("`", GRAVE), limit)
    return f"`{shown}`" if shown else "`(empty)`"


def preformatted(text: str, limit: int = 2900) -> str:
    """Several lines as they are."""
    lines = "\n".join(
        "".join(character if character.isprintable() else " " for character in line)
        for line in FENCE.sub(GRAVE * 3, text).splitlines()
    )
    return f"```\n{fitted(lines, limit - 8)}\n```"


def fitted(text: str, limit: int) -> str:
    """The text escaped, whole characters of it, in at most ``limit`` characters."""
    whole = escaped(text)
    if len(whole) <= limit:
        return whole
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(escaped(text[:middle])) < limit else (low, middle - 1)
    return escaped(_whole(text, low).rstrip()) + ELLIPSIS


def cut(text: str, limit: int) -> str:
    """The same for plain_text objects, which need no escaping."""
    return text if len(text) <= limit else _whole(text, limit - 1).rstrip() + ELLIPSIS


def _whole(text: str, end: int) -> str:
    """The first characters, without a last one that loses its accents."""
    while 0 < end < len(text) and unicodedata.combining(text[end]):
        end -= 1
    return text[:end]


def when(at: datetime) -> str:
    """A time that each reader sees in their own zone."""
    stamp = at.astimezone(UTC)
    return f"<!date^{int(stamp.timestamp())}^{{date_short_pretty}} {{time_secs}}|{stamp:%Y-%m-%d %H:%M:%S} UTC>"


def person(name: str) -> str:
    """A Slack user as a mention, someone at a terminal by login name."""
    return f"<@{name}>" if USER.fullmatch(name) else prose(who(name), 80)
