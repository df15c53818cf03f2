/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames over a non-blocking byte stream: u8 type, u32le length, payload. The other
 * end is kvm/guest/protocol.py, which documents the payloads. A writer and a reader
 * belong to the agent (agent.c), live as long as its port, and never block: the
 * poll loop in command.c decides when to wait. One thread.
 */
#ifndef TOOLSKVM_FRAMES_H
#define TOOLSKVM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_STDOUT = 2,
	FRAME_STDERR = 3,
	FRAME_EXIT = 4,
	FRAME_ERROR = 5,
	FRAME_HEARTBEAT = 6,
	FRAME_STDIN_READ = 7,
	FRAME_RUN = 16,
	FRAME_STDIN = 17,
	FRAME_STDIN_EOF = 18,
	FRAME_WINSIZE = 19,
	FRAME_POWEROFF = 20,
	FRAME_SIGNAL = 21,
	FRAME_SYSRQ = 22,
	FRAME_FRESH = 23,
};

enum {
	FRAME_HEADER = 5,
	FRAME_PAYLOAD_MAX = 64 * 1024,
	FRAME_MAX = FRAME_HEADER + FRAME_PAYLOAD_MAX,
};

enum stream_state {
	STREAM_OK,	/* all done */
	STREAM_AGAIN,	/* poll first */
	STREAM_GONE,	/* the host closed its end */
	STREAM_CORRUPT,	/* the host sent an invalid frame */
};

struct frame {
	uint8_t type;
	uint32_t length;
	const uint8_t *payload;	/* in the reader's buffer, valid until frame_pop() */
};

struct frame_writer {
	int fd;
	size_t head, tail;
	uint8_t bytes[4 * FRAME_MAX];
};

struct frame_reader {
	int fd;
	size_t head, tail;
	uint8_t bytes[FRAME_MAX];
};

/* The host searches for these bytes to find the start of the first frame. */
void frame_put_magic(struct frame_writer *out);

/*
 * Returns room for the payload of the next frame, to avoid a copy; NULL while the host is
 * behind. `*room` is at most FRAME_PAYLOAD_MAX. frame_commit() completes the frame.
 */
uint8_t *frame_room(struct frame_writer *out, size_t *room);
void frame_commit(struct frame_writer *out, enum frame_type type, size_t length);

/* Queue a small frame; false when there is no room for it. */
bool frame_put(struct frame_writer *out, enum frame_type type, const void *data, size_t length);

/* Write queued frames, as far as the stream accepts them. */
enum stream_state frame_flush(struct frame_writer *out);

static inline bool frame_queued(const struct frame_writer *out)
{
	return out->tail > out->head;
}

/* Read the bytes that have arrived. */
enum stream_state frame_fill(struct frame_reader *in);

/* Returns the first frame that has arrived: OK, AGAIN (incomplete) or CORRUPT. */
enum stream_state frame_peek(const struct frame_reader *in, struct frame *frame);
void frame_pop(struct frame_reader *in, const struct frame *frame);

static inline uint16_t get_le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get_le32(const uint8_t *at)
{
	return get_le16(at) | (uint32_t)get_le16(at + 2) << 16;
}

static inline uint64_t get_le64(const uint8_t *at)
{
	return get_le32(at) | (uint64_t)get_le32(at + 4) << 32;
}

static inline void put_le64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline void put_le32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

#endif
