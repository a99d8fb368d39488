# SPDX-License-Identifier: Apache-2.0
"""Time grows with the input, not with its square: every public entry with the shapes that once were slow."""

import contextlib
import json
import time

import pytest

import amctcfg
from amctcfg import ConfigError, Layer
from amctcfg.documents.settings import Settings
from amctcfg.textformat import unescape
from amctcfg.tools.logs import read_log
from amctcfg.tuning.scores import from_history

from .conftest import THOROUGH

# Sizes that are compared with four times as many; seconds of CPU after which the smaller one is large enough; and those
# that are in order for the larger one however long the smaller one took.
FIRST, LARGEST, ENOUGH, SHORT = (100, 8000, 0.004, 0.06) if THOROUGH else (25, 250, 0.001, 0.015)
MOST = 9  # times as long: 4 where it is linear, 16 where it is quadratic
ATTEMPTS = 4  # the machine may be busy with something else


def layers(n):
    return [Layer("l{}".format(i), "Conv2D") for i in range(n)]


def lines(form, n, *more):
    return "".join(form.format(i) for i in range(n)) + "".join(more)


def override(block):
    return 'override_layer_configs {{ layer_name: "l{}" calibration_config {{ ' + block + " }} }}\n"


PAIR = "common_config { ifmr_quantize { search_step: 0.02 } }\n"
OF_TYPE = 'override_layer_types { layer_type: "Conv2D" calibration_config { arq_quantize { channel_wise: false } } }\n'

# What people and attackers write: each makes a text of a size.
TEXTS = {
    "equal entries": lambda n: 'skip_layers: "a"\n' * n,
    "equal entries on one line": lambda n: 'skip_layers: "a" ' * n,
    "a list of equal entries": lambda n: "skip_layers: [{}]".format(", ".join(['"a"'] * n)),
    "equal unknown fields": lambda n: 'skip_layerz: "a"\n' * n,
    "unknown fields": lambda n: lines("field{}: 1\n", n),
    "unknown names": lambda n: lines('skip_layers: "q{}"\n', n),
    "names": lambda n: lines('skip_layers: "l{}" ', n),
    "slips": lambda n: PAIR + "// a\n" * n,
    "full-width colons": lambda n: 'skip_layers： "a"\n' * n,
    "an unclosed string of escapes": lambda n: '# amctcfg: flavour=tf-ascend\nskip_layers: "' + '\\"' * n,
    "a closed string of escapes": lambda n: 'skip_layers: "' + "\\x41" * n + '"',
    "pieces of a string": lambda n: "skip_layers: 'a'" + " 'b'" * n,
    "ignores below the first field": lambda n: "do_fusion: true\n" + "# amctcfg: ignore=softened\n" * n,
    "unknown settings": lambda n: "# amctcfg: ignored=softened\n" * n,
    "comments": lambda n: "# a\n" * n,
    "overrides of one type": lambda n: OF_TYPE * n,
    "overrides of layers": lambda n: lines(override("ifmr_quantize {{ search_step: 0.03 }}"), n, PAIR, OF_TYPE),
    "overrides without effect": lambda n: lines(override(""), n),
    "overrides without a block": lambda n: lines('override_layer_configs {{ layer_name: "l{}" }}\n', n),
    "words for true": lambda n: lines(override("arq_quantize {{ channel_wise: yes }}"), n),
    "equal messages": lambda n: PAIR * n,
    "equal scalars": lambda n: "do_fusion: true\n" * n,
    "messages in messages": lambda n: "a {" * n + "}" * n,
    "messages in messages, unclosed": lambda n: "a {" * n,
    "lists in lists": lambda n: "a: [" * n,
    "blanks": lambda n: "a:" + " " * n,
    "separators": lambda n: "skip_layers: [" + " ," * n + "]",
    "numbers": lambda n: "batch_num: " + "1" * n,
}


def rendered(text):
    return str(ConfigError(amctcfg.check(text), text))


READERS = {
    "check": amctcfg.check,
    "check, leniently": lambda text: amctcfg.check(text, strict=False),
    "check on a model": lambda text: amctcfg.check(text, layers=layers(text.count("\n")), strict=False),
    "parse": amctcfg.parse,
    "loads": amctcfg.loads,
    "detect": amctcfg.detect,
    "format": amctcfg.format,
    "fix": amctcfg.fix,
    "fix, unsafe": lambda text: amctcfg.fix(text, layers(text.count("\n")), unsafe=True),
    "skip": lambda text: amctcfg.skip(text, ["b"]),
    "unskip": lambda text: amctcfg.unskip(text, ["l{}".format(i) for i in range(text.count('"l'))] + ["a"]),
    "settings": lambda text: Settings(text, "a.cfg").find_unused(()),
    "the text of an error": rendered,
    "a document": lambda text: repr(amctcfg.parse(text, strict=False)),
}


