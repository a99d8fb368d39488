# SPDX-License-Identifier: Apache-2.0
"""A plan as HTML: one page that stands alone, and the table that notebooks show. A host may delete this folder."""
