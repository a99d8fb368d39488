# SPDX-License-Identifier: Apache-2.0
"""The resolution of layers: the effective blocks, the plan of a model, and the JSON quantization config."""
