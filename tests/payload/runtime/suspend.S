/* SPDX-License-Identifier: GPL-2.0-only */
/* suspend() saves what C expects to find again; the waking code, in real mode, goes back to it. */
#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18
#define EFER 0xc0000080
#define STAR 0xc0000081
#define ROUNDS 1000000

	.text
	.code64
	.globl suspend
suspend:
	cli
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, saved_stack
	movl %edi, %edx
	movl %esi, %eax
	outw %ax, %dx
	movl $ROUNDS, %ecx
1:	pause
	loop 1b
	xorl %eax, %eax
	jmp 2f

awake64:
	call load_segments
	movq saved_stack, %rsp
	call load_vectors
	movl $1, %eax
2:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

/* Copied to a page below 1 MiB. */
	.globl waking_code, waking_code_end
	.code16
waking_code:
	cli
	movl %cr0, %ebx
	movw %cs, %ax
	movw %ax, %ds
	lgdtl waking_gdt_pointer - waking_code
	movl %ebx, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE32, $awake32
waking_gdt_pointer:
	.word 4 * 8 - 1
	.long gdt
waking_code_end:

	.code32
awake32:
	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %ebx, woken + 16
	movl $EFER, %ecx
	rdmsr
	movl %eax, woken
	movl %edx, woken + 4
	movl $STAR, %ecx
	rdmsr
	movl %eax, woken + 8
	movl %edx, woken + 12
	movl $waking_stack_top, %esp
	call enable_long_mode
	ljmp $CODE64, $awake64

	.bss
	.balign 16
	.globl woken
woken:
	.skip 24
saved_stack:
	.skip 8
	.skip 256
waking_stack_top:

	.section .note.GNU-stack, "", @progbits
