/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes dirty pages to a guest's disks at its end. init calls it before the reset, on its
 * only thread.
 */
#ifndef TOOLSKVM_WRITEBACK_H
#define TOOLSKVM_WRITEBACK_H

/* Like sync(2); `beat` is called once a second for as long as pages are being written. */
void write_back(void (*beat)(void));

#endif
