# SPDX-License-Identifier: Apache-2.0
"""A coverage-guided fuzzer over everything that reads: any bytes give a value or a `ConfigError`.

    python tests/fuzz.py -max_total_time=60 [a folder of its own for what it learns]

It begins with the texts of the tests. A finding is written to the current folder as `crash-...`; it goes to
`tests/data/fuzz/`, which the tests read, once it is mended.
"""

import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["amctcfg"]):
    # By name: what is not imported here is not watched for new paths.
    from amctcfg import (
        FLAVOURS,
        ConfigError,
        Layer,
        check,
        condense,
        detect,
        dumps,
        fix,
        format,
        load_layers,
        loads,
        parse,
        skip,
        unskip,
    )
    from amctcfg.documents.settings import Settings
    from amctcfg.tools.auditing import read_record

DATA = Path(__file__).parent / "data"
LAYERS = [Layer("a", "Conv2D"), Layer("b", "MatMul"), Layer("stage/c_13/conv", "Conv2d"), Layer("c", "Relu", False)]
CHOSEN = [FLAVOURS[name] for name in ("tf-ascend", "pytorch", "onnx")]


def tried(function, *arguments, **options):
    """The result, or None for an error that the contract allows."""
    try:
        return function(*arguments, **options)
    except ConfigError as error:
        assert str(error)
        return None


def read(data):
    """The first byte chooses what is read, and how often the rest is repeated: runs of # and comment banners, CRLF, many names."""
    kind, data = (data[0], data[1:]) if data else (0, data)
    if kind & 64:
        data = data * 40
    if kind & 128:
        data = data.replace(b"\n", b"\r\n")
    if kind & 3 == 3:
        graph(data, ".pb" if kind & 4 else ".csv" if kind & 8 else ".json" if kind & 16 else ".onnx")
        return
    flavour = CHOSEN[kind & 3]
    for strict in (True, False):
        document = tried(parse, data, strict=strict, flavour=flavour)
        if document is not None:
            assert loads(dumps(document.config), flavour=flavour) == document.config
        check(data, layers=LAYERS, strict=strict, flavour=flavour)
    done = tried(format, data)
    if done is not None:
        assert format(done) == done
        if "where" not in done:  # what is added is set off from a selection by an empty line, which stays
            assert unskip(skip(done, ["new"]), ["new"]) == done
        detect(data)
        Settings(done, "x")
    if kind & 4:
        tried(fix, data, LAYERS, flavour=flavour, unsafe=bool(kind & 8))
    if kind & 16:
        tried(condense, data, LAYERS, flavour=flavour)
        tried(read_record, data)


def graph(data, extension):
    with tempfile.NamedTemporaryFile(suffix=extension) as file:
        file.write(data)
        file.flush()
        tried(load_layers, file.name)


def seeds(folder):
    cases = json.loads((DATA / "conformance.json").read_text(encoding="utf-8"))
    texts = [bytes.fromhex(c["hex"]) if "hex" in c else c["text"].encode("utf-8") for c in cases]
    texts += [path.read_bytes() for pattern in ("*/*.cfg", "fuzz/*") for path in DATA.glob(pattern)]
    texts += [b"#" * 80 + b"\ndo_fusion: true\n", b"## x\n" * 20, b"# a \r\n" * 20 + b"do_fusion: true"]
    for number, text in enumerate(texts):
        (folder / str(number)).write_bytes(bytes([number % 256]) + text)
    for number, path in enumerate(filter(Path.is_file, sorted(DATA.glob("models/*")))):
        kind = {".pb": 7, ".csv": 11, ".json": 19}.get(path.suffix, 3)
        (folder / "model{}".format(number)).write_bytes(bytes([kind]) + path.read_bytes()[:20000])


if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    with tempfile.TemporaryDirectory() as temporary:
        seeds(Path(temporary))
        atheris.Setup([sys.argv[0], *options, *folders, temporary], read)
        atheris.Fuzz()
