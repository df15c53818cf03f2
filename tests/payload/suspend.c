// SPDX-License-Identifier: GPL-2.0-only
// ACPI's sleep S3 and the CMOS clock's alarm: interrupts while awake, then twice to sleep and back.
#include "runtime/acpi.h"
#include "runtime/apic.h"
#include "runtime/interrupts.h"
#include "runtime/ioapic.h"
#include "runtime/runtime.h"
#include "runtime/smp.h"
#include "runtime/suspend.h"

#define CLOCK_INDEX 0x70
#define CLOCK_DATA 0x71
#define ALARM_SECONDS 1
#define ALARM_MINUTES 3
#define ALARM_HOURS 5
#define REGISTER_B 11
#define REGISTER_C 12
#define ANY 0xff
#define ALARM_INTERRUPT 0x20
#define ALARM_FLAGS 0xa0

#define CLOCK_PIN 8
#define CLOCK_VECTOR 0x40
#define SCI_PIN 9
#define SCI_VECTOR 0x50
#define MSR_STAR 0xc0000081
#define CR0_PG_PE 0x80000001
#define WAKING_PAGE 0x2000u /* free below 1 MiB */
#define FACS_VECTOR 12

extern const char waking_code[], waking_code_end[];

static uint16_t pm1_event, pm1_control;
static volatile unsigned alarms, events;
static volatile uint8_t flags;
static uint64_t kept[512];

static uint8_t clock_get(uint8_t index)
{
	out8(CLOCK_INDEX, index);
	return in8(CLOCK_DATA);
}

static void clock_set(uint8_t index, uint8_t value)
{
	out8(CLOCK_INDEX, index);
	out8(CLOCK_DATA, value);
}

static void on_clock(struct frame *frame)
{
	(void)frame;
	flags = clock_get(REGISTER_C);
	++alarms;
	apic_eoi();
}

static void on_sci(struct frame *frame)
{
	(void)frame;
	++events;
	out16(pm1_event, PM1_RTC | PM1_WAKE);
	apic_eoi();
}

// The alarm of each second.
static void set_alarm(bool on)
{
	uint8_t b = clock_get(REGISTER_B) & (uint8_t)~ALARM_INTERRUPT;

	clock_set(ALARM_SECONDS, ANY);
	clock_set(ALARM_MINUTES, ANY);
	clock_set(ALARM_HOURS, ANY);
	clock_set(REGISTER_B, on ? b | ALARM_INTERRUPT : b);
	if (!on)
		(void)clock_get(REGISTER_C);
}

static void test_awake(void)
{
	ioapic_set(CLOCK_PIN, CLOCK_VECTOR);
	ioapic_set(SCI_PIN, SCI_VECTOR | IOAPIC_LEVEL);
	enable_interrupts();
	set_alarm(true);
	check(wait_until(alarms >= 1), "an alarm interrupts");
	check((flags & ALARM_FLAGS) == ALARM_FLAGS, "and its flags say so: %x", flags);
	check(in16(pm1_event) & PM1_RTC, "PM1 status has it too");
	check(events == 0, "without an SCI that nobody enabled");
	out16(pm1_event + 2, PM1_RTC);
	check(wait_until(events >= 1), "enabled, it is an SCI");
	set_alarm(false);
	out16(pm1_event + 2, 0);
	out16(pm1_event, PM1_RTC);
	check(!(in16(pm1_event) & PM1_RTC), "its status can be cleared");
}

static void sleep(uint16_t value)
{
	uint16_t status;

	for (unsigned i = 0; i < 512; ++i)
		kept[i] = i * 0x123456789abcdul;
	write_msr(MSR_STAR, 0x0023001000000000);
	events = 0;
	out16(pm1_event + 2, PM1_RTC);
	set_alarm(true);
	check(suspend(pm1_control, value), "the machine sleeps and goes on at the waking vector");
	status = in16(pm1_event);
	check(status & PM1_WAKE, "PM1 status tells of it: %x", status);
	check(status & PM1_RTC, "and why");
	check(!(woken.cr0 & CR0_PG_PE), "in real mode: CR0 %x", woken.cr0);
	check(woken.efer == 0 && woken.star == 0, "with registers as at power-on");
	for (unsigned i = 0; i < 512; ++i)
		if (kept[i] != i * 0x123456789abcdul)
			check(false, "memory is kept");
	check(!(apic_read(APIC_SPURIOUS) & APIC_SOFTWARE_ENABLE), "the local APIC is off");
	check(ioapic_get(SCI_PIN) & IOAPIC_MASKED, "the IOAPIC's pins are masked");
	mask_8259s();
	apic_enable();
	ioapic_set(SCI_PIN, SCI_VECTOR | IOAPIC_LEVEL);
	enable_interrupts();
	check(wait_until(events >= 1), "the event interrupts once its pin is open");
	set_alarm(false);
	out16(pm1_event + 2, 0);
	out16(pm1_event, PM1_RTC | PM1_WAKE);
}

void main(void)
{
	unsigned wanted = (unsigned)environment("NR_CPUS", 1) - 1;
	const uint8_t *fadt = acpi_table("FACP");
	int type = acpi_sleep_type("_S3_");
	char *page = (char *)(uint64_t)WAKING_PAGE;

	if (!fadt || type < 0)
		skip("the machine has no S3");
	pm1_event = (uint16_t)acpi_u32(fadt + FADT_PM1_EVENT);
	pm1_control = (uint16_t)acpi_u32(fadt + FADT_PM1_CONTROL);
	set_handler(CLOCK_VECTOR, on_clock);
	set_handler(SCI_VECTOR, on_sci);
	check(start_others() == wanted, "%u other processors start", wanted);
	test_awake();
	for (unsigned round = 1; round <= 2; ++round) {
		for (const char *from = waking_code; from < waking_code_end; ++from)
			page[from - waking_code] = *from;
		*(volatile uint32_t *)(uint64_t)(acpi_u32(fadt + FADT_FACS) + FACS_VECTOR) = WAKING_PAGE;
		sleep((uint16_t)(PM1_SLEEP_ENABLE | (unsigned)type << 10));
		check(start_others() == wanted, "round %u: the others start anew", round);
	}
}
