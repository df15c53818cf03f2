/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's network interfaces, which init sets up with given addresses: there is no DHCP
 * client to wait for, and no kernel option needed.
 */
#ifndef TOOLSKVM_GUEST_NETWORK_H
#define TOOLSKVM_GUEST_NETWORK_H

void bring_up_loopback(void);

/*
 * toolskvm.net=ADDRESS/BITS[:GATEWAY[:NAMESERVER]],...  for eth0, eth1, ... in turn; an empty
 * one stays down. The kernel gets an IPv6 address from the network's router. Errors go to the
 * console. Called in the final root, as the name server is written there.
 */
void bring_up_interfaces(void);

#endif
