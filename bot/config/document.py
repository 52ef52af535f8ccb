"""A YAML text as plain data that still knows the line of every value."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from bot.config.mistakes import ConfigError, Keys, Mistake, found_text, path_text

TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"


@dataclass
class Document:
    name: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def where(self, keys: Keys) -> str:
        """``FILE:LINE`` of a value, or of the closest thing around it that is in the file."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.name}:{self.lines.get(keys, 1)}"


def parse(name: str, text: str) -> Document:
    """The document in a text. Raises ConfigError when it is no YAML or not keys with values."""
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        document = Document(name)
        if node is None:
            return document
        _Walk(document).visit(node, ())
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(name, error)]) from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ConfigError([Mistake(f"{name}:1", "", found_text(data), "keys with values")])
    document.data = data
    return document


def _syntax(name: str, error: yaml.YAMLError) -> Mistake:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return Mistake(f"{name}:{mark.line + 1}", "", error.problem or "a mistake", f"YAML at column {mark.column + 1}")
    return Mistake(name, "", str(error).partition("\n")[0], "YAML")


class _Walk:
    """Notes lines, keys that are there twice, and keys that YAML does not read as text."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.inside: set[int] = set()

    def visit(self, node: yaml.Node, keys: Keys) -> None:
        self.document.lines.setdefault(keys, node.start_mark.line + 1)
        if id(node) in self.inside:  # an anchor that contains its own alias
            return
        self.inside.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, keys)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.visit(child, (*keys, index))
        self.inside.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                continue
            name = str(key.value)
            here = (*keys, name)
            line = key.start_mark.line + 1
            self._check_key(key, here, line, seen.get(name))
            seen.setdefault(name, line)
            self.document.lines.setdefault(here, line)
            self.visit(value, here)
        for merged in _merged(node):
            self.visit(merged, keys)

    def _check_key(self, key: yaml.Node, keys: Keys, line: int, first: int | None) -> None:
        if key.tag != TEXT:
            self._wrong(keys, line, "a key that YAML does not read as text", f'"{keys[-1]}" in quotes')
            key.tag = TEXT  # so that what stands below it is reported under the name that was meant
        if first is not None:
            self._wrong(keys, line, "a key for the second time", f"each key once (line {first} has it too)")

    def _wrong(self, keys: Keys, line: int, found: str, expected: str) -> None:
        self.document.mistakes.append(Mistake(f"{self.document.name}:{line}", path_text(keys), found, expected))


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """The mappings that ``<<`` brings in."""
    for key, value in node.value:
        if key.tag == MERGE:
            yield from value.value if isinstance(value, yaml.SequenceNode) else (value,)
