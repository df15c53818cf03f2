/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every payload test has: output on the serial port, checks that are counted, an exit status,
 * and the instructions that C has no words for. A test defines main(); the rest follows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void main(void);

/* %s, %d, %u, %x, %lx; a line at a time is not cut. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints PASS or FAIL and what was checked. */
void check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the test: what it needs is not there. */
void skip(const char *why) __attribute__((noreturn));

/* Ends the test with this value; the host sees value << 1 | 1. */
void leave(uint32_t value) __attribute__((noreturn));

#define VALUE_PASS 0
#define VALUE_FAIL 1
#define VALUE_SKIP 38 /* status 77 */

/* Firmware, or a sleep, may have left the 8259s on, with vectors that are exceptions here. */
void mask_8259s(void);

/* KEY=VALUE of the environment that came as the module; `otherwise` when there is none. */
uint64_t environment(const char *key, uint64_t otherwise);

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t read_msr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t index)
{
	struct cpuid result;

	asm volatile("cpuid"
		     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
		     : "a"(leaf), "c"(index));
	return result;
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void enable_interrupts(void)
{
	asm volatile("sti; nop" : : : "memory");
}

static inline void disable_interrupts(void)
{
	asm volatile("cli" : : : "memory");
}

/* Some seconds, also under a lab host, where a pause takes half a microsecond. */
#define WAIT_ROUNDS 10000000

/* Spins until `condition`, or for so long that it will not come; false then. */
#define wait_until(condition)                                                                      \
	({                                                                                         \
		uint64_t rounds_ = 0;                                                              \
		while (!(condition) && rounds_ < WAIT_ROUNDS) {                                      \
			++rounds_;                                                                 \
			pause();                                                                   \
		}                                                                                  \
		rounds_ < WAIT_ROUNDS;                                                               \
	})

static inline void spin(uint32_t rounds)
{
	while (rounds--)
		pause();
}
