# SPDX-License-Identifier: Apache-2.0
"""Errors and warnings: each rule a function, all of them run over one context."""
