"""PromQL as far as the stand-in knows it: a text becomes a tree, or is refused. Pure.

Known: numbers, selectors with all four matchers and a range, the aggregations and functions named here, ``+ - * / %``,
comparisons with and without ``bool``, and ``or``. Everything else is refused, so that no query is answered wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AGGREGATIONS = frozenset({"avg", "count", "max", "min", "sum"})
RANGE_FUNCTIONS = frozenset({"avg_over_time", "increase", "max_over_time", "min_over_time", "rate"})
FUNCTIONS = RANGE_FUNCTIONS | {"histogram_quantile", "vector"}
COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<duration>(?:\d+(?:ms|[smhd]))+)
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<mark>=~|!~|==|!=|>=|<=|[-+*/%^(){}\[\],=<>@])
)""",
    re.VERBOSE,
)


class QueryError(ValueError):
    """A query that is not PromQL, or not of the part that is known here."""


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Matcher:
    """A condition on a label: ``=``, ``!=``, ``=~`` or ``!~``."""

    label: str
    operator: str
    value: str

    def holds(self, labels: dict[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        return (re.fullmatch(self.value, found) is not None) == (self.operator == "=~")


@dataclass(frozen=True)
class Selector:
    """Series by name and labels; with a range, their samples over that many seconds."""

    matchers: tuple[Matcher, ...]
    seconds: float | None = None


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Aggregation:
    """`labels` are those kept, or with `without` those left out."""

    operator: str
    labels: tuple[str, ...]
    without: bool
    inner: Expression


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expression
    right: Expression
    as_bool: bool = False


Expression = Number | Selector | Call | Aggregation | Binary


def parse(query: str) -> Expression:
    """The tree of a query.

    Raises
    ------
    QueryError
        If it is not of the part that is known here.
    """
    reader = _Reader(query)
    found = reader.alternatives()
    reader.end()
    return found


class _Reader:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, query: str) -> None:
        self._tokens = list(_tokens(query))
        self._at = 0

    def alternatives(self) -> Expression:
        found = self._comparison()
        while self._took("or"):
            found = Binary("or", found, self._comparison())
        return found

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise QueryError(f"unexpected or unsupported: {self._tokens[self._at][1]!r}")

    def _comparison(self) -> Expression:
        found = self._sum()
        while (operator := self._took(*COMPARISONS)) is not None:
            as_bool = self._took("bool") is not None
            found = Binary(operator, found, self._sum(), as_bool)
        return found

    def _sum(self) -> Expression:
        found = self._product()
        while (operator := self._took("+", "-")) is not None:
            found = Binary(operator, found, self._product())
        return found

    def _product(self) -> Expression:
        found = self._signed()
        while (operator := self._took("*", "/", "%")) is not None:
            found = Binary(operator, found, self._signed())
        return found

    def _signed(self) -> Expression:
        if self._took("-"):
            return Binary("-", Number(0.0), self._signed())
        return self._primary()

    def _primary(self) -> Expression:
        kind, word = self._next()
        if kind == "number":
            return Number(float(word))
        if word == "(":
            found = self.alternatives()
            self._expect(")")
            return found
        if word == "{":
            self._at -= 1
            return self._selector("")
        if kind != "name":
            raise QueryError(f"unexpected or unsupported: {word!r}")
        if word in AGGREGATIONS:
            return self._aggregation(word)
        if self._is("("):
            return self._call(word)
        return self._selector(word)

    def _aggregation(self, operator: str) -> Expression:
        grouping = self._grouping()
        self._expect("(")
        inner = self.alternatives()
        self._expect(")")
        labels, without = grouping or self._grouping() or ((), False)
        return Aggregation(operator, labels, without, inner)

    def _grouping(self) -> tuple[tuple[str, ...], bool] | None:
        word = self._took("by", "without")
        if word is None:
            return None
        self._expect("(")
        labels = []
        while not self._took(")"):
            labels.append(self._next("name")[1])
            if not self._is(")"):
                self._expect(",")
        return tuple(labels), word == "without"

    def _call(self, function: str) -> Expression:
        if function not in FUNCTIONS:
            raise QueryError(f"unknown or unsupported function: {function}")
        self._expect("(")
        arguments = [self.alternatives()]
        while self._took(","):
            arguments.append(self.alternatives())
        self._expect(")")
        ranged = isinstance(arguments[0], Selector) and arguments[0].seconds is not None
        if (function in RANGE_FUNCTIONS) != ranged:
            raise QueryError(f"{function} {'takes' if not ranged else 'does not take'} a range")
        if len(arguments) != (2 if function == "histogram_quantile" else 1):
            raise QueryError(f"{function} has another number of arguments")
        return Call(function, tuple(arguments))

    def _selector(self, name: str) -> Expression:
        matchers = [Matcher("__name__", "=", name)] if name else []
        if self._took("{"):
            while not self._took("}"):
                label = self._next("name")[1]
                operator = self._took("=~", "!~", "!=", "=")
                if operator is None:
                    raise QueryError(f"no operator after the label {label}")
                matchers.append(Matcher(label, operator, _unquoted(self._next("text")[1])))
                if not self._is("}"):
                    self._expect(",")
        if not matchers:
            raise QueryError("a selector needs a name or a label")
        seconds = None
        if self._took("["):
            seconds = _seconds(self._next("duration")[1])
            self._expect("]")
        return Selector(tuple(matchers), seconds)

    def _next(self, kind: str | None = None) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise QueryError("the query ends too early")
        token = self._tokens[self._at]
        if kind is not None and token[0] != kind:
            raise QueryError(f"unexpected or unsupported: {token[1]!r}")
        self._at += 1
        return token

    def _is(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][1] == word

    def _took(self, *words: str) -> str | None:
        for word in words:
            if self._is(word):
                self._at += 1
                return word
        return None

    def _expect(self, word: str) -> None:
        if not self._took(word):
            raise QueryError(f"expected {word!r}")


def _tokens(query: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while query[at:].strip():
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            raise QueryError(f"unexpected or unsupported: {query[at:].strip()[:20]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _seconds(duration: str) -> float:
    return sum(float(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhd])", duration))
