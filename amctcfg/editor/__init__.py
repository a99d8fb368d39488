# SPDX-License-Identifier: Apache-2.0
"""A language server for configurations: the Language Server Protocol 3.17. A host may delete this folder."""
