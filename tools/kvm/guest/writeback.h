/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest's disks are still owed at its end. init calls it before the reset, on its
 * only thread.
 */
#ifndef TOOLSKVM_WRITEBACK_H
#define TOOLSKVM_WRITEBACK_H

/* As sync(2); `beat` is called once a second for as long as pages are being written. */
void write_back(void (*beat)(void));

#endif
