# SPDX-License-Identifier: Apache-2.0
"""For the site: the pages under `zh/` are marked as Chinese, and so are the words of the theme around them."""

from typing import Any


def on_page_context(context: Any, page: Any, config: Any, **_: Any) -> None:
    """Sets the language of the page that is written next."""
    config.theme["language"] = "zh" if page.url.startswith("zh/") else "en"
