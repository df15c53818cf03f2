// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks the processors' CPUID: a KVM guest with the requested topology, the same on all of
 * them, without features that do not work.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercises.h"
#include "features.h"
#include "report.h"
#include "threads.h"

enum { LEAVES_MAX = 400 };

struct view {
	struct leaf leaves[LEAVES_MAX];
	int count;
	uint32_t apic_id, x2apic_id, threads, cores;
};

struct survey {
	struct view *views;
};

static void collect(struct view *view, uint32_t first)
{
	struct leaf top = leaf_of(first, 0);

	if (top.eax < first || top.eax > first + 0x100)
		return;
	for (uint32_t function = first; function <= top.eax; function++) {
		for (uint32_t index = 0; index < 4 && view->count < LEAVES_MAX; index++)
			view->leaves[view->count++] = leaf_of(function, index);
	}
}

/* Fields that identify one processor are not compared. */
static void mask_identity(struct leaf *leaf)
{
	if (leaf->function == 1)
		leaf->ebx &= 0x00ffffff;
	if (leaf->function == 0xb || leaf->function == 0x1f)
		leaf->edx = 0;
	if (leaf->function == 0x8000001e) {
		leaf->eax = 0;
		leaf->ebx &= 0xffffff00;
	}
}

static void look(int cpu, void *context)
{
	struct survey *survey = context;
	struct view *view = &survey->views[cpu];

	collect(view, 0);
	collect(view, 0x40000000);
	collect(view, 0x80000000);
	view->apic_id = leaf_of(1, 0).ebx >> 24;
	view->x2apic_id = leaf_of(0, 0).eax >= 0xb ? leaf_of(0xb, 0).edx : view->apic_id;
	for (int i = 0; i < view->count; i++)
		mask_identity(&view->leaves[i]);
}

static void check_identities(const struct view *views, int cpus)
{
	int wrong = 0, different = 0;
	uint32_t function = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		wrong += views[cpu].apic_id != (uint32_t)cpu || views[cpu].x2apic_id != (uint32_t)cpu;
		for (int i = 0; i < views[0].count; i++) {
			if (memcmp(&views[cpu].leaves[i], &views[0].leaves[i], sizeof(struct leaf)) == 0)
				continue;
			different++;
			function = views[0].leaves[i].function;
		}
	}
	check(wrong == 0, "APIC ids are the CPU numbers", "%d of %d wrong; the last CPU has %u and %u",
	      wrong, cpus, views[cpus - 1].apic_id, views[cpus - 1].x2apic_id);
	check(different == 0, "all CPUs are alike", "%d of %d leaves differ (last: %#x)", different,
	      views[0].count, function);
}

static void check_topology(int cpus)
{
	struct leaf one = leaf_of(1, 0), thread = leaf_of(0xb, 0), core = leaf_of(0xb, 1);
	bool htt = one.edx >> 28 & 1;

	check((one.ebx >> 16 & 0xff) == (uint32_t)cpus && htt == (cpus > 1), "CPUs in the package",
	      "leaf 1 says %u, HTT %d; there are %d", one.ebx >> 16 & 0xff, htt, cpus);
	if (leaf_of(0, 0).eax >= 0xb) {
		check((thread.ebx & 0xffff) == 1 && (core.ebx & 0xffff) == (uint32_t)cpus &&
		      (thread.ecx >> 8 & 0xff) == 1 && (core.ecx >> 8 & 0xff) == 2 &&
		      (core.eax & 0x1f) < 32 && 1U << (core.eax & 0x1f) >= (uint32_t)cpus,
		      "topology", "leaf 0xb: %u thread(s) a core, %u core(s), %u bits of id; %d wanted",
		      thread.ebx & 0xffff, core.ebx & 0xffff, core.eax & 0x1f, cpus);
	}
	if (vendor_is("AuthenticAMD"))
		check((leaf_of(0x80000008, 0).ecx & 0xff) + 1 == (uint32_t)cpus, "AMD core count",
		      "leaf 0x80000008 says %u, there are %d", (leaf_of(0x80000008, 0).ecx & 0xff) + 1,
		      cpus);
}

static void check_hypervisor(void)
{
	struct leaf one = leaf_of(1, 0), kvm = leaf_of(0x40000000, 0);
	uint32_t offers = leaf_of(0x40000001, 0).eax;
	char signature[13] = "";

	memcpy(signature, &kvm.ebx, 4);
	memcpy(signature + 4, &kvm.ecx, 4);
	memcpy(signature + 8, &kvm.edx, 4);
	check((one.ecx >> 31) && memcmp(&kvm.ebx, "KVMKVMKVM\0\0\0", 12) == 0,
	      "a KVM guest", "hypervisor bit %u, signature \"%s\"", one.ecx >> 31, signature);
	/* Bits of KVM_CPUID_FEATURES: CLOCKSOURCE2 and CLOCKSOURCE_STABLE. */
	check(offers >> 3 & 1 && offers >> 24 & 1, "kvm-clock is offered and stable",
	      "leaf 0x40000001 eax %#x", offers);
	check(!(one.ecx >> 5 & 1) && !(leaf_of(0x80000001, 0).ecx >> 2 & 1), "no nesting is offered",
	      "VMX %u, SVM %u", one.ecx >> 5 & 1, leaf_of(0x80000001, 0).ecx >> 2 & 1);
}

void exercise_cpuid(char **argv)
{
	int cpus = atoi(argv[0]);
	struct survey survey = { .views = calloc(cpus, sizeof(struct view)) };

	if (!survey.views)
		die("memory");
	on_each_cpu(cpus, look, &survey);
	check_hypervisor();
	check_identities(survey.views, cpus);
	check_topology(cpus);
	check_features();
	free(survey.views);
}
