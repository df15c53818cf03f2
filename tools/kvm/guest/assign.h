/* SPDX-License-Identifier: GPL-2.0-only */
/* Binds the lab host's PCI functions that may be assigned to its machines to vfio-pci. */
#ifndef ASSIGN_H
#define ASSIGN_H

/*
 * Binds the functions of toolskvm.assign=ADDRESS[,ADDRESS...] to vfio-pci, after unbinding
 * them from any other driver; reports each failure.
 */
void assign_functions(void);

#endif
