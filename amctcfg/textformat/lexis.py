# SPDX-License-Identifier: Apache-2.0
"""Lexical patterns that tools share with each other; the scanner's own are made of the grammar (`_tables`)."""

from __future__ import annotations

BLANK = r"[ \t\r\n\v\f]"  # white space between tokens
BLANK_IN_LINE = r"[ \t\r\v\f]"

COMMENT = r"#[^\n]*"

# What stands between the quotes of a string.
DOUBLE = r'(?:[^"\\\n]|\\[^\n])*'
SINGLE = r"(?:[^'\\\n]|\\[^\n])*"

STRING = "\"{}\"|'{}'".format(DOUBLE, SINGLE)
# A string that is not closed ends with its line: whoever skips strings must not begin anew at each quote in it.
STRING_OR_REST = "\"{}\"?|'{}'?".format(DOUBLE, SINGLE)
