// SPDX-License-Identifier: GPL-2.0-only
// Interrupts between processors: to one, to all others, NMIs, and many of them.
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/runtime.h"
#include "runtime/smp.h"

#define VECTOR 0x50
#define PING 0x60
#define ROUNDS 1000

static volatile unsigned counts[256], nmis[256];
static unsigned others;

static void on_vector(struct frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&counts[processor()], 1, __ATOMIC_RELAXED);
	apic_eoi();
}

static void on_nmi(struct frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&nmis[processor()], 1, __ATOMIC_RELAXED);
}

// Sends each ping back.
static void on_ping(struct frame *frame)
{
	(void)frame;
	counts[processor()] = counts[processor()] + 1;
	apic_eoi();
	if (processor() != 0)
		apic_send(0, ICR_ASSERT | PING);
}

static unsigned sum(volatile unsigned *of)
{
	unsigned total = 0;

	for (unsigned i = 1; i <= others; ++i)
		total += of[i];
	return total;
}

static void reset(void)
{
	for (unsigned i = 0; i < 256; ++i)
		counts[i] = nmis[i] = 0;
}

void main(void)
{
	unsigned wanted = (unsigned)environment("NR_CPUS", 1) - 1;

	set_handler(VECTOR, on_vector);
	set_handler(PING, on_ping);
	set_handler(VECTOR_NMI, on_nmi);
	others = start_others();
	check(others == wanted, "%u of %u other processors started", others, wanted);
	if (others == 0)
		skip("needs more than one processor");
	enable_interrupts();

	for (unsigned i = 1; i <= others; ++i) {
		apic_send((uint8_t)i, ICR_ASSERT | VECTOR);
		check(wait_until(counts[i] == 1) && sum(counts) == i, "processor %u alone got it", i);
	}
	reset();
	apic_send(0, ICR_OTHERS | ICR_ASSERT | VECTOR);
	check(wait_until(sum(counts) == others), "all others got one");
	check(counts[0] == 0, "and the sender did not");
	apic_send(0, ICR_OTHERS | ICR_ASSERT | ICR_NMI);
	check(wait_until(sum(nmis) == others), "all others got an NMI");

	reset();
	for (unsigned i = 1; i <= others; ++i) {
		unsigned round;

		for (round = 1; round <= ROUNDS; ++round) {
			apic_send((uint8_t)i, ICR_ASSERT | PING);
			if (!wait_until(counts[0] == (i - 1) * ROUNDS + round))
				break;
		}
		check(round > ROUNDS && counts[i] == ROUNDS, "%u pings of processor %u came back",
		      round - 1, i);
	}
}
