# SPDX-License-Identifier: BSD-2-Clause
"""The parts of wig, Weir's interface generator: see tools/wig and docs/wig.md.

preprocess -> grammar -> model (types, routines, wire items) -> layout -> user, server
"""
