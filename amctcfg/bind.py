# SPDX-License-Identifier: Apache-2.0
"""Syntax tree to messages: one walker over the field specifications, which collects every error."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type

from .diagnostics import ERROR, WARNING, Diagnostic, Path
from .foreign import unknown_field_hint
from .schema import REPEATED, AMCTConfig, FieldSpec, Message, Problem, trusted
from .source import Source
from .textformat import List as ListValue
from .textformat import MessageList, Tree, split, unescape
from .textformat.tree import Field, mark_offsets, name_offsets

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
    return (None if binder.errors else config), binder.diagnostics


class Binder:
    def __init__(self, tree: Tree, strict: bool) -> None:
        self.source: Source = tree.source
        self.strict: bool = strict
        self.errors: int = 0
        self.diagnostics: List[Diagnostic] = []
        self.hints: Dict[Tuple[Type[Message], str], Optional[str]] = {}  # for unknown fields
        # Blocks by their text, those with nothing to tell about: files repeat them.
        self.blocks: Dict[Tuple[Type[Message], str], Any] = {}

    def message(self, cls: Type[Message], field: Field, path: Path) -> Any:
        """The message that a field holds; UNREADABLE where something in it is wrong."""
        if not (cls.messages_only and self.strict):  # read leniently, a message may go on elsewhere
            return self.read_message(cls, field, path)
        key = cls, self.source.text[field[2] : field[3]]
        if key in self.blocks:
            return self.blocks[key]
        told = len(self.diagnostics)
        message = self.read_message(cls, field, path)
        if len(self.diagnostics) == told:
            self.blocks[key] = message
        return message

    def read_message(self, cls: Type[Message], field: Field, path: Path) -> Any:
        specs = cls.specs
        fields = field[1] if self.strict else self.unified(cls, field[1], path)
        values: Dict[str, Any] = {}
        errors = self.errors
        for element in split(fields):
            name, raw, _, _ = element
            spec = specs.get(name)
            if spec is None:
                self.unknown_field(cls, element, path)
            elif spec.label == REPEATED:
                self.extend(spec, values.setdefault(name, []), element, path)
            else:
                if name in values:
                    self.duplicate_field(spec, element, path)
                value = spec.read(raw) if type(raw) is str and spec.read else UNREADABLE  # as nearly always
                values[name] = self.value(spec, element, (*path, name)) if value is UNREADABLE else value
        for name in cls.required:
            if name not in values:
                self.missing_field(cls, specs[name], field, path)
                values[name] = "" if specs[name].kind is str else trusted(specs[name].kind, {})
        for name in cls.repeated:
            if name in values:
                values[name] = tuple(values[name])
        found = list(cls.problems(values))
        if found:
            self.problems(found, fields, path)
        return trusted(cls, values) if self.errors == errors else UNREADABLE

    def unified(self, cls: Type[Message], fields: Tuple[Any, ...], path: Path) -> Tuple[Any, ...]:
        """The fields with each singular message that is given several times as one, in the place of the first."""
        whole: Dict[str, Tuple[int, List[Any]]] = {}  # where the value belongs, and its fields
        result: List[Any] = []
        for element in split(fields):
            name, value, _, _ = element
            spec = cls.specs.get(name)
            if spec is None or not spec.is_message or spec.label == REPEATED or type(value) is not tuple:
                result += element
            elif name in whole:
                self.duplicate_field(spec, element, path)
                whole[name][1].extend(value)
            else:
                whole[name] = len(result) + 1, list(value)
                result += element
        for place, merged in whole.values():
            result[place] = tuple(merged)
        return tuple(result)

    def extend(self, spec: FieldSpec, elements: List[Any], field: Field, path: Path) -> None:
        """Add what one occurrence of a repeated field holds."""
        value = field[1]
        if type(value) is MessageList and not value and not spec.is_message:
            self.needs_colon(spec, field, path)
        for element in split(value) if isinstance(value, ListValue) else (field,):
            elements.append(self.value(spec, element, (*path, spec.name, len(elements))))

    def value(self, spec: FieldSpec, field: Field, path: Path) -> Any:
        """The value of one field or element; UNREADABLE where it is wrong."""
        raw = field[1]
        if type(raw) is str and spec.kind is str and raw[0] in "\"'":
            return self.string(raw, field, path)
        if type(raw) is tuple and spec.is_message:
            return self.message(spec.kind, field, path)
        value = spec.read(raw) if type(raw) is str and spec.read else UNREADABLE
        if value is UNREADABLE:
            self.wrong_type(spec, field, path)
        return value

    def string(self, raw: str, field: Field, path: Path) -> Optional[str]:
        quote = raw[0]
        if "\\" not in raw and raw[-1] == quote and raw.count(quote) == 2:
            return raw[1:-1]
        try:
            return unescape(raw).decode("utf-8")
        except UnicodeDecodeError as error:
            message = "the string's byte 0x{:02X} is not UTF-8".format(error.object[error.start])
            hint = "write the character itself, or as \\uXXXX"
            self.report("encoding", message, mark_offsets(field), path, hint)
            return UNREADABLE

    # ------------------------------------------------------------ what can be wrong

    def report(self, code: str, message: str, offsets: Tuple[int, int], path: Path, hint: Optional[str] = None) -> None:
        self.errors += 1
        self.diagnose(ERROR, code, message, offsets, path, hint)

    def diagnose(
        self, severity: str, code: str, message: str, offsets: Tuple[int, int], path: Path, hint: Optional[str]
    ) -> None:
        span = self.source.span(*offsets)
        self.diagnostics.append(Diagnostic(severity, code, message, span, path, hint, self.source.name))

    def unknown_field(self, cls: Type[Message], field: Field, path: Path) -> None:
        name = field[0]
        message = "{} has no field '{}'".format(cls.__name__, name)
        if (cls, name) not in self.hints:
            self.hints[cls, name] = unknown_field_hint(cls, name)
        self.report("unknown-field", message, name_offsets(field), (*path, name), self.hints[cls, name])

    def duplicate_field(self, spec: FieldSpec, field: Field, path: Path) -> None:
        path = (*path, spec.name)
        if self.strict:
            message = "'{}' is given twice".format(spec.name)
            self.report("duplicate-field", message, name_offsets(field), path, "keep one of the two")
        else:
            rule = "its fields are merged" if spec.is_message else "the last value counts"
            message = "'{}' is given twice; {}".format(spec.name, rule)
            self.diagnose(WARNING, "duplicate-field", message, name_offsets(field), path, "keep one of the two")

    def missing_field(self, cls: Type[Message], spec: FieldSpec, field: Field, path: Path) -> None:
        path = (*path, spec.name)
        message = "{} has no '{}'".format(field[0] or cls.__name__, spec.name)
        hint = "add {}".format("{} {{ ... }}".format(spec.name) if spec.is_message else '{}: "..."'.format(spec.name))
        if self.strict:
            self.report("missing-field", message, name_offsets(field), path, hint)
        else:
            message += "; it counts as {}".format("an empty one" if spec.is_message else "the empty string")
            self.diagnose(WARNING, "missing-field", message, name_offsets(field), path, hint)

    def wrong_type(self, spec: FieldSpec, field: Field, path: Path) -> None:
        raw = field[1]
        message, hint = wrong_type_words(spec, raw)
        self.report("wrong-type", message, mark_offsets(field), path, hint)

    def needs_colon(self, spec: FieldSpec, field: Field, path: Path) -> None:
        name, _, start, end = field
        message = "expected ':' after '{}'".format(name)
        self.report("syntax", message, (start, end), (*path, name), "write '{}: []'".format(name))

    def problems(self, found: List[Problem], fields: Tuple[Any, ...], path: Path) -> None:
        places = Tree(self.source, fields)
        for problem in found:
            place = places.find_nearest(problem.path)
            self.report(problem.code, problem.message, mark_offsets(place), path + problem.path, problem.hint)


def wrong_type_words(spec: FieldSpec, raw: Any) -> Tuple[str, Optional[str]]:
    name = spec.name
    if spec.is_message:
        if isinstance(raw, ListValue):
            return "{} takes one message, not a list".format(name), "write '{} {{ ... }}'".format(name)
        return "{} takes a message, not {}".format(name, raw), "write '{} {{ ... }}'".format(name)
    if isinstance(raw, tuple):
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
