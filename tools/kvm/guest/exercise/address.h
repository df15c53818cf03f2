/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a stream leads, in one word, for both of its ends:
 *
 *   tcp:ADDRESS:PORT     IPv4; a server may say 0.0.0.0
 *   vsock:CID:PORT       inside a guest; 2 is the host, a server says 0
 *   unix:PATH            the host's side of what a guest finds at a vsock port
 *   connect:PATH:PORT    (clients) by the VMM's socket at PATH to the guest's vsock port
 */
#ifndef TOOLSKVM_EXERCISE_ADDRESS_H
#define TOOLSKVM_EXERCISE_ADDRESS_H

/* Returns a socket that listens there; an error ends the program. */
int address_listen(const char *word);

/* Tries to connect once; -1 with errno on failure. */
int address_connect(const char *word);

#endif
