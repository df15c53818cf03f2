/* SPDX-License-Identifier: GPL-2.0-only */
/* ACPI's tables (ACPI 6.5, 5.2), as far as the tests need them. */
#pragma once

#include <stdint.h>

/* The table with this signature, which the root table lists; 0 if there is none. */
const uint8_t *acpi_table(const char *signature);

/* The fields of a table, at any alignment. */
static inline uint32_t acpi_u32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Offsets in the FADT. */
#define FADT_FACS 36
#define FADT_DSDT 40
#define FADT_PM1_EVENT 56
#define FADT_PM1_CONTROL 64

/* PM1 (4.8.3). */
#define PM1_RTC (1u << 10)
#define PM1_WAKE (1u << 15)
#define PM1_SLEEP_ENABLE (1u << 13)

/* The SLP_TYP of a sleep state such as "_S3_"; -1 if the machine has none. */
int acpi_sleep_type(const char *state);
