// SPDX-License-Identifier: GPL-2.0-only
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"
#include "say.h"
#include "wants.h"

/* check_wanted_devices() reports interfaces that do not exist. */
static void failed(const char *name, const char *what)
{
	int error = errno;

	say_errno("%s: %s", name, what);
	if (error != ENODEV)
		not_there("%s: %s: %s", name, what, strerror(error));
}

static bool set_up(int fd, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

void bring_up_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;	/* a kernel without INET */
	set_up(fd, "lo");
	close(fd);
}

static void put_address(struct sockaddr *into, in_addr_t address)
{
	struct sockaddr_in whole = { .sin_family = AF_INET, .sin_addr.s_addr = address };

	memcpy(into, &whole, sizeof(whole));
}

static bool set_address(int fd, const char *name, const char *address, int bits)
{
	struct ifreq request = { 0 };
	struct in_addr parsed;

	if (inet_pton(AF_INET, address, &parsed) != 1 || bits < 0 || bits > 32) {
		errno = EINVAL;
		return false;
	}
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	put_address(&request.ifr_addr, parsed.s_addr);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		return false;
	put_address(&request.ifr_netmask, htonl(bits ? ~0u << (32 - bits) : 0));
	return ioctl(fd, SIOCSIFNETMASK, &request) == 0;
}

static bool add_gateway(int fd, const char *address)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct in_addr parsed;

	if (inet_pton(AF_INET, address, &parsed) != 1) {
		errno = EINVAL;
		return false;
	}
	put_address(&route.rt_gateway, parsed.s_addr);
	put_address(&route.rt_dst, INADDR_ANY);
	put_address(&route.rt_genmask, INADDR_ANY);
	return ioctl(fd, SIOCADDRT, &route) == 0;
}

/* In a user's root the file may be the user's, or a dangling link, so replace it. */
static bool use_name_server(const char *address)
{
	FILE *file;

	unlink("/etc/resolv.conf");
	file = fopen("/etc/resolv.conf", "we");
	if (!file)
		return false;
	fprintf(file, "nameserver %s\n", address);
	return fclose(file) == 0;
}

/*
 * No other host is on this network, so an address needs no duplicate detection, and the router
 * can be asked at once instead of after a second or two. A kernel without IPv6 has no such
 * file.
 */
static void hurry_ipv6(const char *name)
{
	static const char *const settings[] = { "accept_dad", "router_solicitation_delay" };
	char path[128];

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, settings[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "0", 1) < 0)
			say_errno("%s", path);
		close(fd);
	}
}

/* `words` is the part of toolskvm.net= for this interface. */
static void bring_up(int fd, const char *name, char *words)
{
	char *address = strsep(&words, ":"), *gateway = strsep(&words, ":");
	char *server = strsep(&words, ":"), *bits = strchr(address, '/');

	if (!*address)
		return;
	if (bits)
		*bits++ = '\0';
	hurry_ipv6(name);
	if (!set_address(fd, name, address, bits ? atoi(bits) : 24))
		failed(name, "cannot give it its address");
	else if (!set_up(fd, name))
		failed(name, "cannot set it up");
	else if (gateway && *gateway && !add_gateway(fd, gateway))
		failed(name, "cannot reach its gateway");
	else if (server && *server && !use_name_server(server))
		say_errno("cannot write /etc/resolv.conf");
}

void bring_up_interfaces(void)
{
	char told[512], *rest = told, *words, name[IF_NAMESIZE];
	int fd, number = 0;

	if (!boot_option("toolskvm.net", told, sizeof(told)))
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		kernel_lacks("no network: the guest's kernel has no INET (CONFIG_INET)");
		return;
	}
	while ((words = strsep(&rest, ","))) {
		snprintf(name, sizeof(name), "eth%d", number++);
		bring_up(fd, name, words);
	}
	close(fd);
}
