"""Keep a lab standing to develop against: `python -m tests.lab up bookworm trixie`."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import certificates, fixes, lab, matrix, random_run
from tests.lab.command import LabError, wait_for
from tests.lab.faults import SCENARIOS
from tests.lab.host import LabHost
from tests.lab.measure import measure
from tests.lab.record import record
from tests.lab.scenario import Scenario
from tests.recordings import FOLDER


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.act(arguments))
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    up = verbs.add_parser("up", help="boot hosts and keep them up until interrupted")
    up.add_argument("names", nargs="+", help="bookworm, trixie, bookworm2, ...")
    up.set_defaults(act=_up)
    down = verbs.add_parser("down", help="end the lab that another process keeps up")
    down.set_defaults(act=_down)
    shell = verbs.add_parser("sh", help="run a command as root inside a standing host: sh NAME -- CMD...")
    shell.add_argument("name")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    shell.set_defaults(act=_sh)
    for verb, act, what in (
        ("restore", _restore, "bring back the baseline"),
        ("deploy", _deploy, "install deploy/host/"),
        ("measure", _measure, "time checks over a warm connection"),
    ):
        parser_of_verb = verbs.add_parser(verb, help=what)
        parser_of_verb.add_argument("names", nargs="*", help="all hosts if none is named")
        parser_of_verb.set_defaults(act=act)
    recorder = verbs.add_parser("record", help="break hosts in every known way, and record what they then say")
    recorder.add_argument("--into", type=Path, default=FOLDER)
    recorder.add_argument("names", nargs="*", help="all hosts if none is named")
    _add_choice(recorder)
    recorder.set_defaults(act=_record)
    table = verbs.add_parser("matrix", help="break hosts in every known way, and compare what is diagnosed")
    _add_choice(table)
    table.add_argument("--into", type=Path, help="write the table there, as Markdown")
    table.add_argument("--reported", action="store_true", help="those that people reported in public, with the sources")
    table.add_argument("names", nargs="*", help="all hosts if none is named")
    table.set_defaults(act=_matrix)
    mended = verbs.add_parser("fixes", help="break hosts, mend them by every fix, and take it back")
    _add_choice(mended)
    mended.add_argument("--into", type=Path, help="write the table there, as Markdown")
    mended.add_argument("names", nargs="*", help="all hosts if none is named")
    mended.set_defaults(act=_fixes)
    chance = verbs.add_parser("random", help="break hosts in ways that nobody named, and judge what is diagnosed")
    chance.add_argument("--seed", type=int, required=True)
    chance.add_argument(
        "--count", type=int, default=20, help="faults that really break the service, on all hosts together"
    )
    chance.add_argument("--into", type=Path, help="write the table there, as Markdown")
    chance.add_argument("names", nargs="*", help="all hosts if none is named")
    chance.set_defaults(act=_random)
    return parser


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--core", action="store_true", help="only the few scenarios that CI runs")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="scenarios with this in their name")


def _up(arguments: argparse.Namespace) -> int:
    if lab.standing() is not None:
        raise LabError(f"a lab stands already: {lab.STATE}")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with lab.booted(arguments.names) as hosts:
            lab.write_state(hosts)
            for record in hosts.records():
                sys.stdout.write(f"{record.name} {record.address} up, leader {record.leader}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        lab.STATE.unlink(missing_ok=True)
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _down(_arguments: argparse.Namespace) -> int:
    keeper = lab.keeper()
    if keeper is None:
        raise LabError("no lab stands")
    os.kill(keeper, signal.SIGTERM)
    wait_for("the lab ends", lambda: not lab.STATE.exists(), timeout=60)
    return 0


def _sh(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    done = _standing().host(arguments.name).run(*command, check=False, timeout=600)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _restore(arguments: argparse.Namespace) -> int:
    for host in _named(arguments.names):
        host.restore()
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    for host in _named(arguments.names):
        sys.stdout.write(f"{host.name}: {' '.join(host.deploy()) or 'nothing to install yet'}\n")
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    for host in _named(arguments.names):
        sys.stdout.write(f"{measure(_standing(), host)}\n")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    scenarios = _chosen(arguments)
    with certificates.trusted(), ThreadPoolExecutor() as together:
        list(together.map(lambda host: _record_one(host, arguments.into, scenarios), _named(arguments.names)))
    return 0


def _record_one(host: LabHost, folder: Path, scenarios: Sequence[Scenario]) -> None:
    for path in record(_standing(), host, folder, scenarios):
        _say(str(path))


def _matrix(arguments: argparse.Namespace) -> int:
    """Exit 1 unless every row is right."""
    hosts = _named(arguments.names)
    chosen = [one for one in _chosen(arguments) if one.source is not None or not arguments.reported]
    with certificates.trusted():
        rows = asyncio.run(matrix.run(_standing(), hosts, chosen, lambda row: _say(str(row))))
    _say(matrix.totals(rows))
    if arguments.into:
        page = matrix.reports if arguments.reported else matrix.markdown
        arguments.into.write_text(page(rows, [matrix.platform(host) for host in hosts]))
    return int(any(not row.verdict.is_right for row in rows))


def _fixes(arguments: argparse.Namespace) -> int:
    """Exit 1 unless every row is right."""
    hosts = _named(arguments.names)
    cases = [
        case
        for case in fixes.CASES
        if (case.core or not arguments.core)
        and (not arguments.only or any(text in case.name for text in arguments.only))
    ]
    rows = asyncio.run(fixes.run(_standing(), hosts, cases, lambda row: _say(str(row))))
    _say(fixes.totals(rows))
    if arguments.into:
        arguments.into.write_text(fixes.markdown(rows, [matrix.platform(host) for host in hosts]))
    return int(not all(row.right for row in rows))


def _random(arguments: argparse.Namespace) -> int:
    """Exit 1 unless every row is right."""
    hosts = _named(arguments.names)
    rows, left_out = asyncio.run(
        random_run.run(_standing(), hosts, arguments.seed, arguments.count, lambda row: _say(str(row)))
    )
    for number, why in left_out:
        _say(f"{number:4} left out: {why}")
    _say(random_run.totals(rows))
    if arguments.into:
        page = random_run.markdown(rows, len(left_out), arguments.seed, [matrix.platform(host) for host in hosts])
        arguments.into.write_text(page)
    return int(not all(row.verdict in random_run.RIGHT for row in rows))


def _chosen(arguments: argparse.Namespace) -> list[Scenario]:
    return [
        scenario
        for scenario in SCENARIOS
        if (scenario.core or not arguments.core)
        and (not arguments.only or any(text in scenario.name for text in arguments.only))
    ]


def _say(line: str) -> None:
    """At once, also into a pipe: a table of hours is read while it grows."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _named(names: Sequence[str]) -> Sequence[LabHost]:
    hosts = _standing()
    return [hosts.host(name) for name in names] if names else hosts.hosts


def _standing() -> lab.Lab:
    hosts = lab.standing()
    if hosts is None:
        raise LabError("no lab stands; start one: python -m tests.lab up bookworm trixie")
    return hosts


if __name__ == "__main__":
    sys.exit(main())
