# SPDX-License-Identifier: Apache-2.0
"""The search of `examples/tuning` on a Dask cluster, by the library.

    python examples/fleet/fleet.py tcp://10.0.0.1:8786

Without an address it starts a small cluster on this machine. The workers need numpy and amctcfg.
"""

import sys
from pathlib import Path

import distributed

import amctcfg

TUNING = Path(__file__).parent.parent / "tuning"


def evaluate(candidate):
    import measure  # which was uploaded to the workers

    return float(measure.accuracy({name for name, layer in candidate.plan.items() if layer.quant_enable}))


def main(address=None):
    document = amctcfg.parse((TUNING / "net.cfg").read_text(encoding="utf-8"))
    search = amctcfg.tuning.Bisection(document, amctcfg.load_layers(TUNING / "net.csv"), target=0.95)
    with distributed.Client(address, **({} if address else {"n_workers": 2, "dashboard_address": None})) as client:
        client.upload_file(str(TUNING / "measure.py"))
        best = amctcfg.tuning.search(search, evaluate, client.get_executor(), jobs=4)
    print(
        "skip {} after {} runs, {}".format(
            ", ".join(best.skip), search.runs, "minimal" if search.minimal else "not proven"
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
