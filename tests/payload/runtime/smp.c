// SPDX-License-Identifier: GPL-2.0-only
#include "smp.h"

#include "apic.h"
#include "interrupts.h"
#include "runtime.h"

// A page that neither the multiboot information nor anything of ours uses.
#define TRAMPOLINE_PAGE 0x1000ul

extern const char trampoline[], trampoline_end[];
extern uint32_t others_started;

static uint32_t ready;

void runtime_other(uint32_t number);

unsigned processor(void)
{
	return apic_read(APIC_ID) >> 24;
}

void runtime_other(uint32_t number)
{
	(void)number;
	load_vectors();
	apic_enable();
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	for (;;)
		asm volatile("sti; hlt" : : : "memory");
}

unsigned start_others(void)
{
	unsigned wanted = (unsigned)environment("NR_CPUS", 1) - 1;
	char *page = (char *)TRAMPOLINE_PAGE;

	apic_enable();
	// They may have been started before, and lost their power since.
	others_started = 0;
	__atomic_store_n(&ready, 0, __ATOMIC_RELEASE);
	for (const char *from = trampoline; from < trampoline_end; ++from)
		*page++ = *from;
	if (wanted == 0)
		return 0;
	// INIT, then the start-up message with the page's number (SDM vol. 3, 9.4.4).
	apic_send(0, ICR_OTHERS | ICR_INIT | ICR_ASSERT);
	spin(10000);
	apic_send(0, ICR_OTHERS | ICR_STARTUP | ICR_ASSERT | (TRAMPOLINE_PAGE >> 12));
	(void)wait_until(__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == wanted);
	return __atomic_load_n(&ready, __ATOMIC_ACQUIRE);
}
