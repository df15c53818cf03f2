// SPDX-License-Identifier: GPL-2.0-only
// Accesses to memory that is a device: each width, and the instructions that KVM must emulate.
#include "runtime/runtime.h"

#define RAM 0xff000000ul
#define AT(type, offset) (*(volatile type *)(RAM + (offset)))

static void test_widths(void)
{
	AT(uint64_t, 0) = 0x8877665544332211;
	check(AT(uint64_t, 0) == 0x8877665544332211, "8 bytes");
	check(AT(uint32_t, 4) == 0x88776655, "4 bytes");
	check(AT(uint16_t, 2) == 0x4433, "2 bytes");
	check(AT(uint8_t, 7) == 0x88, "1 byte");
	AT(uint8_t, 1) = 0xaa;
	AT(uint16_t, 2) = 0xbbbb;
	AT(uint32_t, 4) = 0xcccccccc;
	check(AT(uint64_t, 0) == 0xccccccccbbbbaa11, "narrow writes touch nothing else");
}

static void test_extension(void)
{
	uint64_t value;

	AT(uint64_t, 0) = 0xfedcba9876543280;
	asm volatile("movzbl %1, %k0" : "=r"(value) : "m"(AT(uint8_t, 0)));
	check(value == 0x80, "a byte is extended by zeroes");
	asm volatile("movsbq %1, %0" : "=r"(value) : "m"(AT(uint8_t, 0)));
	check(value == 0xffffffffffffff80, "or by its sign");
	asm volatile("movswq %1, %0" : "=r"(value) : "m"(AT(uint16_t, 6)));
	check(value == 0xfffffffffffffedc, "two bytes too");
	asm volatile("movslq %1, %0" : "=r"(value) : "m"(AT(uint32_t, 4)));
	check(value == 0xfffffffffedcba98, "and four");
	value = ~0ul;
	asm volatile("movl %1, %k0" : "+r"(value) : "m"(AT(uint32_t, 0)));
	check(value == 0x76543280, "a load of four clears the rest of the register");
}

static void test_read_modify_write(void)
{
	uint32_t old = 0x11;
	uint8_t equal;

	AT(uint32_t, 16) = 0x10;
	asm volatile("addl $5, %0" : "+m"(AT(uint32_t, 16)));
	check(AT(uint32_t, 16) == 0x15, "add");
	asm volatile("orb $0x80, %0" : "+m"(AT(uint8_t, 17)));
	check(AT(uint32_t, 16) == 0x8015, "or of a byte");
	asm volatile("xchgl %0, %1" : "+r"(old), "+m"(AT(uint32_t, 16)));
	check(old == 0x8015 && AT(uint32_t, 16) == 0x11, "xchg");
	old = 0x12;
	asm volatile("lock cmpxchgl %3, %1; sete %2"
		     : "+a"(old), "+m"(AT(uint32_t, 16)), "=q"(equal)
		     : "r"(0x99));
	check(!equal && old == 0x11 && AT(uint32_t, 16) == 0x11, "cmpxchg of something else");
	asm volatile("lock cmpxchgl %3, %1; sete %2"
		     : "+a"(old), "+m"(AT(uint32_t, 16)), "=q"(equal)
		     : "r"(0x99));
	check(equal && AT(uint32_t, 16) == 0x99, "cmpxchg of what is there");
	asm volatile("incw %0; notb %1" : "+m"(AT(uint16_t, 16)), "+m"(AT(uint8_t, 19)));
	check(AT(uint32_t, 16) == 0xff00009a, "inc and not");
}

static void test_places(void)
{
	AT(uint32_t, 0x101) = 0x01020304;
	check(AT(uint32_t, 0x101) == 0x01020304 && AT(uint8_t, 0x103) == 2, "unaligned");
	AT(uint64_t, 0xffd) = 0x1122334455667788;
	check(AT(uint64_t, 0xffd) == 0x1122334455667788, "across a page's end");
	check(AT(uint8_t, 0x1000) == 0x55, "with each byte in its page");
	AT(uint8_t, 0xffff) = 0x42;
	check(AT(uint8_t, 0xffff) == 0x42, "the last byte");
}

static uint8_t buffer[64];

static void test_strings(void)
{
	const uint8_t *from = buffer;
	volatile uint8_t *to = &AT(uint8_t, 0x200);
	uint8_t *back = buffer;
	uint64_t count = sizeof buffer;
	bool same = true;

	for (unsigned i = 0; i < sizeof buffer; ++i)
		buffer[i] = (uint8_t)(i * 7);
	asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	for (unsigned i = 0; i < sizeof buffer; ++i)
		same = same && AT(uint8_t, 0x200 + i) == (uint8_t)(i * 7);
	check(same && count == 0, "rep movsb to the device");
	asm volatile("" : "=m"(buffer));
	for (unsigned i = 0; i < sizeof buffer; ++i)
		buffer[i] = 0;
	to = &AT(uint8_t, 0x200);
	count = sizeof buffer / 4;
	asm volatile("rep movsl" : "+S"(to), "+D"(back), "+c"(count) : : "memory");
	for (unsigned i = 0; i < sizeof buffer; ++i)
		same = same && buffer[i] == (uint8_t)(i * 7);
	check(same && count == 0, "rep movsl from it");
	to = &AT(uint8_t, 0x300);
	count = 8;
	asm volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0x0101010101010101) : "memory");
	check(AT(uint64_t, 0x338) == 0x0101010101010101 && AT(uint8_t, 0x340) == 0, "rep stosq");
}

void main(void)
{
	test_widths();
	test_extension();
	test_read_modify_write();
	test_places();
	test_strings();
}
