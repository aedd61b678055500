/* SPDX-License-Identifier: BSD-2-Clause */
/* Only getopt lives here. */
#ifndef UNISTD_H
#define UNISTD_H

#include <getopt.h>

#endif
