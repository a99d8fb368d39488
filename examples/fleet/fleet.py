# SPDX-License-Identifier: Apache-2.0
"""The search of `examples/resnet` on a Dask cluster, by the library.

    python examples/fleet/fleet.py tcp://10.0.0.1:8786

Without an address it starts a small cluster on this machine. The workers need `amctcfg[simulate]` and this folder's neighbour
`resnet` at the same path.
"""

import sys
from pathlib import Path

import distributed
import numpy
import onnxruntime

import amctcfg
from amctcfg.simulation import load_batches, simulate

RESNET = Path(__file__).resolve().parent.parent / "resnet"
MODEL = RESNET / "digits.onnx"


def evaluate(candidate):
    """Return the share of digits that a candidate's simulated model recognises; this runs on the workers."""
    model = simulate(candidate.plan, MODEL, load_batches([RESNET / "calibration.npz"], MODEL)).model
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with numpy.load(str(RESNET / "test.npz")) as data:
        found = session.run(None, {"x": data["x"]})[0].argmax(axis=1)
        return float(numpy.mean(found == data["y"]))


def main(address=None):
    document = amctcfg.parse("batch_num: 1", flavour=amctcfg.FLAVOURS["pytorch"])
    layers = amctcfg.load_layers(MODEL, document.flavour)
    search = amctcfg.tuning.Bisection(document, layers, target=0.97)
    with distributed.Client(address, **({} if address else {"n_workers": 2, "dashboard_address": None})) as client:
        best = amctcfg.tuning.search(search, evaluate, client.get_executor(), jobs=2)
    proven = "minimal" if search.minimal else "not proven"
    print("skip {} after {} runs, {}".format(", ".join(best.skip), search.runs, proven))


if __name__ == "__main__":
    main(*sys.argv[1:])
