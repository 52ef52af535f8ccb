"""What the commands share: which file, host and service were meant, and what to say when that is not clear."""

import difflib
import gc
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from bot.config import Settings
    from checks.model import Host, Service

HEALTHY, UNHEALTHY, NOT_TOLD = 0, 1, 2
EXIT_USAGE = 64
TYPER_USAGE = 2

File = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="Configuration file.", envvar="DOCKERHEALTH_CONFIG", show_default=False),
]
HostName = Annotated[str, typer.Argument(help="A host of the configuration.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Commands(TyperGroup):
    """Wrong usage ends with 64: 2 means that the health of a service could not be told."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _usage():
            return super().invoke(ctx)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if error.exit_code == TYPER_USAGE:
            error.exit_code = EXIT_USAGE
        raise


def wrong(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_USAGE)


def here_to_stay() -> None:
    """Collect garbage again, where ``main`` switched that off: for commands that go on for minutes."""
    if not gc.isenabled():
        gc.freeze()  # what has been imported is left out of it
        gc.enable()


def loaded(config: Path | None) -> "Settings":
    """The settings as they are now. Raises ConfigError."""
    from bot.config import find, load  # noqa: PLC0415  # heavy, and ``--help`` does not need it

    return load(find(config, os.environ), os.environ)


def settings_of(config: Path | None) -> "Settings":
    """The settings, or the end of the program with every mistake in them."""
    from bot.config import ConfigError  # noqa: PLC0415  # the same

    try:
        return loaded(config)
    except ConfigError as error:
        count = len(error.mistakes)
        wrong(f"{error}\n{count} mistake{'' if count == 1 else 's'} in the configuration.")


def host_of(settings: "Settings", name: str) -> "Host":
    if name not in settings.hosts:
        wrong(f"there is no host {name!r}. {nearest(name, settings.hosts)}")
    return settings.hosts[name].host(name, settings.ssh)


def service_of(host: "Host", name: str | None) -> "Service":
    """The service of that name; without a name, the only one there is."""
    names = [service.name for service in host.services]
    if name is None:
        if len(names) > 1:
            wrong(f"{host.name} has several services: say which with --service, one of {', '.join(names)}")
        return host.services[0]
    if name not in names:
        wrong(f"{host.name} has no service {name!r}. {nearest(name, names)}")
    return host.service(name)


def person() -> str:
    """Who sits at this terminal, as the kernel knows it: no variable that anybody may set. Through sudo, who asked."""
    user = os.getuid()
    asked = os.environ.get("SUDO_USER", "") if user == 0 else ""
    return f"terminal:{asked or pwd.getpwuid(user).pw_name}"


def nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names[:20])}."
