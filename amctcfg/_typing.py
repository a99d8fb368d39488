# SPDX-License-Identifier: Apache-2.0
"""What only type checkers need, without importing typing at run time, which takes as long as the rest of the library.

mypy and pyright take the name TYPE_CHECKING for true wherever it comes from; jedi follows the value, so it is not a literal
False, which would hide from it what stands below.
"""

TYPE_CHECKING = bool(0)
