"""Train the small residual network of this example and export it: digits.onnx and the data beside it.

Needs torch, onnx, scikit-learn and numpy; what it writes is in the repository, so you only need it to make changes.
The data set, 1,797 handwritten digits of 8 by 8 pixels, is part of scikit-learn.
"""

import io
import pathlib

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn

HERE = pathlib.Path(__file__).parent


class Block(nn.Module):
    """Two convolutions with a shortcut around them."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + self.shortcut(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.layer1 = Block(16, 16)
        self.layer2 = Block(16, 24)
        self.layer3 = Block(24, 24)
        self.pool = nn.AvgPool2d(8)
        self.fc = nn.Linear(24, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


def plant_outliers(block, factor):
    """Make one channel between the convolutions of a block much larger than the others.

    ReLU lets a positive factor through, so that the network computes what it did; its quantization loses the other channels.
    """
    with torch.no_grad():
        block.conv1.weight[0] *= factor
        block.conv1.bias[0] *= factor
        block.conv2.weight[:, 0] /= factor


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    train, test = order[:1200], order[1200:]
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-4)
    for _ in range(60):
        for batch in train[torch.randperm(len(train))].split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    net.eval()
    plant_outliers(net.layer1, 400)
    plant_outliers(net.layer2, 400)
    with torch.no_grad():
        print("accuracy:", (net(x[test]).argmax(1) == y[test]).float().mean().item())
    buffer = io.BytesIO()
    torch.onnx.export(net, (x[:1],), buffer, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
                      opset_version=17, dynamo=False)  # fmt: skip
    onnx.save(onnx.load_from_string(buffer.getvalue()), str(HERE / "digits.onnx"))
    np.savez_compressed(str(HERE / "calibration.npz"), x=x[train[:64]].numpy())
    np.savez_compressed(str(HERE / "test.npz"), x=x[test].numpy(), y=y[test].numpy().astype(np.uint8))


if __name__ == "__main__":
    main()
