/* SPDX-License-Identifier: BSD-2-Clause */
/* Balanced trees: the BSD red-black tree macros, from libbsd (intrusive, they allocate nothing). */
#ifndef WEIR_TREE_H
#define WEIR_TREE_H
#include <bsd/sys/tree.h>

/* Freestanding builds do not get this from libbsd; its static trees need it. */
#ifndef __unused
#define __unused __attribute__((__unused__))
#endif
#endif
