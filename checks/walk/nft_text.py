"""Rules of libnftables-json(5) as nft writes them, near enough to be found in ``nft list ruleset``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def rule_text(statements: Sequence[Mapping[str, Any]], comment: str = "") -> str:
    """One line; the counters' values, which change, are left out."""
    said = f' comment "{comment}"' if comment else ""
    return " ".join(_said(kind, body) for one in statements for kind, body in one.items()) + said


def _said(kind: str, body: Any) -> str:
    """A statement, or an expression: a constant, what it takes of the packet, or a set of them."""
    form = _FORMS.get(kind)
    try:
        return form(body) if form and body is not None else f"{kind} {_expression(body)}".rstrip()
    except (LookupError, TypeError, ValueError, AttributeError):  # of a newer nft
        return kind


def _expression(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(_expression(one) for one in value)
    if isinstance(value, Mapping):
        return " ".join(_said(kind, body) for kind, body in value.items())
    return str(value)


def _match(body: Mapping[str, Any]) -> str:
    op = "" if body["op"] in {"==", "in"} else f"{body['op']} "
    return f"{_expression(body['left'])} {op}{_expression(body['right'])}"


def _target(kind: str) -> Callable[[Mapping[str, Any]], str]:
    def said(body: Mapping[str, Any]) -> str:
        port = f":{_expression(body['port'])}" if "port" in body else ""
        return f"{kind} to {_expression(body.get('addr'))}{port}"

    return said


def _counter(body: Any) -> str:
    return f'counter name "{body}"' if isinstance(body, str) else "counter"


def _set(body: Any) -> str:
    elements = body if isinstance(body, list) else [body]
    return "{ " + ", ".join(_element(one) for one in elements) + " }"


def _element(one: Any) -> str:
    """An element of a set, or a pair of a map."""
    return " : ".join(_expression(part) for part in one) if isinstance(one, list) else _expression(one)


def _meta(body: Mapping[str, Any]) -> str:
    return str(body["key"]) if body["key"] in {"iif", "iifname", "oif", "oifname"} else f"meta {body['key']}"


def _operation(sign: str) -> Callable[[Sequence[Any]], str]:
    return lambda body: f" {sign} ".join(_expression(one) for one in body)


_FORMS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "counter": _counter,
    "jump": lambda body: f"jump {body['target']}",
    "goto": lambda body: f"goto {body['target']}",
    "reject": lambda body: f"reject with {body['type']} {body.get('expr', '')}".rstrip(),
    "dnat": _target("dnat"),
    "snat": _target("snat"),
    "redirect": _target("redirect"),
    "vmap": lambda body: f"{_expression(body['key'])} vmap {_expression(body['data'])}",
    "mangle": lambda body: f"{_expression(body['key'])} set {_expression(body['value'])}",
    "limit": lambda body: f"limit rate {'over ' if body.get('inv') else ''}{body['rate']}/{body['per']}",
    "xt": lambda body: f'xt {body["type"]} "{body["name"]}"',
    "prefix": lambda body: f"{body['addr']}/{body['len']}",
    "range": lambda body: "-".join(_expression(one) for one in body),
    "set": _set,
    "concat": _operation("."),
    "elem": lambda body: _expression(body["val"]),
    "payload": lambda body: f"{body['protocol']} {body['field']}",
    "ct": lambda body: " ".join(["ct", *([body["dir"]] if "dir" in body else []), body["key"]]),
    "meta": _meta,
    "fib": lambda body: f"fib {' . '.join(body['flags'])} {body['result']}",
    "&": _operation("&"),
    "|": _operation("|"),
}
