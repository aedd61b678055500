# SPDX-License-Identifier: BSD-2-Clause
"""What reports about other kernels have seen, repeated on Weir: `make seeds`."""
