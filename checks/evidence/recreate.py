"""What a person types to make a container again, with another publication: a container's ports cannot be changed."""

import re
import shlex

from checks.facts.engine import Container
from checks.facts.made import Compose, Made

_SECRET = re.compile(r"(?i)((?:pass|passwd|password|secret|token|key)[a-z_-]*[=:]).+")


def recreate(container: Container, *publish: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The lines of advice. ``publish`` are the words of ``-p``; ``options`` are further ones of `docker run`."""
    if container.made.compose is not None:
        return _in_compose(container.made.compose, publish, options)
    return (
        *_set_aside(container),
        docker_run(container, *publish, options=options),
        *_notes(container.made),
    )


def docker_run(container: Container, *publish: str, options: tuple[str, ...] = ()) -> str:
    """The `docker run` that makes the container anew, as far as an inspect tells how it was made."""
    made = container.made
    restart = container.restart_policy if container.restart_policy != "no" else "unless-stopped"
    words = ["docker", "run", "-d", f"--name={container.name}", f"--restart={restart}"]
    if container.network_mode not in {"", "default", "bridge"}:
        words.append(f"--network={container.network_mode}")
    words += [word for port in publish for word in ("-p", port)]
    words += [word for volume in made.volumes for word in ("-v", volume)]
    words += [word for name in made.environment for word in ("-e", name)]
    words += [*made.run, *options]
    if made.entrypoint:
        words.append(f"--entrypoint={made.entrypoint[0]}")
    words += [made.image, *made.entrypoint[1:], *made.command]
    return shlex.join(_SECRET.sub(r"\1...", word) for word in words)


def _set_aside(container: Container) -> tuple[str, ...]:
    """The old one is kept until the new one serves: what its image's folders hold is only there."""
    name = shlex.quote(container.name)
    if container.auto_remove:
        return (f"docker stop {name}   # it was run with --rm: this removes it, and its anonymous volumes",)
    aside = shlex.quote(f"{container.name}-old")
    return (
        f"docker update --restart=no {name}",
        f"docker stop {name} && docker rename {name} {aside}   # to be removed once the new one serves",
    )


def _notes(made: Made) -> tuple[str, ...]:
    if not made.environment:
        return ()
    return ("# -e NAME takes the value from your shell: set those that the image does not, or leave them out",)


def _in_compose(compose: Compose, publish: tuple[str, ...], options: tuple[str, ...]) -> tuple[str, ...]:
    files = compose.files.split(",") if compose.files else []
    lines = [f"# in {', '.join(files) or 'its compose file'}, under services: {compose.service}:"]
    if publish:
        lines.append("#   ports: [" + ", ".join(f'"{port}"' for port in publish) + "]")
    lines += ["#   " + option.removeprefix("--").replace("=", ": ", 1) for option in options]
    words = ["docker", "compose", "-p", compose.project]
    words += [word for file in files for word in ("-f", file)]
    return (*lines, shlex.join([*words, "up", "-d", compose.service]))
