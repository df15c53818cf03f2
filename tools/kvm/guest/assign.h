/* SPDX-License-Identifier: GPL-2.0-only */
/* The lab host's PCI functions that its machines may be given: vfio-pci takes them. */
#ifndef ASSIGN_H
#define ASSIGN_H

/*
 * Gives the functions of toolskvm.assign=ADDRESS[,ADDRESS...] to vfio-pci, away from any driver
 * that has one; says so of each that it cannot.
 */
void assign_functions(void);

#endif
