# SPDX-License-Identifier: Apache-2.0
"""A real browser for pages: what it shows after a script of the test's, and what it logs."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html import unescape

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

WRAPPER = """
const $ = selector => document.querySelector(selector), $$ = selector => [...document.querySelectorAll(selector)];
const visible = () => $$('#layers tbody tr').filter(row => row.getClientRects().length).map(row => row.cells[0].textContent);
const press = (key, target) => (target || document).dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
const type = words => { $('#search').value = words; $('#search').dispatchEvent(new Event('input')); return visible(); };
addEventListener('load', () => {
  let found;
  try { found = (() => {%s})(); } catch (error) { found = String(error); }
  document.documentElement.setAttribute('data-found', JSON.stringify(found));
});
"""


def look(page, folder, script, size=(1400, 1000)):
    """What a script finds on a page, and the lines of the console. The page's own policy stays; it admits this script, too."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    script = WRAPPER % script
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("script-src ", "script-src 'sha256-{}' ".format(allowed), 1)
    assert page.count("</body>") == 1
    path = folder / "page.html"
    path.write_text(page.replace("</body>", "<script>{}</script></body>".format(script)), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--user-data-dir=" + str(folder / "profile"), "--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=3000",
        "--window-size={},{}".format(*size), path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<html[^>]* data-found="([^"]*)"', done.stdout)
    logged = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(found.group(1))) if found else None, logged
