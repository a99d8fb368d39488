# SPDX-License-Identifier: Apache-2.0
"""The conformance corpus: texts for every rule of the format, each with its value or its error and place.

A case has a `rule`, a `text` (or `hex`, for bytes that are no text), and `is`, the configuration, or `error`, the code,
line and column of the first error. All of it was written down from the specification.
"""

import json

from .conftest import DATA

CASES = json.loads((DATA / "conformance.json").read_text(encoding="utf-8"))


def text_of(case):
    return bytes.fromhex(case["hex"]) if "hex" in case else case["text"]
