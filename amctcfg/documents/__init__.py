# SPDX-License-Identifier: Apache-2.0
"""Files and the configurations in them: read whole, with the place of everything; written whole."""
