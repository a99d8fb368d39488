# SPDX-License-Identifier: Apache-2.0
"""How fast amctcfg is, as ratios against protobuf's own parser, both in one process and one run.

    python tests/bench/bench.py            all of it, some minutes; prints the table of tests/bench/README.md
    python tests/bench/bench.py --profile  where the time of reading goes

Each pair is measured alternately, and the median of the paired ratios is shown with their range.
"""

import argparse
import contextlib
import functools
import gc
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import google.protobuf
from google.protobuf import text_format

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import amctcfg  # noqa: E402
from amctcfg import Layer  # noqa: E402
from tests.dynamic_schema import file_descriptor, message_class  # noqa: E402


def configuration(overrides, distinct=False):
    """A file as people write them: a common block, and an override for each of many layers, one field a line.

    Sixty blocks take turns, or no two are the same.
    """
    parts = [
        "activation_offset : true\ncommon_config : {\n    ifmr_quantize : {\n        search_step : 0.01\n    }\n}\n"
    ]
    for n in range(overrides):
        parts.append(
            "override_layer_configs : {{\n"
            '    layer_name : "resnet/block{}/conv{}/Conv2D"\n'
            "    calibration_config : {{\n"
            "        arq_quantize : {{\n            channel_wise : true\n        }}\n"
            "        ifmr_quantize : {{\n"
            "            search_range_start : 0.{}\n            search_range_end : 1.{}\n"
            "            search_step : {}\n"
            "            max_percentile : 0.999999\n            min_percentile : 0.999999\n"
            "            asymmetric : {}\n"
            "        }}\n    }}\n}}\n".format(
                n // 10,
                n,
                70 + n % 20,
                20 + n % 30,
                "0.0{:05}".format(n + 1) if distinct else "0.02",
                "false" if n % 2 else "true",
            )
        )
    return "".join(parts)


def commented(text):
    """A file with two comments in each override: in front of it, and in its block."""
    text = text.replace("override_layer_configs", "# found by hand\noverride_layer_configs")
    return re.sub("(search_step : .*)", r"\1  # a step of the search", text)


