/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's name and version, as host_get_kernel_version tells it. */
#ifndef KERN_VERSION_H
#define KERN_VERSION_H
#define WEIR_VERSION "0.1"
#endif
