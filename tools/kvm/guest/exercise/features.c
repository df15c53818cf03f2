// SPDX-License-Identifier: GPL-2.0-only
#include "features.h"

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static sigjmp_buf refused;

struct leaf leaf_of(uint32_t function, uint32_t index)
{
	struct leaf leaf = { .function = function, .index = index };

	__cpuid_count(function, index, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx);
	return leaf;
}

bool vendor_is(const char *name)
{
	struct leaf leaf = leaf_of(0, 0);
	uint32_t words[3] = { leaf.ebx, leaf.edx, leaf.ecx };

	return memcmp(words, name, sizeof(words)) == 0;
}

static bool try_popcnt(void)
{
	uint64_t result;

	asm volatile("popcnt %1, %0" : "=r"(result) : "r"(0xf0f0f0f0f0f0f0f0ULL) : "cc");
	return result == 32;
}

static bool try_cmpxchg16b(void)
{
	uint64_t memory[2] __attribute__((aligned(16))) = { 1, 2 }, low = 1, high = 2;
	bool same;

	asm volatile("cmpxchg16b %1" : "=@ccz"(same), "+m"(memory), "+a"(low), "+d"(high)
		     : "b"(3ULL), "c"(4ULL) : "memory");
	return same && memory[0] == 3 && memory[1] == 4;
}

static bool try_ssse3(void)
{
	uint64_t result;

	asm volatile("movq %1, %%xmm0\n\tpabsb %%xmm0, %%xmm0\n\tmovq %%xmm0, %0"
		     : "=r"(result) : "r"(0xff01ff01ff01ff01ULL) : "xmm0");
	return result == 0x0101010101010101ULL;
}

static bool try_sse4_1(void)
{
	uint32_t result;

	asm volatile("movd %1, %%xmm0\n\tpmuldq %%xmm0, %%xmm0\n\tpextrd $0, %%xmm0, %0"
		     : "=r"(result) : "r"(1000) : "xmm0");
	return result == 1000000;
}

static bool try_sse4_2(void)
{
	uint32_t result = 0;

	asm volatile("crc32b %1, %0" : "+r"(result) : "r"((uint8_t)1));
	return result == 0xf26b8303;
}

static bool try_movbe(void)
{
	uint32_t from = 0x01020304, result;

	asm volatile("movbe %1, %0" : "=r"(result) : "m"(from));
	return result == 0x04030201;
}

static bool try_aes(void)
{
	uint64_t result;

	/* aesimc of zero is zero, aesenc of it is 0x63 in each byte. */
	asm volatile("pxor %%xmm0, %%xmm0\n\taesenc %%xmm0, %%xmm0\n\tmovq %%xmm0, %0"
		     : "=r"(result) : : "xmm0");
	return result == 0x6363636363636363ULL;
}

static bool try_pclmulqdq(void)
{
	uint64_t result;

	asm volatile("movq %1, %%xmm0\n\tpclmulqdq $0, %%xmm0, %%xmm0\n\tmovq %%xmm0, %0"
		     : "=r"(result) : "r"(7ULL) : "xmm0");
	return result == 0x15;
}

static bool try_random(bool seed)
{
	uint64_t first = 0, second = 0;
	bool done = false;

	for (int i = 0; i < 100 && !(done && first != second); i++) {
		first = second;
		if (seed)
			asm volatile("rdseed %0" : "=r"(second), "=@ccc"(done));
		else
			asm volatile("rdrand %0" : "=r"(second), "=@ccc"(done));
	}
	return done && first != second;
}

static bool try_rdrand(void)
{
	return try_random(false);
}

static bool try_rdseed(void)
{
	return try_random(true);
}

static bool try_avx(void)
{
	uint64_t result;

	asm volatile("vmovq %1, %%xmm0\n\tvpaddb %%xmm0, %%xmm0, %%xmm1\n\tvmovq %%xmm1, %0\n\t"
		     "vzeroupper" : "=r"(result) : "r"(0x0102030405060708ULL) : "xmm0", "xmm1");
	return result == 0x020406080a0c0e10ULL;
}

static bool try_avx2(void)
{
	uint64_t result;

	asm volatile("vmovq %1, %%xmm0\n\tvpbroadcastq %%xmm0, %%ymm0\n\tvpaddb %%ymm0, %%ymm0, %%ymm1\n\t"
		     "vextracti128 $1, %%ymm1, %%xmm1\n\tvmovq %%xmm1, %0\n\tvzeroupper"
		     : "=r"(result) : "r"(0x0102030405060708ULL) : "xmm0", "xmm1");
	return result == 0x020406080a0c0e10ULL;
}

static bool try_bmi1(void)
{
	uint64_t result;

	asm volatile("blsr %1, %0" : "=r"(result) : "r"(0x30ULL) : "cc");
	return result == 0x20;
}

static bool try_bmi2(void)
{
	uint64_t result;

	asm volatile("pext %2, %1, %0" : "=r"(result) : "r"(0xabcdULL), "r"(0xff00ULL));
	return result == 0xab;
}

static bool try_adx(void)
{
	uint64_t result = 1;

	asm volatile("clc\n\tadcx %1, %0" : "+r"(result) : "r"(2ULL) : "cc");
	return result == 3;
}

static bool try_rdtscp(void)
{
	uint32_t low, high, cpu;

	asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(cpu));
	return low != 0 || high != 0;
}

static bool try_fsgsbase(void)
{
	uint64_t base;

	asm volatile("rdfsbase %0" : "=r"(base));
	return base != 0;
}

