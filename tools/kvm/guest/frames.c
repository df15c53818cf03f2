// SPDX-License-Identifier: GPL-2.0-only
#include "frames.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const uint8_t magic[8] = { 0, 'T', 'K', 'V', 'M', 1, '\r', '\n' };

/* With less room, reads of a busy pipe would become tiny: let the host catch up. */
enum { ROOM_MIN = 4096 };

static void compact(uint8_t *bytes, size_t *head, size_t *tail)
{
	if (*head == 0)
		return;
	memmove(bytes, bytes + *head, *tail - *head);
	*tail -= *head;
	*head = 0;
}

static size_t writer_space(struct frame_writer *out, size_t wanted)
{
	if (sizeof(out->bytes) - out->tail < wanted)
		compact(out->bytes, &out->head, &out->tail);
	return sizeof(out->bytes) - out->tail;
}

void frame_put_magic(struct frame_writer *out)
{
	if (writer_space(out, sizeof(magic)) < sizeof(magic))
		return;
	memcpy(out->bytes + out->tail, magic, sizeof(magic));
	out->tail += sizeof(magic);
}

uint8_t *frame_room(struct frame_writer *out, size_t *room)
{
	size_t space = writer_space(out, FRAME_MAX);

	if (space < FRAME_HEADER + ROOM_MIN)
		return NULL;
	space -= FRAME_HEADER;
	*room = space < FRAME_PAYLOAD_MAX ? space : FRAME_PAYLOAD_MAX;
	return out->bytes + out->tail + FRAME_HEADER;
}

void frame_commit(struct frame_writer *out, enum frame_type type, size_t length)
{
	uint8_t *header = out->bytes + out->tail;

	header[0] = (uint8_t)type;
	put_le32(header + 1, (uint32_t)length);
	out->tail += FRAME_HEADER + length;
}

bool frame_put(struct frame_writer *out, enum frame_type type, const void *data, size_t length)
{
	if (writer_space(out, FRAME_HEADER + length) < FRAME_HEADER + length)
		return false;
	memcpy(out->bytes + out->tail + FRAME_HEADER, data, length);
	frame_commit(out, type, length);
	return true;
}

/*
 * A virtio port takes at most 32 KiB a write and refuses with ENOMEM when it can't
 * copy it (drivers/char/virtio_console.c, port_fops_write): both just mean "later".
 */
enum stream_state frame_flush(struct frame_writer *out)
{
	while (frame_queued(out)) {
		ssize_t done = write(out->fd, out->bytes + out->head, out->tail - out->head);

		if (done > 0)
			out->head += (size_t)done;
		else if (done == 0 || errno == EAGAIN || errno == ENOMEM)
			return STREAM_AGAIN;
		else if (errno != EINTR)
			return STREAM_GONE;
	}
	out->head = out->tail = 0;
	return STREAM_OK;
}

enum stream_state frame_fill(struct frame_reader *in)
{
	compact(in->bytes, &in->head, &in->tail);
	while (in->tail < sizeof(in->bytes)) {
		ssize_t got = read(in->fd, in->bytes + in->tail, sizeof(in->bytes) - in->tail);

		if (got > 0)
			in->tail += (size_t)got;
		else if (got < 0 && errno == EAGAIN)
			return STREAM_AGAIN;
		else if (got == 0 || errno != EINTR)
			return STREAM_GONE;
	}
	return STREAM_OK;
}

enum stream_state frame_peek(const struct frame_reader *in, struct frame *frame)
{
	const uint8_t *header = in->bytes + in->head;
	size_t have = in->tail - in->head;

	if (have < FRAME_HEADER)
		return STREAM_AGAIN;
	frame->type = header[0];
	frame->length = get_le32(header + 1);
	frame->payload = header + FRAME_HEADER;
	if (frame->length > FRAME_PAYLOAD_MAX)
		return STREAM_CORRUPT;
	return have < FRAME_HEADER + frame->length ? STREAM_AGAIN : STREAM_OK;
}

void frame_pop(struct frame_reader *in, const struct frame *frame)
{
	in->head += FRAME_HEADER + frame->length;
}
