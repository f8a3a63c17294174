"""Does a query read only what its namespace is said of? Pure.

PromQL is not understood here, only cut into its words: a rule that is simple and strict instead of one that is clever. Every
series must be selected with braces, every pair of braces must hold the matcher ``namespace="{namespace}"``, and every word that
stands alone must be one of the language's own. What is not known for sure is refused, with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<interval>\{interval\})
  | (?P<number>(?:[0-9]|[.][0-9])[\w.]*)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<mark>=~|!~|==|!=|>=|<=|[-+*/%^(){}\[\],=<>@])
)""",
    re.VERBOSE,
)
_GROUPING = ("by", "without", "on", "ignoring", "group_left", "group_right")
_OPERATORS = ("and", "or", "unless", "atan2", "group_left", "group_right", "offset")
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
_JOINS = ("info",)
"""Functions that read series which no selector names."""

Token = tuple[str, str]
"""A word of the query, after its kind."""


class ScopeError(ValueError):
    """A query that may read another namespace's series, or of which that is not certain."""


def check_scope(query: str, labels: Sequence[str]) -> None:
    """Check that a query selects no series but with the resource's namespace.

    Parameters
    ----------
    query
        PromQL with placeholders.
    labels
        The labels that say a series' namespace: one of them must be matched, by ``=`` and the placeholder alone.

    Raises
    ------
    ScopeError
        It does, or may; the message says what to write.
    """
    found = _Reader(query, labels)
    found.read()
    if not found.selectors:
        raise ScopeError(f"it selects no series: write {found.matcher} in braces after a metric's name")


class _Reader:
    """One way through the words of a query, from the left."""

    def __init__(self, query: str, labels: Sequence[str]) -> None:
        self._tokens = list(_tokens(query))
        self._labels = labels
        self._at = 0
        self.selectors = 0

    @property
    def matcher(self) -> str:
        """What every selector needs."""
        return " or ".join(f'{label}="{{namespace}}"' for label in self._labels)

    def read(self) -> None:
        while self._at < len(self._tokens):
            kind, word = self._tokens[self._at]
            before, after = self._word(-1), self._word(1)
            self._at += 1
            if word == "{":
                self._selector()
            elif word == "[":
                self._range()
            elif kind == "interval":
                raise ScopeError("write {interval} in square brackets, as a range")
            elif kind == "word":
                self._alone(word, before, after)

    def _word(self, away: int) -> str:
        """The word so far away from the present one; empty beyond the ends."""
        place = self._at + away
        return self._tokens[place][1] if 0 <= place < len(self._tokens) else ""

    def _alone(self, word: str, before: str, after: str) -> None:
        """A word outside of braces: a function, a grouping, an operator, or a metric with its selector."""
        operand = before in (")", "}", "]") or before[:1].isdigit()
        if word.lower() in _GROUPING and after == "(":
            self._labels_of_grouping()
        elif word.lower() in _JOINS:
            raise ScopeError(f"{word} reads series that no selector names: it is not taken")
        elif after in ("(", "{") or after.lower() in ("by", "without"):
            return
        elif not (
            (word.lower() in _OPERATORS and operand) or (word.lower() == "bool" and before in _COMPARISONS)
        ):
            raise ScopeError(f"{word} is selected without a namespace: write {word}{{{self.matcher}}}")

    def _labels_of_grouping(self) -> None:
        self._at += 1
        while (word := self._next())[1] != ")":
            if word[0] != "word" and word[1] != ",":
                raise ScopeError(f"{word[1]} stands where labels are grouped by")

    def _range(self) -> None:
        while (word := self._next())[1] != "]":
            if word[0] not in ("number", "interval") and not word[1].startswith(":"):
                raise ScopeError(f"{word[1]} stands in a range: write a duration, or {{interval}}")

    def _selector(self) -> None:
        """Matchers between commas; none of them may widen the others."""
        scoped, first = False, True
        while (label := self._next())[1] != "}":
            if not first:
                if label[1] != ",":
                    raise ScopeError(f"{label[1]} stands in a selector: separate its matchers by commas")
                label = self._next()
                if label[1] == "}":
                    break
            first = False
            scoped = self._matcher(label) or scoped
        if not scoped:
            raise ScopeError(f"a selector needs {self.matcher}")
        self.selectors += 1

    def _matcher(self, label: Token) -> bool:
        """Read one matcher, or a metric's name in quotes; whether it is the one that is asked for."""
        if label[0] == "text" and self._word(0) in (",", "}"):
            return False
        operator, value = self._next()[1], self._next()
        if label[0] not in ("word", "text") or operator not in ("=", "!=", "=~", "!~") or value[0] != "text":
            raise ScopeError(f"{label[1]} {operator} {value[1]} is no matcher")
        named = label[1].strip("\"'") in self._labels
        return named and operator == "=" and value[1][1:-1] == "{namespace}"

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise ScopeError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(query: str) -> Iterator[Token]:
    at = 0
    while query[at:].strip():
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            raise ScopeError(f"{query[at:].strip()[:20]!r} is not understood")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()