# Their work is a part of what others here do.
COVERED = ("check", "check, leniently", "check on a model", "parse", "loads", "fix")
USUAL = list(READERS) if THOROUGH else [name for name in READERS if name not in COVERED]


def plan_json(n):
    return amctcfg.expand(
        amctcfg.loads(lines(override("ifmr_quantize {{ search_step: 0.03 }}"), n)), layers(n)
    ).to_json()


def unfused_json(n):
    data = json.loads(plan_json(n))
    data["skip_fusion_layers"] = ["l{}".format(i) for i in range(n)]
    return json.dumps(data)


def blocks(n):
    return amctcfg.loads(lines(override("ifmr_quantize {{ search_step: 0.03 }}"), n))


def plans(n):
    return amctcfg.expand(blocks(n), layers(n)), amctcfg.expand(amctcfg.AMCTConfig(), layers(n))


# Entries that read something else: how an input of a size is made, and what is done with it.
OTHERS = {
    "read_plan": (plan_json, lambda text: amctcfg.read_plan(text, layers(text.count("quant_enable")))),
    "read_plan of layers not fused": (
        unfused_json,
        lambda text: amctcfg.read_plan(text, layers(text.count("quant_enable"))),
    ),
    "read_plan of one key": (
        lambda n: '{"version": 1, ' + ", ".join(['"x": 1'] * n) + "}",
        lambda text: amctcfg.read_plan(text, layers(1)),
    ),
    "read_plan of unknown keys": (
        lambda n: "{" + ", ".join('"x{}": 1'.format(i) for i in range(n)) + "}",
        lambda text: amctcfg.read_plan(text, layers(100)),
    ),
    "condense": (unfused_json, lambda text: amctcfg.condense(text, layers(text.count("quant_enable")))),
    "audit": (plans, lambda pair: amctcfg.audit(pair[0], pair[1].to_json())),
    "diff": (plans, lambda pair: amctcfg.diff(*pair)),
    "expand": (blocks, lambda config: amctcfg.expand(config, layers(len(config.override_layer_configs))).to_json()),
    "expand, its warnings": (
        blocks,
        lambda config: amctcfg.expand(config, layers(len(config.override_layer_configs))).warnings,
    ),
    "dumps": (blocks, amctcfg.dumps),
    "merge": (blocks, lambda config: amctcfg.merge(config, Layer("l0", "Conv2D")).origins["quant_enable"]),
    "explain": (plans, lambda pair: [amctcfg.explain(pair[0], name) for name in list(pair[0])[:3]]),
    "a log of unknown names": (
        lambda n: lines("Do layer x{} data calibration failed\n", n),
        lambda text: read_log(text, layers(text.count("\n")), amctcfg.TF_ASCEND),
    ),
    "a log of scopes": (
        lambda n: lines("Exit Infinite value before data quantization! [[x{}/act_quant/\n", n),
        lambda text: read_log(text, layers(text.count("\n")), amctcfg.TF_ASCEND),
    ),
    "a log of brackets": (lambda n: "[[" * 5 * n, lambda text: read_log(text, layers(1), amctcfg.TF_ASCEND)),
    "a history that names another layer in each step": (
        lambda n: [{"roll_back_config": {"l{}".format(i): True}} for i in range(n)],
        lambda steps: from_history(steps, "history.json"),
    ),
    "unescape": (lambda n: '"' + '\\"' * n, unescape),
}

# What reads models and files of its own has its own tests; what is left does next to nothing.
ELSEWHERE = {"dump", "load", "load_layers", "layers_from_graph", "layers_from_module", "dump_layers"}


def test_every_public_entry_is_here():
    public = {n for n in amctcfg.__all__ if callable(getattr(amctcfg, n)) and not isinstance(getattr(amctcfg, n), type)}
    there = {name.split()[0].rstrip(",") for name in (*READERS, *OTHERS)}
    assert public - ELSEWHERE <= there


def seconds(run, argument):
    began = time.process_time()
    with contextlib.suppress(ConfigError):
        run(argument)
    return time.process_time() - began


def assert_linear(make, run):
    size, before = FIRST, seconds(run, make(FIRST))
    while before < ENOUGH and size < LARGEST:
        size *= 2
        before = seconds(run, make(size))
    for _ in range(ATTEMPTS):
        after = seconds(run, make(4 * size))
        if after < max(SHORT, MOST * before):
            return
        before = seconds(run, make(size))
    pytest.fail("{} take {:.3f} s, {} {:.3f} s".format(size, before, 4 * size, after))


# Here fixes fail one by one until the budget is spent, for half a second; test_tools_edits.py counts what it is spent on.
SPENDING = ("equal unknown fields", "fix, unsafe")


@pytest.mark.parametrize("shape", TEXTS)
def test_texts(shape):
    for name in USUAL:
        if THOROUGH or (shape, name) != SPENDING:
            assert_linear(TEXTS[shape], READERS[name])


@pytest.mark.parametrize("name", OTHERS)
def test_other_inputs(name):
    assert_linear(*OTHERS[name])
