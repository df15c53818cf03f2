// SPDX-License-Identifier: GPL-2.0-only
#include "fresh.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

enum { NANOSECONDS = 1000000000, BITS_PER_BYTE = 8 };

bool set_clock(int64_t now)
{
	struct timespec time = { .tv_sec = now / NANOSECONDS, .tv_nsec = now % NANOSECONDS };

	if (now > 0 && clock_settime(CLOCK_REALTIME, &time) == 0)
		return true;
	say_errno("cannot set the clock to %lld", (long long)now);
	return false;
}

bool stir_random_numbers(const uint8_t *bytes, size_t count)
{
	struct { struct rand_pool_info info; uint8_t bytes[FRESH_BYTES_MAX]; } pool = { 0 };
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	bool done;

	count = count < sizeof(pool.bytes) ? count : sizeof(pool.bytes);
	memcpy(pool.bytes, bytes, count);
	pool.info.buf_size = (int)count;
	pool.info.entropy_count = (int)count * BITS_PER_BYTE;
	done = fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
	if (!done)
		say_errno("cannot stir the random numbers");
	if (fd >= 0)
		close(fd);
	return done;
}
