# SPDX-License-Identifier: Apache-2.0
"""Tools for configurations: format, edit, fix, compare, explain and check them against the toolkit's files."""
