# SPDX-License-Identifier: Apache-2.0
"""Settings and helpers that all tests share."""

import gc
import io
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from amctcfg import Layer
from amctcfg.cli import run

DATA = Path(__file__).parent / "data"

# In the background of a shell interrupts are ignored, and every process that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
# Under CI hypothesis begins with a profile that draws the same examples for ever: derandomize is said here.
profile = dict(deadline=None, derandomize=False, print_blob=True, suppress_health_check=slow)
settings.register_profile("default", max_examples=20, **profile)
settings.register_profile("thorough", max_examples=200, **profile)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
THOROUGH = settings().max_examples == 200  # larger sizes, too, and the tests that are marked

# For laws that take a millisecond an example: five times as many.
often = settings(max_examples=5 * settings().max_examples)
# For laws that run once for each flavour, and those whose draws take long.
seldom = settings(max_examples=settings().max_examples // 4)


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked as thorough, unless the profile is, or -m says which tests to take."""
    if not THOROUGH and not config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("thorough")])
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_collection_finish():
    """What was imported stays: the garbage collector need not look at it again during each test."""
    gc.freeze()


def thorough(cases):
    """These cases of a test, for parametrize, marked as thorough."""
    return [pytest.param(*(one if type(one) is tuple else (one,)), marks=pytest.mark.thorough) for one in cases]


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


def command(*arguments, stdin=b""):
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    status = run([str(a) for a in arguments], io.TextIOWrapper(io.BytesIO(stdin), "utf-8"), out, err)
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture
def cli(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # which xdist sets
    return command


GOLDEN = {"tf-ascend": "toolkit_expansion.json", "pytorch": "pytorch_expansion.json"}

LACKS = {"bias": "int16", "int4": "int4"}  # what the toolkit's answers say of a layer that can't have something


def golden_cases(flavour="tf-ascend"):
    return json.loads((DATA / GOLDEN[flavour]).read_text(encoding="utf-8"))


def layers_of(case):
    found = []
    for row in case["layers"]:
        lacks = [LACKS[key] for key, value in row.items() if key in LACKS and value is False]
        found.append(Layer(row["name"], row["type"], row.get("supported", True), lacks))
    return found
