"""Plain text for people: one line of it, a time span, a number of things."""

from datetime import timedelta


def plain(text: str) -> str:
    """One line of printable characters: what a host printed moves no cursor and turns no text around."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())


def length(span: timedelta) -> str:
    """``4 min 12 s``; the two largest units are enough."""
    seconds = max(int(span.total_seconds()), 0)
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    parts = [f"{count} {unit}" for unit, count in units if count]
    return " ".join(parts[:2]) or "0 s"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
