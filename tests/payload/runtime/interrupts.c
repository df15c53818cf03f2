// SPDX-License-Identifier: GPL-2.0-only
// The IDT and what happens at each vector.
#include "interrupts.h"

#include "runtime.h"

#define CODE64 0x08
#define INTERRUPT_GATE 0x8e00
#define STUB_SIZE 16

struct gate {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const char vector_stubs[];

static struct gate gates[256] __attribute__((aligned(16)));
static handler handlers[256];
static struct fault last_fault;
uint64_t fault_resume;

void load_vectors(void)
{
	struct table_pointer pointer = {sizeof gates - 1, (uint64_t)gates};

	asm volatile("lidt %0" : : "m"(pointer));
}

void install_vectors(void)
{
	for (unsigned vector = 0; vector < 256; ++vector) {
		uint64_t stub = (uint64_t)vector_stubs + vector * STUB_SIZE;

		gates[vector] = (struct gate){(uint16_t)stub, CODE64, INTERRUPT_GATE,
					      (uint16_t)(stub >> 16), (uint32_t)(stub >> 32), 0};
	}
	load_vectors();
}

void set_handler(uint8_t vector, handler function)
{
	handlers[vector] = function;
}

struct fault fault_taken(void)
{
	struct fault fault = last_fault;

	last_fault = (struct fault){0, 0, 0};
	return fault;
}

static uint64_t read_cr2(void)
{
	uint64_t value;

	asm volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

void handle_vector(struct frame *frame);
void handle_vector(struct frame *frame)
{
	if (handlers[frame->vector & 0xff]) {
		handlers[frame->vector & 0xff](frame);
		return;
	}
	if (frame->vector < 32 && fault_resume) {
		last_fault = (struct fault){frame->vector, frame->error_code, read_cr2()};
		frame->rip = fault_resume;
		return;
	}
	print("FAIL: unexpected vector %lu, error code %lx, rip %lx, cr2 %lx\n", frame->vector,
	      frame->error_code, frame->rip, read_cr2());
	leave(VALUE_FAIL);
}
