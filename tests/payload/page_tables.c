// SPDX-License-Identifier: GPL-2.0-only
// Paging: accessed and dirty bits, each kind of page fault, and pages of every size.
#include "runtime/interrupts.h"
#include "runtime/runtime.h"

#define PRESENT 0x001ul
#define WRITABLE 0x002ul
#define ACCESSED 0x020ul
#define DIRTY 0x040ul
#define LARGE 0x080ul
#define NO_EXECUTE (1ul << 63)
#define RESERVED (1ul << 51)

#define ERROR_PRESENT 0x01
#define ERROR_WRITE 0x02
#define ERROR_RESERVED 0x08
#define ERROR_FETCH 0x10

#define CPUID_PAGE_1GIB (1u << 26)
#define CPUID_NX (1u << 20)

typedef uint64_t table[512] __attribute__((aligned(4096)));

extern uint64_t page_root[512];
static table pointers, directory, entries;
static uint8_t pages[2][4096] __attribute__((aligned(4096)));

// The second slot of the root: 512 GiB, where nothing else is.
#define WINDOW ((uint8_t *)(1ul << 39))

static void flush(void)
{
	uint64_t root;

	asm volatile("movq %%cr3, %0; movq %0, %%cr3" : "=r"(root) : : "memory");
}

static void set_entry(uint64_t value)
{
	entries[0] = value;
	asm volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
}

static struct fault read_byte(volatile uint8_t *at)
{
	asm volatile(EXPECT_FAULT "movb (%0), %%al" FAULT_EXPECTED : : "r"(at) : "eax", "memory");
	return fault_taken();
}

static struct fault write_byte(volatile uint8_t *at)
{
	asm volatile(EXPECT_FAULT "movb $0x5a, (%0)" FAULT_EXPECTED : : "r"(at) : "memory");
	return fault_taken();
}

// What is called is one byte: a return.
static struct fault call(volatile uint8_t *at)
{
	// A fault at its first byte leaves the return address on the stack.
	asm volatile("movq %%rsp, %%rbx\n\t" EXPECT_FAULT "call *%0" FAULT_EXPECTED
		     "movq %%rbx, %%rsp"
		     :
		     : "r"(at)
		     : "rbx", "memory");
	return fault_taken();
}

static void expect(struct fault fault, uint64_t error, uint8_t *at, const char *what)
{
	check(fault.vector == VECTOR_PAGE_FAULT && fault.error_code == error &&
		      fault.address == (uint64_t)at,
	      "%s: vector %lu, error code %lx, address %lx", what, fault.vector, fault.error_code,
	      fault.address);
}

static void test_bits(uint64_t page)
{
	set_entry(page | PRESENT | WRITABLE);
	check(read_byte(WINDOW).vector == 0, "a present page can be read");
	check((entries[0] & (ACCESSED | DIRTY)) == ACCESSED, "which marks it accessed alone");
	check(write_byte(WINDOW + 5).vector == 0, "and written");
	check((entries[0] & (ACCESSED | DIRTY)) == (ACCESSED | DIRTY), "which marks it dirty");
	check(pages[0][5] == 0x5a, "the byte is where it belongs");
	set_entry((uint64_t)pages[1] | PRESENT | WRITABLE);
	check(WINDOW[5] == pages[1][5] && pages[1][5] == 0, "another page can take its place");
}

static void test_faults(uint64_t page)
{
	set_entry(0);
	expect(read_byte(WINDOW + 7), 0, WINDOW + 7, "reading what is not there");
	expect(write_byte(WINDOW + 4095), ERROR_WRITE, WINDOW + 4095, "writing what is not there");
	set_entry(page | PRESENT);
	check(read_byte(WINDOW).vector == 0, "a read-only page can be read");
	expect(write_byte(WINDOW), ERROR_PRESENT | ERROR_WRITE, WINDOW, "writing it");
	check((entries[0] & DIRTY) == 0, "which leaves it clean");
	set_entry(page | PRESENT | RESERVED);
	// QEMU's emulation, under a lab host, forgets to say that the page is present.
	check(read_byte(WINDOW).error_code & ERROR_RESERVED, "a reserved bit is a fault of its own");
	if (!(cpuid(0x80000001, 0).edx & CPUID_NX))
		return;
	pages[0][0] = 0xc3;
	set_entry(page | PRESENT);
	check(call(WINDOW).vector == 0, "a page can be executed");
	set_entry(page | PRESENT | NO_EXECUTE);
	expect(call(WINDOW), ERROR_PRESENT | ERROR_FETCH, WINDOW, "executing what may not be");
}

static void test_sizes(void)
{
	uint64_t saved = directory[0];

	pages[0][9] = 0x77;
	directory[1] = ((uint64_t)pages & ~0x1ffffful) | PRESENT | WRITABLE | LARGE;
	flush();
	check(WINDOW[0x200000 + ((uint64_t)&pages[0][9] & 0x1fffff)] == 0x77, "a page of 2 MiB");
	check((directory[1] & (ACCESSED | DIRTY)) == ACCESSED, "has bits of its own");
	if (cpuid(0x80000001, 0).edx & CPUID_PAGE_1GIB) {
		pointers[1] = PRESENT | WRITABLE | LARGE;
		flush();
		check(WINDOW[0x40000000 + (uint64_t)&pages[0][9]] == 0x77, "a page of 1 GiB");
	}
	directory[0] = saved;
}

void main(void)
{
	uint64_t page = (uint64_t)pages[0];

	page_root[1] = (uint64_t)pointers | PRESENT | WRITABLE;
	pointers[0] = (uint64_t)directory | PRESENT | WRITABLE;
	directory[0] = (uint64_t)entries | PRESENT | WRITABLE;
	flush();
	test_bits(page);
	test_faults(page);
	test_sizes();
}
