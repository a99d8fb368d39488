# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a text, where it is, and how to fix it; this room knows neither formats nor schemas."""
