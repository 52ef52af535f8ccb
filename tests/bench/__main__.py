"""``python -m tests.bench``: one run, one table a load. See README for what the rows mean."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .namespace import enter
from .run import LOADS, Settings, run


def main() -> int:
    args = _parser().parse_args()
    if args.inside is None:
        return enter(sys.argv[1:])
    loads = tuple(LOADS) if args.load == "both" else (args.load,)
    settings = Settings(Path(args.inside), args.addresses, args.rounds, args.concurrency, loads, args.answer)
    return run(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--addresses", type=_between(1, 2000), default=200, help="hosts (default: 200)")
    parser.add_argument("--rounds", type=_between(1, 100), default=3, help="measured rounds, interleaved (default: 3)")
    parser.add_argument("--concurrency", type=_between(1, 200), default=20, help="hosts at a time (default: 20)")
    parser.add_argument("--load", choices=(*LOADS, "both"), default="both", help="what the hosts do (default: both)")
    parser.add_argument(
        "--answer", type=Path, help="what the hosts answer in replay: saved output of the gather script"
    )
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # set by itself, once it is in its own namespace
    return parser


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is no number from {least} to {most}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