def model(overrides, others):
    named = [Layer("resnet/block{}/conv{}/Conv2D".format(n // 10, n), "Conv2D") for n in range(overrides)]
    return named + [Layer("other{}".format(n), "MatMul") for n in range(others)]


def seconds(function):
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(theirs, ours, runs):
    """theirs / ours, pair by pair: median, least, most; and the median of ours."""
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(runs + 1)][1:]
    ratios = [a / b for a, b in pairs]
    return statistics.median(ratios), min(ratios), max(ratios), statistics.median(b for _, b in pairs)


def row(what, wanted, theirs, ours, runs=11):
    middle, least, most, own = ratio(theirs, ours, runs)
    print(
        "| {} | {} | **{:.2f}** | {:.2f} to {:.2f} | {:.2f} ms |".format(what, wanted, middle, least, most, own * 1e3),
        flush=True,
    )
    return middle


def repeated(function, times):
    return lambda: [function() for _ in range(times)]


def parsing(messages):
    seed = (ROOT / "tests" / "data" / "valid" / "sample.cfg").read_text(encoding="utf-8")
    for what, text, times, runs in (
        ("parse the seed's sample, 100 times", seed, 100, 21),
        ("parse 2,000 overrides, {:.1f} MB", configuration(2000), 1, 21),
        ("parse 20,000 overrides, {:.1f} MB", configuration(20000), 1, 7),
        ("parse 2,000 overrides, no two the same", configuration(2000, distinct=True), 1, 21),
        ("parse 20,000 overrides, no two the same", configuration(20000, distinct=True), 1, 7),
        ("parse 2,000 overrides, no two the same, with comments", commented(configuration(2000, distinct=True)), 1, 21),
    ):
        theirs = repeated(lambda text=text: text_format.Parse(text, messages()), times)
        row(what.format(len(text) / 1e6), "3", theirs, repeated(lambda text=text: amctcfg.parse(text), times), runs)


def parsing_pytorch():
    """PyTorch's dialect, against text_format with the descriptor that amctcfg exports for it."""
    messages = message_class(amctcfg.PYTORCH)
    for distinct in (False, True):
        text = configuration(2000, distinct)
        row(
            "PyTorch: parse 2,000 overrides, {}".format("no two the same" if distinct else "sixty that take turns"),
            "3",
            lambda text=text: text_format.Parse(text, messages()),
            lambda text=text: amctcfg.parse(text, flavour=amctcfg.PYTORCH),
            21,
        )
    document = amctcfg.parse(text, flavour=amctcfg.PYTORCH)
    layers = [Layer(layer.name, "Conv2d") for layer in model(2000, 0)]
    row(
        "PyTorch: expand 2,000 layers, against parsing that file",
        "9",
        lambda: text_format.Parse(text, messages()),
        lambda: amctcfg.expand(document, layers),
    )


def tree():
    """What reading the text as fields costs, against one regular expression that only finds the tokens."""
    token = re.compile(r"[ \t\r\n]+|\#[^\n]*|[A-Za-z_]\w*|[-+.\w]+|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|.")
    for distinct in (False, True):
        text = configuration(2000, distinct)
        row(
            "the tree only, {}, against one pattern over the text".format(
                "no two the same" if distinct else "sixty blocks"
            ),
            "",
            lambda text=text: [match.group() for match in token.finditer(text)],
            lambda text=text: amctcfg.textformat.parse(text),
            21,
        )


PROCESSES = {
    "nothing": ["-c", "pass"],
    "their import": ["-c", "import bench_pb2"],
    "our import": ["-c", "import amctcfg"],
    "their parse": ["-c", "import bench_pb2; bench_pb2.text_format.Parse('do_fusion: true', bench_pb2.M())"],
    "our parse": ["-c", "import amctcfg; amctcfg.parse('do_fusion: true')"],
    "argparse": ["-c", "import argparse, dataclasses"],
    "check a small file": ["-m", "amctcfg", "check", "small.cfg"],
    "check": ["-m", "amctcfg", "check", str(ROOT / "tests" / "data" / "valid" / "sample.cfg")],
}


def processes():
    """Whole processes, in turns; the bytecode is cached as it is in an installation."""
    with tempfile.TemporaryDirectory() as folder:
        source = "from google.protobuf import descriptor_pool as p, message_factory as m, text_format\n"
        source += "d = p.Default().AddSerializedFile({!r})\n".format(file_descriptor().SerializeToString())
        source += "M = m.GetMessageClass(p.Default().FindMessageTypeByName('amct.AMCTConfig'))\n"
        Path(folder, "bench_pb2.py").write_text(source, encoding="utf-8")
        Path(folder, "small.cfg").write_text('skip_layers: "conv1"  # the first\ndo_fusion: true\n', encoding="utf-8")
        environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join([folder, str(ROOT)]), PYTHONPYCACHEPREFIX=str(Path(folder, "cache"))
        )
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rounds = []
        for _ in range(32):
            rounds.append({})
            for name, arguments in PROCESSES.items():
                command = [sys.executable, *arguments]
                run = functools.partial(subprocess.run, command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
                rounds[-1][name] = seconds(run)
        del rounds[:2]

    def line(what, wanted, ours, theirs, less=None):
        ratios, own = [], []
        for times in rounds:
            base = times[less] if less else 0
            own.append(times[ours] - base)
            ratios.append(own[-1] / max(times[theirs] - base, 1e-9))
        spread = statistics.quantiles(ratios, n=10)
        text = "| {} | {} | **{:.2f}** times the time | {:.2f} to {:.2f} | {:.1f} ms |"
        print(
            text.format(what, wanted, statistics.median(ratios), spread[0], spread[-1], statistics.median(own) * 1e3),
            flush=True,
        )

    line("import, less the interpreter", "", "our import", "their import", "nothing")
    line("import and parse one line, less the interpreter", "under 0.95", "our parse", "their parse", "nothing")
    for what, name, wanted in (
        ("a small file", "check a small file", "under 2.3"),
        ("the seed's sample and its error", "check", "under 2.5"),
    ):
        words = "`amctcfg check` of {}, whole process, against `import argparse, dataclasses`".format(what)
        line(words, wanted, name, "argparse")


def expanding(messages):
    for distinct in (False, True):
        text = configuration(2000, distinct)
        document, layers = amctcfg.parse(text), model(2000, 500)
        blocks = "no two blocks the same" if distinct else "sixty blocks"
        theirs = functools.partial(text_format.Parse, text)
        row(
            "expand 2,500 layers, {}, against parsing that file".format(blocks),
            "9",
            lambda: theirs(messages()),
            lambda: amctcfg.expand(document, layers),
        )
        row(
            "the same to JSON",
            "3",
            lambda: theirs(messages()),
            lambda: amctcfg.expand(document, layers).to_json(),
        )
    other = amctcfg.parse(configuration(2000))
    row(
        "diff of two such files on 2,500 layers, against parsing one",
        "3",
        lambda: theirs(messages()),
        lambda: amctcfg.diff(document, other, layers),
    )
    quant_config = amctcfg.expand(document, layers).to_json()
    row(
        "condense that expansion, against parsing the file",
        "1",
        lambda: theirs(messages()),
        lambda: amctcfg.condense(quant_config, layers),
        5,
    )
    row(
        "check with a graph, against parse and expand",
        "0.5",
        lambda: amctcfg.expand(amctcfg.parse(text), layers),
        lambda: amctcfg.check(text, layers=layers),
    )


def suggesting():
    """Two thousand names that no layer has, against the same file with the right names."""
    text, layers = configuration(2000), model(2000, 500)
    wrong = text.replace("/conv", "/covn")
    middle, least, most, own = ratio(
        lambda: amctcfg.check(wrong, layers=layers), lambda: amctcfg.check(text, layers=layers), 5
    )
    print(
        "| 2,000 unknown names, each with its suggestion, against right names | under 50 | **{:.1f}** times the time "
        "| {:.1f} to {:.1f} | {:.0f} ms |".format(middle, least, most, own * middle * 1e3),
        flush=True,
    )


def many():
    """A hundred thousand overrides: the time to expand against the time to parse, and the memory of both."""
    text, layers = configuration(100000), model(100000, 0)
    document = amctcfg.parse(text)
    pairs = [
        (seconds(lambda: amctcfg.expand(document, layers)), seconds(lambda: amctcfg.parse(text))) for _ in range(5)
    ]
    ratios = [ours / base for ours, base in pairs]
    print(
        "| expand 100,000 overridden layers, against parsing their file | under 0.6 | **{:.2f}** times the time "
        "| {:.2f} to {:.2f} | {:.0f} ms |".format(
            statistics.median(ratios), min(ratios), max(ratios), statistics.median(own for own, _ in pairs) * 1e3
        ),
        flush=True,
    )
    del document
    tracemalloc.start()
    document = amctcfg.parse(text)
    parsed = tracemalloc.get_traced_memory()[0]
    plan = amctcfg.expand(document, layers)
    expanded, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del plan
    print(
        "| memory of 100,000 overrides, {:.0f} MB of text | | document {:.0f} MB, plan {:.0f} MB more, peak {:.0f} MB "
        "| | |".format(len(text) / 1e6, parsed / 1e6, (expanded - parsed) / 1e6, peak / 1e6),
        flush=True,
    )


def printing(messages):
    text = configuration(2000)
    message, config = text_format.Parse(text, messages()), amctcfg.loads(text)
    row(
        "dumps, against MessageToString",
        "1",
        lambda: text_format.MessageToString(message),
        lambda: amctcfg.dumps(config),
    )


def growth():
    for count in (1000, 10000):
        small, large = Job(count), Job(count * 10)
        what = "{:,} to {:,} overrides".format(count, count * 10)
        for name in ("parse", "expand"):
            times = statistics.median(seconds(getattr(large, name)) / seconds(getattr(small, name)) for _ in range(3))
            print("| {}, {} | under 14 | **{:.1f}** times the time | | |".format(name, what, times), flush=True)


class Job:
    """A file with many overrides, and a layer for each."""

    def __init__(self, count):
        self.text, self.layers = configuration(count), model(count, 0)
        self.document = amctcfg.parse(self.text)

    def parse(self):
        return amctcfg.parse(self.text)

    def expand(self):
        return amctcfg.expand(self.document, self.layers).to_json()


def memory():
    text = configuration(2000)
    amctcfg.loads(text)
    tracemalloc.start()
    amctcfg.loads(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print("| peak memory of loads | under 12 | **{:.1f}** times the text | | |".format(peak / len(text)))


UNITS = [
    "{",
    "}",
    "a{",
    "a<",
    "[",
    "a:[",
    "a:[{",
    '"',
    "'",
    "\\",
    "1",
    "1e",
    "-",
    "#",
    "#\n",
    '"a" ',
    "do_fusion: true\n",
    "a:1,",
    "a{b:1 ",
    "a{b{c:1}} ",
    "a{b{c:1 ",
]


def hostile():
    """The worst cost per byte of 200,000 repeated tokens, as a multiple of a normal file's."""
    usual = configuration(500)
    per_byte = statistics.median(seconds(lambda: amctcfg.loads(usual)) for _ in range(5)) / len(usual)
    worst, which = 0.0, ""
    for unit in UNITS:
        for before in ("", "skip_layers: ", 'skip_layers: "', "common_config{ifmr_quantize{search_step: "):
            text = before + unit * 200000
            cost = seconds(lambda text=text: attempt(text)) / len(text) / per_byte
            if cost > worst:
                worst, which = cost, before + unit
    print(
        "| hostile input, worst cost per byte | under 25 | **{:.1f}** times a normal file's ({!r}) | | |".format(
            worst, which
        )
    )


def attempt(text):
    with contextlib.suppress(amctcfg.ConfigError):
        amctcfg.loads(text)


def profile():
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(amctcfg.parse, configuration(2000))
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--profile", action="store_true")
    if arguments.parse_args().profile:
        return profile()
    runtime = google.protobuf.internal.api_implementation.Type()
    print(
        "Python {}, protobuf {} ({}), {}\n".format(
            platform.python_version(), google.protobuf.__version__, runtime, platform.machine()
        )
    )
    print("| what | wanted | times as fast | range | ours |\n|---|---|---|---|---|")
    messages = message_class()
    processes()
    parsing(messages)
    parsing_pytorch()
    tree()
    expanding(messages)
    printing(messages)
    suggesting()
    growth()
    many()
    memory()
    hostile()
    return None


if __name__ == "__main__":
    main()
