# SPDX-License-Identifier: Apache-2.0
"""The workspace: a file with its model, flavour, rules and settings, each read once."""
