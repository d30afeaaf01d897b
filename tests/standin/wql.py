"""The part of WQL that filters of Get-CimInstance use: comparisons of properties joined by AND and OR."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d+)|(?P<word>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign><>|!=|<=|>=|=|<|>|\(|\)))"
)
_QUERY = re.compile(r"\s*SELECT\s+\*\s+FROM\s+(\w+)(?:\s+WHERE\s+(.*))?\s*\Z", re.IGNORECASE | re.DOTALL)

Row = Mapping[str, Any]
Test = Callable[[Row], bool]


class InvalidQueryError(ValueError):
    """Windows would call it an invalid query."""


def split_query(query: str) -> tuple[str, str]:
    """The class and the condition of a query."""
    found = _QUERY.match(query)
    if found is None:
        raise InvalidQueryError(query)
    return found[1], found[2] or ""


def condition(text: str, properties: Mapping[str, str]) -> Test:
    """A test of rows. Raises InvalidQueryError, also for a property that the class does not have."""
    if not text.strip():
        return lambda row: True
    parser = _Parser(text, {name.casefold(): name for name in properties})
    test = parser.any_of()
    if parser.tokens:
        raise InvalidQueryError(text)
    return test


class _Parser:
    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._names = names
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise InvalidQueryError(text)
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._takes("OR"):
            tests.append(self._all_of())
        return lambda row: any(test(row) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._takes("AND"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._takes("("):
            test = self.any_of()
            if not self._takes(")"):
                raise InvalidQueryError(self._text)
            return test
        name = self._names.get(self._next("word").casefold())
        if name is None:
            raise InvalidQueryError(self._text)
        if self._takes("LIKE"):
            return _like(name, _unquoted(self._next("text")))
        sign = self._next("sign")
        return _comparison(name, sign, self._value())

    def _value(self) -> Any:
        kind, value = self.tokens.pop(0) if self.tokens else ("", "")
        if kind == "text":
            return _unquoted(value)
        if kind == "number":
            return int(value)
        if value.upper() in {"TRUE", "FALSE"}:
            return value.upper() == "TRUE"
        raise InvalidQueryError(self._text)

    def _takes(self, word: str) -> bool:
        if self.tokens and self.tokens[0][0] != "text" and self.tokens[0][1].upper() == word:
            self.tokens.pop(0)
            return True
        return False

    def _next(self, kind: str) -> str:
        if not self.tokens or self.tokens[0][0] != kind:
            raise InvalidQueryError(self._text)
        return self.tokens.pop(0)[1]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _comparison(name: str, sign: str, wanted: Any) -> Test:
    folded = _folded(wanted)

    def test(row: Row) -> bool:
        value = _folded(row[name])
        if value is None:
            return False
        if isinstance(value, list) or isinstance(value, str) != isinstance(folded, str):
            raise InvalidQueryError(f"{name} {sign} {wanted!r}")
        if sign == "=":
            return bool(value == folded)
        if sign in {"<>", "!="}:
            return bool(value != folded)
        return bool({"<": value < folded, ">": value > folded, "<=": value <= folded, ">=": value >= folded}[sign])

    return test


def _like(name: str, pattern: str) -> Test:
    shell = pattern.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("%", "*").replace("_", "?")
    return lambda row: row[name] is not None and fnmatch.fnmatchcase(str(row[name]).casefold(), shell.casefold())
