/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's network interfaces, set up by init with the addresses it was told: no DHCP client
 * to wait for, and nothing that the kernel would have to be built with.
 */
#ifndef TOOLSKVM_GUEST_NETWORK_H
#define TOOLSKVM_GUEST_NETWORK_H

void bring_up_loopback(void);

/*
 * toolskvm.net=ADDRESS/BITS[:GATEWAY[:NAMESERVER]],...  for eth0, eth1, ... in turn; an empty
 * one stays down. An IPv6 address the kernel gets from the network's router. What can't be done is
 * said on the console. Called in the root that will be used, as the name server is told there.
 */
void bring_up_interfaces(void);

#endif
