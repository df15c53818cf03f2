/* SPDX-License-Identifier: GPL-2.0-only */
/* Vectors: handlers for interrupts, and faults that a test provokes on purpose. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VECTOR_NMI 2
#define VECTOR_GENERAL_PROTECTION 13
#define VECTOR_PAGE_FAULT 14

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*handler)(struct frame *frame);

void install_vectors(void);
/* Of the same table, on another processor. */
void load_vectors(void);
void set_handler(uint8_t vector, handler function);

/* What the last provoked fault was; vector 0 when there was none. */
struct fault {
	uint64_t vector, error_code, address;
};

/*
 * The instruction between these two may fault, once, on one processor at a time:
 * asm volatile(EXPECT_FAULT "..." FAULT_EXPECTED : ...); then look at fault_taken().
 */
#define EXPECT_FAULT "movq $99f, fault_resume\n\t"
#define FAULT_EXPECTED "\n99:\tmovq $0, fault_resume\n\t"

extern uint64_t fault_resume;
struct fault fault_taken(void);
