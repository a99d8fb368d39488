# SPDX-License-Identifier: Apache-2.0
"""What each layer gets: the effective blocks, the plan of a model, and the JSON quantization config."""
