# SPDX-License-Identifier: Apache-2.0
"""Syntax tree to messages: one walker over the field specifications, which collects every error."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type

from .diagnostics import ERROR, WARNING, Diagnostic, Path
from .foreign import unknown_field_hint
from .schema import REPEATED, REQUIRED, AMCTConfig, FieldSpec, Message, Problem, trusted
from .textformat import List as ListValue
from .textformat import Message as MessageValue
from .textformat import MessageList, Tree, parse_bool, parse_float, unescape
from .textformat.tree import Field, find

__all__ = ["bind"]

UNREADABLE = None  # the value of a scalar or message with an error of its own


def bind(tree: Tree, strict: bool = True) -> Tuple[Optional[AMCTConfig], List[Diagnostic]]:
    """The configuration that a tree holds, or None where it has errors, and all that is to be said about it.

    With `strict=False`, as the toolkit reads: the last of several scalars wins, messages given twice are merged, a
    missing name is empty and a missing block is an empty one; each such leniency is a warning.
    """
    binder = Binder(tree, strict)
    end = len(tree.source.text)
    config = binder.message(AMCTConfig, (None, tree.fields, end, end), ())
    binder.diagnostics.sort(key=lambda d: d.span or ())
    return (None if binder.failed else config), binder.diagnostics


class Binder:
    def __init__(self, tree: Tree, strict: bool) -> None:
        self.tree = tree
        self.source = tree.source
        self.strict = strict
        self.failed = False
        self.diagnostics: List[Diagnostic] = []
        self.floats: Dict[str, Optional[float]] = {}  # literal to value: files repeat theirs

    def message(self, cls: Type[Message], field: Field, path: Path) -> Any:
        """The message that a field holds; UNREADABLE where something in it is wrong."""
        fields = field[1]
        specs, values = cls.specs, {}  # type: Dict[str, FieldSpec], Dict[str, Any]
        seen: Dict[str, Field] = {}
        failed = False
        for element in fields:
            name = element[0]
            spec = specs.get(name)
            if spec is None:
                self.unknown_field(cls, element, path)
                failed = True
                continue
            if spec.label == REPEATED:
                failed |= self.extend(spec, values.setdefault(name, []), element, path)
                continue
            if name in seen:
                self.duplicate_field(spec, element, path)
                failed |= self.strict
            seen[name] = element if self.strict or name not in seen else merged(seen[name], element)
            values[name] = self.value(spec, seen[name], (*path, name))
            failed |= values[name] is UNREADABLE
        for spec in specs.values():
            if spec.label == REQUIRED and spec.name not in values:
                failed |= self.missing_field(cls, spec, field, path)
                values[spec.name] = "" if spec.kind is str else trusted(spec.kind, {})
        for name in specs:
            if type(values.get(name)) is list:
                values[name] = tuple(values[name])
        for problem in cls.problems(values):
            self.problem(problem, fields, path)
            failed = True
        if failed:
            self.failed = True
            return UNREADABLE
        return trusted(cls, values)

    def extend(self, spec: FieldSpec, elements: List[Any], field: Field, path: Path) -> bool:
        """Add what one occurrence of a repeated field holds; whether that failed."""
        value = field[1]
        before = len(elements)
        if type(value) is MessageList and not value and not spec.is_message:
            self.needs_colon(spec, field, path)
            elements.append(UNREADABLE)
        for element in value if isinstance(value, ListValue) else (field,):
            elements.append(self.value(spec, element, (*path, spec.name, len(elements))))
        return UNREADABLE in elements[before:]

    def value(self, spec: FieldSpec, field: Field, path: Path) -> Any:
        raw = field[1]
        if spec.is_message:
            return (
                self.message(spec.kind, field, path)
                if type(raw) is MessageValue
                else self.wrong_type(spec, field, path)
            )
        value: Any = None
        if type(raw) is not str:
            pass
        elif spec.kind is float:
            if raw not in self.floats:
                self.floats[raw] = parse_float(raw)
            value = self.floats[raw]
        elif spec.kind is bool:
            value = parse_bool(raw)
        elif raw[0] in "\"'":
            return self.string(raw, field, path)
        return self.wrong_type(spec, field, path) if value is None else value

    def string(self, raw: str, field: Field, path: Path) -> Optional[str]:
        quote = raw[0]
        if "\\" not in raw and raw[-1] == quote and raw.count(quote) == 2:
            return raw[1:-1]
        try:
            return unescape(raw).decode("utf-8")
        except UnicodeDecodeError as error:
            message = "the string's byte 0x{:02X} is not UTF-8".format(error.object[error.start])
            hint = "write the character itself, or as \\uXXXX"
            self.report("encoding", message, value_offsets(field), path, hint)
            return UNREADABLE

    # ------------------------------------------------------------ what can be wrong

    def report(self, code: str, message: str, offsets: Tuple[int, int], path: Path, hint: Optional[str] = None) -> None:
        self.failed = True
        self.diagnose(ERROR, code, message, offsets, path, hint)

    def diagnose(
        self, severity: str, code: str, message: str, offsets: Tuple[int, int], path: Path, hint: Optional[str]
    ) -> None:
        span = self.source.span(*offsets)
        self.diagnostics.append(Diagnostic(severity, code, message, span, path, hint, self.source.name))

    def unknown_field(self, cls: Type[Message], field: Field, path: Path) -> None:
        name, _, start, _ = field
        message = "{} has no field '{}'".format(cls.__name__, name)
        hint = unknown_field_hint(cls, name)
        self.report("unknown-field", message, (start, start + len(name)), (*path, name), hint)

    def duplicate_field(self, spec: FieldSpec, field: Field, path: Path) -> None:
        name, _, start, _ = field
        offsets, path = (start, start + len(name)), (*path, name)
        if self.strict:
            self.report("duplicate-field", "'{}' is given twice".format(name), offsets, path, "keep one of the two")
        else:
            rule = "its fields are merged" if spec.is_message else "the last value counts"
            message = "'{}' is given twice; {}".format(name, rule)
            self.diagnose(WARNING, "duplicate-field", message, offsets, path, "keep one of the two")

    def missing_field(self, cls: Type[Message], spec: FieldSpec, field: Field, path: Path) -> bool:
        name, _, start, _end = field
        offsets = (start, start + len(name)) if name else (start, start + 1)
        message = "{} has no '{}'".format(name or cls.__name__, spec.name)
        hint = "add {}".format("{} {{ ... }}".format(spec.name) if spec.is_message else '{}: "..."'.format(spec.name))
        if self.strict:
            self.report("missing-field", message, offsets, (*path, spec.name), hint)
        else:
            message += "; it counts as {}".format("an empty one" if spec.is_message else "the empty string")
            self.diagnose(WARNING, "missing-field", message, offsets, (*path, spec.name), hint)
        return self.strict

    def wrong_type(self, spec: FieldSpec, field: Field, path: Path) -> None:
        raw = field[1]
        message, hint = wrong_type_words(spec, raw)
        offsets = value_offsets(field)
        if not isinstance(raw, str):
            name, start = field[0] or "", field[2]
            offsets = (start, start + max(len(name), 1))
        self.report("wrong-type", message, offsets, path, hint)

    def needs_colon(self, spec: FieldSpec, field: Field, path: Path) -> None:
        name, _, start, end = field
        message = "expected ':' after '{}'".format(name)
        self.report("syntax", message, (start, end), (*path, name), "write '{}: []'".format(name))

    def problem(self, problem: Problem, fields: MessageValue, path: Path) -> None:
        place = find([(None, fields, 0, 0)], problem.path)
        assert place is not None  # a problem is always put down to a field that is there
        self.report(problem.code, problem.message, value_offsets(place), path + problem.path, problem.hint)


def wrong_type_words(spec: FieldSpec, raw: Any) -> Tuple[str, Optional[str]]:
    name = spec.name
    if spec.is_message:
        found = "a list" if isinstance(raw, ListValue) else raw
        if isinstance(raw, ListValue):
            return "{} takes one message, not a list".format(name), "write '{} {{ ... }}'".format(name)
        return "{} takes a message, not {}".format(name, found), "write '{} {{ ... }}'".format(name)
    if isinstance(raw, MessageValue):
        example = {str: '"..."', bool: "true", float: "0.7"}[spec.kind]
        return "{} takes a value, not a message".format(name), "write '{}: {}'".format(name, example)
    if isinstance(raw, ListValue):
        return "{} takes one value, not a list".format(name), "write the value without brackets"
    quoted = raw[0] in "\"'"
    if spec.kind is bool:
        bare = raw.strip("\"'")
        meant = {"true": "true", "yes": "true", "on": "true", "y": "true", "1": "true"}.get(bare.lower())
        meant = meant or {"false": "false", "no": "false", "off": "false", "n": "false", "0": "false"}.get(bare.lower())
        hint = "write {}".format("{} without quotes".format(meant) if meant and quoted else meant or "true or false")
        return "{} is true or false, not {}".format(name, raw), hint
    if spec.kind is float:
        hint = "write the number without quotes" if quoted else "write a decimal number such as 0.7"
        return "{} is a decimal number, not {}".format(name, raw), hint
    return "{} is a string, not {}".format(name, raw), 'put it in quotes: "{}"'.format(raw)


def value_offsets(field: Field) -> Tuple[int, int]:
    """Where a scalar's literal stands, or the whole field of another value."""
    _, value, start, end = field
    return (end - len(value), end) if isinstance(value, str) else (start, end)


def merged(first: Field, second: Field) -> Field:
    """Two occurrences of a singular field as one: messages are merged, of other values the last one counts."""
    if not type(first[1]) is type(second[1]) is MessageValue:
        return second
    return second[0], MessageValue(first[1] + second[1]), second[2], second[3]
