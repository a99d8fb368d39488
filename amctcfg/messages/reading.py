# SPDX-License-Identifier: Apache-2.0
"""Syntax tree to messages: one walker over the fields of any schema, which collects every error and goes on."""

from __future__ import annotations

from collections import defaultdict

from .._typing import TYPE_CHECKING
from ..textformat.literals import unescape
from ..textformat.tree import List as ListValue
from ..textformat.tree import (
    MessageList,
    Tree,
    expand_field,
    iter_raw_fields,
    mark_offsets,
    name_offsets,
    split,
    split_simple,
)
from .field import REPEATED
from .kinds import STRING
from .message import construct, find_problems, word_out_of_range

if TYPE_CHECKING:
    from typing import Any, Callable, Type

    from ..diagnostics.diagnostic import Diagnostic, Path, Severity
    from ..textformat.tree import Field as TreeField
    from .field import Field
    from .kinds import Wording
    from .message import Message, Problem

    Unknown = Callable[[Type[Message], str], Wording]  # the wording for a field that a message does not have


ERROR: Severity = "error"
WARNING: Severity = "warning"


class Reading:
    """A tree read as a message of a class.

    Where something in the text has an error, `config` is partial: an optional field that could not be read is absent, and
    a required one or an element None.

    With `strict=False`, as the toolkit reads: the last of several scalars and the last member of a oneof win, messages
    given twice are merged, a missing name is empty and a missing block is an empty one; each such leniency is a warning.
    """

    def __init__(self, tree: Tree, root: type[Message], strict: bool, unknown: Unknown) -> None:
        self.tree: Tree = tree
        self.strict: bool = strict
        self.unknown: Unknown = unknown
        self.foreign: bool = False  # whether it is another kind of file altogether
        self.broken: set[Path] = set()  # the paths of the errors
        self.diagnostics: list[Diagnostic] = []  # all errors and warnings, in order
        # Blocks by their text, those without a diagnostic: files repeat them.
        self.blocks: dict[type[Message], dict[str, Any]] = defaultdict(dict)
        self.firsts: dict[Path, str] = {}
        self.in_force: bool = True  # false in a member of a oneof that another one replaces
        end = len(tree.source.text)
        self.config: Any = self._read_shared_message(root, (None, tree.fields, end, end), ())
        self.diagnostics.sort(key=lambda d: d.span or ())

    def _read_shared_message(self, cls: type[Message], field: TreeField, path: Path) -> Any:
        """Return the message that a field holds; one that was read before, where the same text stands again."""
        if not (cls.__schema__.only_optional and self.strict):  # read leniently, a message may go on elsewhere
            return self._read_message(cls, expand_field(field), path)
        if type(field[1]) is str:
            text, message = field[1], self._read_simple_message(cls, field[1])
        else:
            text = self.tree.source.text[field[2] : field[3]]
            message = self.blocks[cls].get(text)
        if message is None:
            reported = len(self.diagnostics)
            message = self._read_message(cls, expand_field(field), path)
            if len(self.diagnostics) == reported:
                self.blocks[cls][text] = message
        return message

    def _read_simple_message(self, cls: type[Message], text: str) -> Any:
        """Read the text of a simple message, such as `{ a: 1 }`: a fast path of `_read_message`. None where there may be anything to report."""
        blocks, schema = self.blocks[cls], cls.__schema__
        if text in blocks or not schema.only_optional:
            return blocks.get(text)
        given = split_simple(text)
        values: dict[str, Any] = {}
        for name, raw in given:
            spec = schema.fields.get(name)
            if spec is None or (spec.is_message and raw[0] != "{"):
                return None
            value = self._read_simple_message(spec.kind, raw) if spec.is_message else spec.read(raw)
            if value is None:
                return None
            values[name] = value
        if len(values) < len(given) or find_problems(cls, values, in_range=True):
            return None
        message = blocks[text] = construct(cls, {**schema.blank, **values})
        return message

    def _read_message(self, cls: type[Message], field: TreeField, path: Path) -> Any:
        schema = cls.__schema__
        specs = schema.fields
        fields = field[1] if self.strict else self.unify(cls, field[1], path)
        values: dict[str, Any] = {}
        given: dict[str, TreeField] = {}  # the last of each singular field
        for element in iter_raw_fields(fields):
            name, raw, _, _ = element
            spec = specs.get(name)
            if spec is None:
                code, message, hint, replacement = self.unknown(cls, name)
                self.report(code, message, name_offsets(element), (*path, name), hint, replacement)
            elif spec.label == REPEATED:
                self.extend(spec, values.setdefault(name, []), element, path)
            else:
                if name in given:
                    self.report_duplicate_field(spec, element, fields, path)
                    self.report_replaced_value(spec, values[name], given[name], path)
                given[name] = element
                value = spec.read(raw) if type(raw) is str and not spec.is_message else None  # the common case
                values[name] = self.read_value(spec, element, (*path, name)) if value is None else value
        for name in schema.required:
            if name not in values:
                self.report_missing_field(cls, specs[name], field, path, values)
        found = find_problems(cls, values) if self.in_force else []
        if found:
            self.report_problems(found, fields, path)
            values.update({str(p.path[0]): None for p in found if len(p.path) == 1 and p.code == "out-of-range"})
        for name in schema.repeated:
            if name in values:
                values[name] = tuple(values[name])
        return construct(cls, {**schema.blank, **values})

    def unify(self, cls: type[Message], fields: tuple[Any, ...], path: Path) -> tuple[Any, ...]:
        """Return the fields with each singular message that is given several times as one, and one member of each oneof."""
        parts: dict[str, list[Any]] = {}  # the fields of each singular message
        chosen: dict[str, str] = {}  # the member of each oneof
        result: dict[Any, TreeField] = {}
        for number, element in enumerate(split(fields)):
            name, value, _, _ = element
            spec = cls.__schema__.fields.get(name)
            if spec is None or not spec.is_message or spec.label == REPEATED or type(value) is not tuple:
                result[number] = element
                continue
            if spec.oneof:
                lost: Any = chosen.get(spec.oneof, name)
                if lost != name:
                    self.report_conflicting_field(lost, element, path)
                    self.report_replaced_member(cls.__schema__.fields[lost], result.pop(lost), parts.pop(lost), path)
                chosen[spec.oneof] = name
            if name in parts:
                self.report_duplicate_field(spec, element, fields, path)
                parts[name].extend(value)
            else:
                parts[name] = list(value)
                result[name] = element
        merged = [(e[0], tuple(parts[key]), e[2], e[3]) if key in parts else e for key, e in result.items()]
        return tuple([entry for element in merged for entry in element])

    def report_replaced_member(self, spec: Field, field: TreeField, fields: list[Any], path: Path) -> None:
        """Report what isn't a value at all in a member of a oneof that does not count; ranges and rules judge what does."""
        self.in_force, before = False, self.in_force
        self._read_shared_message(spec.kind, (field[0], tuple(fields), field[2], field[3]), (*path, spec.name))
        self.in_force = before

    def report_replaced_value(self, spec: Field, value: Any, field: TreeField, path: Path) -> None:
        """Report a value out of range of a scalar that is given again; the rules see the last one alone."""
        if self.strict and value is not None and spec.within is not None and value not in spec.within:
            self.report_problems([word_out_of_range(spec.name, value, spec.within.words)], field, path)

    def extend(self, spec: Field, elements: list[Any], field: TreeField, path: Path) -> None:
        value = field[1]
        if type(value) is MessageList and not value and not spec.is_message:
            message, hint = "expected ':' after '{}'".format(spec.name), "write '{}: []'".format(spec.name)
            self.report("syntax", message, (field[2], field[3]), (*path, spec.name), hint)
        for element in iter_raw_fields(value) if isinstance(value, ListValue) else (field,):
            elements.append(self.read_value(spec, element, (*path, spec.name, len(elements))))

    def read_value(self, spec: Field, field: TreeField, path: Path) -> Any:
        """Return the value of one field or element; None where it is wrong."""
        raw = field[1]
        if type(raw) is str and spec.kind is STRING and raw[0] in "\"'":
            return self.read_string(raw, field, path)
        if spec.is_message and (type(raw) is tuple or (type(raw) is str and raw[0] == "{")):
            return self._read_shared_message(spec.kind, field, path)
        value = spec.kind.read(raw) if type(raw) is str and not spec.is_message else None
        if value is None:
            field = expand_field(field)
            code, message, hint, replacement = word_wrong_type(spec, field[1])
            self.report(code, message, mark_offsets(field), path, hint, replacement)
        return value

    def read_string(self, raw: str, field: TreeField, path: Path) -> str | None:
        quote = raw[0]
        if "\\" not in raw and raw[-1] == quote and raw.count(quote) == 2:
            return raw[1:-1]
        try:
            return unescape(raw).decode("utf-8")
        except UnicodeDecodeError as error:
            message = "the string's byte 0x{:02X} is not UTF-8".format(error.object[error.start])
            hint = "write the character itself, or as \\uXXXX"
            self.report("encoding", message, mark_offsets(field), path, hint)
            return None

    # ------------------------------------------------------------ what can be wrong

    def report(
        self,
        code: str,
        message: str,
        offsets: tuple[int, int],
        path: Path,
        hint: str | None = None,
        replacement: str | None = None,
        severity: Severity = ERROR,
    ) -> None:
        from ..diagnostics.diagnostic import Diagnostic  # only where there is something to report

        if severity == ERROR:
            self.broken.add(path)
        span, name = self.tree.source.span(*offsets), self.tree.source.name
        self.diagnostics.append(Diagnostic(severity, code, message, span, path, hint or None, name, replacement))

    def word_first_place(self, fields: Any, path: Path) -> str:
        """Say where a field stands that is given again."""
        if path not in self.firsts:
            start = next(element[2] for element in split(fields) if element[0] == path[-1])
            self.firsts[path] = "the first is at line {}".format(self.tree.source.span(start, start).line)
        return self.firsts[path]

    def report_duplicate_field(self, spec: Field, field: TreeField, fields: Any, path: Path) -> None:
        path = (*path, spec.name)
        hint = "keep one of the two; " + self.word_first_place(fields, path)
        message, severity = "'{}' is given twice".format(spec.name), ERROR
        if not self.strict:
            message += "; its fields are merged" if spec.is_message else "; the last value counts"
            severity = WARNING
        self.report("duplicate-field", message, name_offsets(field), path, hint, severity=severity)

    def report_conflicting_field(self, lost: str, field: TreeField, path: Path) -> None:
        message = "{} and {} exclude each other; the last one counts".format(lost, field[0])
        hint = "delete {}".format(lost)
        self.report("conflicting-fields", message, name_offsets(field), (*path, field[0]), hint, severity=WARNING)

    def report_missing_field(
        self, cls: type[Message], spec: Field, field: TreeField, path: Path, values: dict[str, Any]
    ) -> None:
        path = (*path, spec.name)
        if spec.is_message:
            example, counts_as = spec.name + " { ... }", "an empty one"
            values[spec.name] = construct(spec.kind, dict(spec.kind.__schema__.blank))
        else:
            example = "{}: {}".format(spec.name, spec.kind.example)
            counts_as, empty = ("the empty string", "") if spec.kind is STRING else ("0", 0)
            values[spec.name] = None if self.strict else empty
        message, severity = "{} has no '{}'".format(field[0] or cls.__name__, spec.name), ERROR
        if not self.strict:
            message, severity = "{}; it counts as {}".format(message, counts_as), WARNING
        self.report("missing-field", message, name_offsets(field), path, "add " + example, severity=severity)

    def report_problems(self, found: list[Problem], fields: tuple[Any, ...], path: Path) -> None:
        places = Tree(self.tree.source, fields)
        for problem in found:
            place = places.find_nearest(problem.path)
            hint = problem.hint
            if problem.first is not None:
                start = places.find_nearest(problem.first)[2]
                hint = "{}; the first is at line {}".format(hint, self.tree.source.span(start, start).line)
            self.report(problem.code, problem.message, mark_offsets(place), path + problem.path, hint)


def word_wrong_type(spec: Field, raw: Any) -> Wording:
    name = spec.name
    if spec.is_message:
        hint = "write '{} {{ ... }}'".format(name)
        if isinstance(raw, ListValue):
            return "wrong-type", "{} takes one message, not a list".format(name), hint, None
        return "wrong-type", "{} takes a message, not {}".format(name, raw), hint, None
    if isinstance(raw, ListValue):
        return "wrong-type", "{} takes one value, not a list".format(name), "write the value without brackets", None
    if isinstance(raw, tuple):
        hint = "write '{}: {}'".format(name, spec.kind.example)
        return "wrong-type", "{} takes a value, not a message".format(name), hint, None
    found: Wording = spec.kind.word_mismatch(name, raw)
    return found
