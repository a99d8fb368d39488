# SPDX-License-Identifier: Apache-2.0
"""For the site: `Example:` of a docstring is a section of doctests, which Griffe knows as `Examples:`."""

import re
from typing import Any

import griffe


class Sections(griffe.Extension):
    """Renames the section in each docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
