# SPDX-License-Identifier: Apache-2.0
"""The layers of a model, and where they come from: graphs, modules and tables."""
