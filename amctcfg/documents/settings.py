# SPDX-License-Identifier: Apache-2.0
"""The settings that a file carries in comments: `# amctcfg: graph=frozen.pb flavour=pytorch`, `# amctcfg: ignore=CODE`."""

from __future__ import annotations

import re

from .._typing import TYPE_CHECKING
from ..diagnostics.source import Source
from ..textformat.lexis import STRING_OR_REST

if TYPE_CHECKING:
    from typing import Iterable

    from ..diagnostics.diagnostic import Diagnostic


MARK = "amctcfg:"
KEYS = ("graph", "flavour", "rules", "soc", "ignore")

# A comment with settings (a selection is compared with the model instead), another one, or a part of a field.
COMMENT_OR_PART = r"#+[^\S\n]*{}(?![^\S\n]*where=)([^\n]*)|#[^\n]*|{}|[^\s#\"'][^#\"']*".format(MARK, STRING_OR_REST)
TO_NEXT_PART = r"(?:\s|#[^\n]*\n)*(?=[^\s#])"
SETTING = r"""([^\s=]+)=("[^"]*"|[^\s]*)|(\S+)"""


class Settings:
    """The settings in the comments of a text."""

    def __init__(self, text: str, name: str) -> None:
        self.source: Source = Source(text, name)
        self.values: dict[str, str] = {}  # those of the head, which is the comments in front of the first field
        # The codes that are left out, each with the number of a line, or None for everywhere, and its offsets.
        self.ignored: list[tuple[str, int | None, int, int]] = []
        self.paths: list[tuple[int, int]] = []  # the offsets of the head's values that are paths
        self.diagnostics: list[Diagnostic] = []  # warnings about unknown settings
        if MARK in text:  # most files have none
            self.read(text)

    def read(self, text: str) -> None:
        head = True
        begin = 1 if text.startswith("\ufeff") else 0  # an error of its own
        behind = 0  # where the field behind a comment begins
        for match in re.compile(COMMENT_OR_PART).finditer(text, begin):
            if not match[0].startswith("#"):
                head = False
            elif match[1] is not None:
                in_front = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
                if behind < match.end():
                    between = re.compile(TO_NEXT_PART).match(text, match.end())
                    behind = between.end() if between else len(text)
                field = match.start() if in_front.strip() else behind
                line = None if head else self.source.span(field, field).line if field < len(text) else -1
                for setting in re.compile(SETTING).finditer(text, *match.span(1)):
                    if setting[0] in KEYS or setting[0].startswith("="):
                        self.report("a setting has no blanks around its '='", setting, "such as graph=frozen.pb")
                        break
                    self.read_setting(setting, line)

    def read_setting(self, match: re.Match[str], line: int | None) -> None:
        """Read a setting in the head, or one about a line: that of the field beside or below it, -1 where there is none."""
        key, value, bare = match.groups()
        value = (value or "").strip('"')
        if key == "ignore":
            for code in filter(None, value.split(",")):
                self.ignored.append((code, line, *match.span()))
                self.check_code(code, match)
        elif key in KEYS and line is None:
            self.values[key] = value
            if key == "graph":
                self.paths.append(match.span(2))
            elif key == "flavour":
                self.check_flavour(value, match)
        elif key in KEYS:
            self.report("{} has to be set in a comment before the first field".format(key), match)
        else:
            self.report_unknown("setting", key or bare, KEYS, match, "the settings are {}".format(", ".join(KEYS)))

    def check_code(self, code: str, match: re.Match[str]) -> None:
        from ..diagnostics.codes import CODES

        if code not in CODES:
            self.report_unknown("diagnostic", code, CODES, match)
        elif CODES[code].severity == "error":
            self.report("'{}' is an error; only warnings can be ignored".format(code), match)

    def check_flavour(self, value: str, match: re.Match[str]) -> None:
        from ..flavours import FLAVOURS

        if value not in FLAVOURS and value != "auto":
            self.report_unknown("flavour", value, FLAVOURS, match, "there are {}".format(", ".join(FLAVOURS)))

    def report_unknown(
        self, what: str, name: str, known: Iterable[str], match: re.Match[str], hint: str | None = None
    ) -> None:
        """Report an unknown name with the nearest known one, or else a hint."""
        from ..diagnostics.suggestions import did_you_mean, find_nearest

        self.report("there is no {} '{}'".format(what, name), match, did_you_mean(find_nearest(name, known)) or hint)

    def report(self, message: str, match: re.Match[str], hint: str | None = None) -> None:
        self.diagnostics.append(self.make_warning("unknown-setting", message, match.span(), hint))

    def make_warning(self, code: str, message: str, place: tuple[int, int], hint: str | None) -> Diagnostic:
        from ..diagnostics.diagnostic import WARNING, Diagnostic

        return Diagnostic(WARNING, code, message, self.source.span(*place), hint=hint, name=self.source.name)

    def without_ignored(self, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Return the diagnostics that no comment leaves out, and those about the settings themselves."""
        from ..diagnostics.diagnostic import sort_key_of

        ignored = {(code, line) for code, line, _, _ in self.ignored}
        kept = [d for d in (*found, *self.diagnostics) if ignored.isdisjoint(list_ways_to_ignore(d))]
        return tuple(sorted(kept, key=sort_key_of))

    def find_unused(self, found: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Return a warning for each `ignore` that leaves nothing out of these diagnostics."""
        used = {way for diagnostic in found for way in list_ways_to_ignore(diagnostic)}
        words = "this leaves out '{}', of which there is none"
        return [
            self.make_warning("unused-ignore", words.format(code), (start, end), "delete it")
            for code, line, start, end in self.ignored
            if (code, line) not in used
        ]


def list_ways_to_ignore(diagnostic: Diagnostic) -> list[tuple[str, int | None]]:
    """Return what leaves a diagnostic out: its code, for everywhere and for its line; nothing of an error."""
    if diagnostic.severity != "warning":
        return []
    return [(diagnostic.code, None), (diagnostic.code, diagnostic.span.line if diagnostic.span else 0)]
