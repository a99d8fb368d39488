# SPDX-License-Identifier: Apache-2.0
"""Settings and helpers that all tests share."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from amctcfg import Layer
from amctcfg.cli import run

DATA = Path(__file__).parent / "data"

settings.register_profile("amctcfg", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("amctcfg")


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


def command(*arguments, stdin=b""):
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    status = run([str(a) for a in arguments], io.TextIOWrapper(io.BytesIO(stdin), "utf-8"), out, err)
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture
def cli():
    return command


def golden_cases():
    return json.loads((DATA / "toolkit_expansion.json").read_text(encoding="utf-8"))


def layers_of(case):
    return [Layer(**layer) for layer in case["layers"]]
