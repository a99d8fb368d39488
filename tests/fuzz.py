# SPDX-License-Identifier: Apache-2.0
"""A coverage-guided fuzzer over the reading: any bytes give a value or a `ConfigError`.

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
    from amctcfg import ConfigError, Layer, check, dumps, loads, parse

DATA = Path(__file__).parent / "data"
LAYERS = [Layer("a", "Conv2D"), Layer("b", "MatMul"), Layer("c", "Relu", False)]


def read(data):
    for strict in (True, False):
        try:
            config = parse(data, strict=strict).config
        except ConfigError as error:
            assert str(error)
        else:
            assert loads(dumps(config)) == config
        check(data, layers=LAYERS, strict=strict)


def seeds(folder):
    cases = json.loads((DATA / "conformance.json").read_text(encoding="utf-8"))
    texts = [bytes.fromhex(c["hex"]) if "hex" in c else c["text"].encode("utf-8") for c in cases]
    texts += [path.read_bytes() for pattern in ("*/*.cfg", "fuzz/*") for path in DATA.glob(pattern)]
    for number, text in enumerate(texts):
        (folder / str(number)).write_bytes(text)


if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    with tempfile.TemporaryDirectory() as temporary:
        seeds(Path(temporary))
        atheris.Setup([sys.argv[0], *options, *folders, temporary], read)
        atheris.Fuzz()
