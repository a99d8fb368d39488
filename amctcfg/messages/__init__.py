# SPDX-License-Identifier: Apache-2.0
"""Messages of any proto2 schema: described in one line a field, read from a syntax tree, and printed."""
