// SPDX-License-Identifier: GPL-2.0-only
/*
 * The display: draws a pattern on /dev/fb0, waits for keyboard and pointer events, and then
 * draws a line. The viewer (tests/support/rfb.py) knows the pattern and sends the events that
 * are checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <linux/input.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exercises.h"
#include "report.h"
#include "timing.h"

enum {
	DEVICES = 16,
	PATIENCE_S = 30,
	TURN_MS = 100,
	LINE = 5,
	LINE_PIXEL = 0xabcdef,
	POINT_X = 100,
	POINT_Y = 50,
};

static uint32_t pattern(uint32_t x, uint32_t y)
{
	return (x * 0x010203 + y * 0x030201) & 0xffffff;
}

struct screen {
	uint32_t *pixels;
	uint32_t width, height;
	size_t line;	/* pixels */
};

static struct screen open_screen(uint32_t width, uint32_t height)
{
	struct fb_var_screeninfo variable;
	struct fb_fix_screeninfo fixed;
	struct screen screen;
	int fd = open("/dev/fb0", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/fb0");
	if (ioctl(fd, FBIOGET_VSCREENINFO, &variable) < 0 ||
	    ioctl(fd, FBIOGET_FSCREENINFO, &fixed) < 0)
		die("FBIOGET_VSCREENINFO");
	check(variable.xres == width && variable.yres == height && variable.bits_per_pixel == 32,
	      "the size and depth asked for", "%ux%u, %u bits", variable.xres, variable.yres,
	      variable.bits_per_pixel);
	screen.width = variable.xres;
	screen.height = variable.yres;
	screen.line = fixed.line_length / sizeof(uint32_t);
	screen.pixels = mmap(NULL, fixed.smem_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (screen.pixels == MAP_FAILED)
		die("mmap of /dev/fb0");
	close(fd);
	return screen;
}

static int open_input(const char *wanted)
{
	char path[64], name[64];

	for (int number = 0; number < DEVICES; number++) {
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", number);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (ioctl(fd, EVIOCGNAME(sizeof(name)), name) > 0 && !strcmp(name, wanted))
			return fd;
		close(fd);
	}
	errno = ENODEV;
	die("%s", wanted);
}

/* The expected events seen so far. */
struct heard {
	int presses, releases;	/* of the key A */
	int x, y;
	int right_most, lowest;
	bool button;
};

static int larger(int a, int b)
{
	return a > b ? a : b;
}

static void hear(int fd, struct heard *heard)
{
	struct input_event event;

	while (read(fd, &event, sizeof(event)) == (ssize_t)sizeof(event)) {
		if (event.type == EV_KEY && event.code == KEY_A && event.value != 2) {
			heard->presses += event.value;
			heard->releases += !event.value;
		} else if (event.type == EV_KEY && event.code == BTN_LEFT && event.value) {
			heard->button = true;
		} else if (event.type == EV_ABS && event.code == ABS_X) {
			heard->x = event.value;
			heard->right_most = larger(heard->right_most, event.value);
		} else if (event.type == EV_ABS && event.code == ABS_Y) {
			heard->y = event.value;
			heard->lowest = larger(heard->lowest, event.value);
		}
	}
}

void exercise_screen(char **argv)
{
	struct screen screen = open_screen((uint32_t)strtoul(argv[0], NULL, 0),
					   (uint32_t)strtoul(argv[1], NULL, 0));
	struct pollfd inputs[2] = {
		{ .fd = open_input("tools-kvm keyboard"), .events = POLLIN },
		{ .fd = open_input("tools-kvm pointer"), .events = POLLIN },
	};
	struct heard heard = { .x = -1, .y = -1 };
	double left_s = PATIENCE_S;

	for (uint32_t y = 0; y < screen.height; y++) {
		for (uint32_t x = 0; x < screen.width; x++)
			screen.pixels[y * screen.line + x] = pattern(x, y);
	}
	note("drawn");
	while (!(heard.releases && heard.button) && left_s > 0) {
		double began_s = now_s();
		int ready = poll(inputs, 2, TURN_MS);

		spend(&left_s, began_s, TURN_MS / 1e3);
		if (ready <= 0)
			continue;
		hear(inputs[0].fd, &heard);
		hear(inputs[1].fd, &heard);
	}
	check(heard.presses == 1 && heard.releases == 1, "a key is pressed and let go once",
	      "%d and %d times", heard.presses, heard.releases);
	check(heard.button && heard.x == POINT_X && heard.y == POINT_Y,
	      "the pointer is where it was put", "%d, %d", heard.x, heard.y);
	check(heard.right_most == (int)screen.width - 1 && heard.lowest == (int)screen.height - 1,
	      "it has been in the corner, and no further", "%d, %d", heard.right_most,
	      heard.lowest);
	for (uint32_t x = 0; x < screen.width; x++)
		screen.pixels[LINE * screen.line + x] = LINE_PIXEL;
	note("heard");
}