static bool try_xgetbv(void)
{
	uint32_t low, high;
	struct leaf offered = leaf_of(0xd, 0);

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & ~offered.eax) == 0 && (high & ~offered.edx) == 0 && (low & 3) == 3;
}

static bool try_clflushopt(void)
{
	int word = 1;

	asm volatile("clflushopt %0" : "+m"(word));
	return word == 1;
}

enum word { LEAF_1_ECX, LEAF_7_EBX, EXTENDED_EDX, EXTENDED_ECX, LEAF_1_EDX };

static const struct feature {
	const char *name;
	enum word word;
	int bit;
	bool (*run)(void);
} features[] = {
	{ "popcnt", LEAF_1_ECX, 23, try_popcnt },
	{ "cmpxchg16b", LEAF_1_ECX, 13, try_cmpxchg16b },
	{ "ssse3", LEAF_1_ECX, 9, try_ssse3 },
	{ "sse4.1", LEAF_1_ECX, 19, try_sse4_1 },
	{ "sse4.2", LEAF_1_ECX, 20, try_sse4_2 },
	{ "movbe", LEAF_1_ECX, 22, try_movbe },
	{ "aes", LEAF_1_ECX, 25, try_aes },
	{ "pclmulqdq", LEAF_1_ECX, 1, try_pclmulqdq },
	{ "rdrand", LEAF_1_ECX, 30, try_rdrand },
	{ "osxsave", LEAF_1_ECX, 27, try_xgetbv },
	{ "avx", LEAF_1_ECX, 28, try_avx },
	{ "avx2", LEAF_7_EBX, 5, try_avx2 },
	{ "bmi1", LEAF_7_EBX, 3, try_bmi1 },
	{ "bmi2", LEAF_7_EBX, 8, try_bmi2 },
	{ "rdseed", LEAF_7_EBX, 18, try_rdseed },
	{ "adx", LEAF_7_EBX, 19, try_adx },
	{ "clflushopt", LEAF_7_EBX, 23, try_clflushopt },
	{ "fsgsbase", LEAF_7_EBX, 0, try_fsgsbase },
	{ "rdtscp", EXTENDED_EDX, 27, try_rdtscp },
};

/* Features that KVM offers on every processor that supports it. */
static const struct feature expected[] = {
	{ "cx16", LEAF_1_ECX, 13, NULL }, { "x2apic", LEAF_1_ECX, 21, NULL },
	{ "tsc-deadline", LEAF_1_ECX, 24, NULL }, { "hypervisor", LEAF_1_ECX, 31, NULL },
	{ "fpu", LEAF_1_EDX, 0, NULL }, { "tsc", LEAF_1_EDX, 4, NULL },
	{ "msr", LEAF_1_EDX, 5, NULL }, { "pae", LEAF_1_EDX, 6, NULL },
	{ "cx8", LEAF_1_EDX, 8, NULL }, { "apic", LEAF_1_EDX, 9, NULL },
	{ "mtrr", LEAF_1_EDX, 12, NULL }, { "pge", LEAF_1_EDX, 13, NULL },
	{ "cmov", LEAF_1_EDX, 15, NULL }, { "pat", LEAF_1_EDX, 16, NULL },
	{ "mmx", LEAF_1_EDX, 23, NULL }, { "fxsr", LEAF_1_EDX, 24, NULL },
	{ "sse", LEAF_1_EDX, 25, NULL }, { "sse2", LEAF_1_EDX, 26, NULL },
	{ "syscall", EXTENDED_EDX, 11, NULL }, { "nx", EXTENDED_EDX, 20, NULL },
	{ "lm", EXTENDED_EDX, 29, NULL }, { "lahf", EXTENDED_ECX, 0, NULL },
};

static bool offered(const struct feature *feature)
{
	uint32_t word = 0;

	switch (feature->word) {
	case LEAF_1_ECX:
		word = leaf_of(1, 0).ecx;
		break;
	case LEAF_1_EDX:
		word = leaf_of(1, 0).edx;
		break;
	case LEAF_7_EBX:
		word = leaf_of(0, 0).eax >= 7 ? leaf_of(7, 0).ebx : 0;
		break;
	case EXTENDED_EDX:
		word = leaf_of(0x80000001, 0).edx;
		break;
	case EXTENDED_ECX:
		word = leaf_of(0x80000001, 0).ecx;
		break;
	}
	return word >> feature->bit & 1;
}

static void on_refusal(int number)
{
	(void)number;
	siglongjmp(refused, 1);
}

static void append(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, " %s", name);
}

void check_features(void)
{
	struct sigaction action = { .sa_handler = on_refusal }, before;
	char right[400] = "", wrong[400] = "", missing[400] = "";

	sigaction(SIGILL, &action, &before);
	for (volatile size_t i = 0; i < COUNT(features); i++) {
		volatile bool good = false;

		if (!offered(&features[i]))
			continue;
		if (sigsetjmp(refused, 1) == 0)
			good = features[i].run();
		append(good ? right : wrong, sizeof(right), features[i].name);
	}
	sigaction(SIGILL, &before, NULL);
	for (size_t i = 0; i < COUNT(expected); i++) {
		if (!offered(&expected[i]))
			append(missing, sizeof(missing), expected[i].name);
	}
	check(!*wrong && *right, "what CPUID offers can be executed", "good:%s; refused or wrong:%s",
	      right, *wrong ? wrong : " none");
	check(!*missing, "CPUID offers what KVM always has", "missing:%s", *missing ? missing : " none");
}
