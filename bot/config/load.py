"""From a file and an environment to Settings, or to every mistake in them at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.config.document import Document, parse
from bot.config.mistakes import ConfigError, Keys, Mistake, described, path_text
from bot.config.settings import ENV_NESTING, ENV_PREFIX, Settings

PLACES = (Path("dockerhealth.yaml"), Path("/etc/dockerhealth/dockerhealth.yaml"))
PLACE_VARIABLE = "DOCKERHEALTH_CONFIG"
TOKENS = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}  # and how each kind begins
FALLBACK_URLS = "DOCKERHEALTH_FALLBACK_URLS"
API_URL = "SLACK_API_URL"
LONGEST_TOKEN_FILE = 10_000


def find(given: Path | None, environ: Mapping[str, str]) -> Path:
    """The file to use: the one that was asked for, else the first of the usual places that has one."""
    if given is not None:
        return given
    if environ.get(PLACE_VARIABLE):
        return Path(environ[PLACE_VARIABLE])
    for place in PLACES:
        if place.is_file():
            return place
    expected = f"one of them, -c FILE or {PLACE_VARIABLE}"
    raise ConfigError([Mistake(" or ".join(map(str, PLACES)), "", "no configuration file", expected)])


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, with the environment over it. Raises ConfigError with every mistake."""
    document = parse(str(path), _text(path))
    overrides = _Overrides(environ)
    mistakes = [*document.mistakes, *_misplaced(document), *overrides.mistakes]
    data = {key: value for key, value in document.data.items() if not _is_secret(key)}
    settings: Settings | None = None
    try:
        settings = Settings(**_merged(data, overrides.data))
    except ValidationError as error:
        mistakes += _invalid(error, document, overrides)
    else:
        mistakes += _contradicting(settings, document)
    if settings is None or mistakes:
        raise ConfigError(sorted(mistakes, key=lambda mistake: _position(mistake, document)))
    return settings


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Mistake(str(path), "", error.strerror or "an error", "a file that can be read")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Mistake(str(path), "", "bytes that are no UTF-8", "a text file")]) from None


def _is_secret(key: object) -> bool:
    return key in {"slack_bot_token", "slack_app_token", "slack_api_url", "fallback_urls"}


def _misplaced(document: Document) -> Iterator[Mistake]:
    for key in filter(_is_secret, document.data):
        name = FALLBACK_URLS if key == "fallback_urls" else key.upper()
        expected = f"it in the environment as {name}" + ("" if name == API_URL else f" or {name}_FILE")
        yield Mistake(document.where((key,)), key, "a setting that the file may not have", expected)


def _merged(lower: Any, upper: Any) -> Any:
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    return lower | {key: _merged(lower.get(key), value) for key, value in upper.items()}


def _invalid(error: ValidationError, document: Document, overrides: "_Overrides") -> Iterator[Mistake]:
    for detail in error.errors(include_url=False):
        keys, found, expected = described(detail, Settings)
        yield Mistake(overrides.name_of(keys) or document.where(keys), path_text(keys), found, expected)


def _contradicting(settings: Settings, document: Document) -> Iterator[Mistake]:
    """What is right by itself and does not fit the rest."""
    for keys, found, expected in settings.approvals.beside(settings.hosts):
        yield Mistake(document.where(("approvals", *keys)), path_text(("approvals", *keys)), found, expected)


def _position(mistake: Mistake, document: Document) -> tuple[bool, int]:
    """Mistakes of the file by line, those of the environment after them."""
    name, _, line = mistake.where.rpartition(":")
    return name != document.name, int(line) if line.isdigit() else 0


class _Overrides:
    """What the environment says, in the shape of the file."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.mistakes: list[Mistake] = []
        self.names = {_keys(name): name for name in environ if name.upper().startswith(ENV_PREFIX)}
        self.data = self._named() | self._slack()
        self.mistakes += self._unknown()

    def _named(self) -> dict[str, Any]:
        if set(self.names.values()) <= {PLACE_VARIABLE}:
            return {}
        from bot.config import environment  # noqa: PLC0415  # heavy, and few set a variable

        return environment.read(self.environ)

    def name_of(self, keys: Keys) -> str | None:
        """The variable that set a value, if one did."""
        if len(keys) == 1 and str(keys[0]).startswith("slack_"):
            return str(keys[0]).upper()
        return self.names.get(keys)

    def _unknown(self) -> Iterator[Mistake]:
        """Names with ``__`` are meant for us; others may be set by a container platform for a service of our name."""
        for keys, name in self.names.items():
            if len(keys) > 1 and keys[0] not in Settings.model_fields:
                yield Mistake(name, "", "no such section", "one of slack, fallback, ssh, checks, approvals, hosts")

    def _slack(self) -> dict[str, str]:
        found = {API_URL.lower(): self.environ.get(API_URL)}
        found |= {name.lower(): self._token(name, start) for name, start in TOKENS.items()}
        found["fallback_urls"] = self._token(FALLBACK_URLS, "")
        return {key: value for key, value in found.items() if value}

    def _token(self, name: str, start: str) -> str | None:
        file = self.environ.get(f"{name}_FILE")
        token = self.environ.get(name)
        if token and file:
            self._wrong(name, f"{name}_FILE as well", "one of the two")
        source, token = (f"{name}_FILE", self._secret(f"{name}_FILE", file)) if file else (name, token)
        if token and not token.startswith(start):
            self._wrong(source, "a token of another kind", f"one that begins with {start}")
        return token

    def _secret(self, name: str, file: str) -> str | None:
        try:
            with Path(file).open(encoding="utf-8") as opened:
                text = opened.read(LONGEST_TOKEN_FILE).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no text"
            self._wrong(name, f"{file}: {why}", "a file with the secret")
            return None
        if not text:
            self._wrong(name, f"{file}: empty", "a file with the secret")
        return text

    def _wrong(self, name: str, found: str, expected: str) -> None:
        self.mistakes.append(Mistake(name, "", found, expected))


def _keys(name: str) -> Keys:
    return tuple(name.lower().removeprefix(ENV_PREFIX.lower()).split(ENV_NESTING))
