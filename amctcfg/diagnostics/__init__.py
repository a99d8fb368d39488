# SPDX-License-Identifier: Apache-2.0
"""Diagnostics: an error, its place, and how to fix it; this room knows neither formats nor schemas."""
