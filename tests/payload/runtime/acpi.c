// SPDX-License-Identifier: GPL-2.0-only
#include "acpi.h"

#include <stddef.h>

#include "runtime.h"

#define LENGTH 4
#define HEADER 36
#define ROOT_FIRST 0xe0000ul
#define ROOT_END 0x100000ul
#define ROOT_REVISION 15
#define ROOT_RSDT 16
#define ROOT_XSDT 24

#define PACKAGE 0x12
#define BYTE 0x0a
#define ONE 0x01

static bool same(const uint8_t *at, const char *text)
{
	for (size_t i = 0; text[i]; ++i)
		if (at[i] != (uint8_t)text[i])
			return false;
	return true;
}

static const uint8_t *at_address(uint32_t address)
{
	return (const uint8_t *)(uint64_t)address;
}

static const uint8_t *root(void)
{
	for (uint64_t at = ROOT_FIRST; at < ROOT_END; at += 16)
		if (same((const uint8_t *)at, "RSD PTR "))
			return (const uint8_t *)at;
	return 0;
}

const uint8_t *acpi_table(const char *signature)
{
	const uint8_t *pointer = root(), *list;
	uint32_t width;

	if (!pointer)
		return 0;
	width = pointer[ROOT_REVISION] >= 2 && acpi_u32(pointer + ROOT_XSDT) ? 8 : 4;
	list = at_address(acpi_u32(pointer + (width == 8 ? ROOT_XSDT : ROOT_RSDT)));
	for (uint32_t i = HEADER; i < acpi_u32(list + LENGTH); i += width) {
		const uint8_t *table = at_address(acpi_u32(list + i));

		if (same(table, signature))
			return table;
	}
	return 0;
}

// Name, PackageOp, PkgLength of one byte, NumElements, and the first element: a byte, One or Zero.
int acpi_sleep_type(const char *state)
{
	const uint8_t *fadt = acpi_table("FACP"), *dsdt;

	if (!fadt)
		return -1;
	dsdt = at_address(acpi_u32(fadt + FADT_DSDT));
	for (uint32_t i = HEADER; i + 9 < acpi_u32(dsdt + LENGTH); ++i) {
		const uint8_t *at = dsdt + i;

		if (!same(at, state) || at[4] != PACKAGE)
			continue;
		return at[7] == BYTE ? at[8] : at[7] == ONE;
	}
	return -1;
}
