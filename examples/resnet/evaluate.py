"""Print how many of the test digits a model recognises: `python evaluate.py MODEL.onnx`.

Needs numpy and onnxruntime. The last line is what `amctcfg bisect --target` reads.
"""

import pathlib
import sys

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent


def main():
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    with np.load(str(HERE / "test.npz")) as data:
        found = session.run(None, {"x": data["x"]})[0].argmax(axis=1)
        print("amctcfg-score: {:.4f}".format(np.mean(found == data["y"])))


if __name__ == "__main__":
    main()
