/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the multiboot entry (32-bit, paging off) to main() in 64-bit mode with the first 4 GiB
 * mapped one to one; and the same way for the other processors, from their SIPI in real mode.
 */
#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18

#define CR0_PG_WP_PE 0x80010001
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LME_NXE 0x900

	.section .multiboot, "a"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.text
	.code32
	.globl start
start:
	cld
	movl %ebx, boot_information
	movl $stack_top, %esp
	lgdt gdt_pointer
	call fill_page_tables
	call enable_long_mode
	ljmp $CODE64, $start64

/* 2048 pages of 2 MiB, present and writable. */
fill_page_tables:
	movl $page_directories, %edi
	movl $0x83, %eax
	movl $2048, %ecx
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	loop 1b
	movl $page_directories + 3, %eax
	movl $page_pointers, %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $8, %edi
	addl $4096, %eax
	loop 2b
	movl $page_pointers + 3, page_root
	ret

/* NX stays off where the processor has none: a set bit would fault. */
	.globl enable_long_mode
enable_long_mode:
	movl $0x80000001, %eax
	cpuid
	movl %edx, %esi
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $page_root, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $0x100, %eax
	btl $20, %esi
	jnc 3f
	orl $0x800, %eax
3:	wrmsr
	movl $CR0_PG_WP_PE, %eax
	movl %eax, %cr0
	ret

	.code64
start64:
	call load_segments
	movq $stack_top, %rsp
	call runtime_main
4:	hlt
	jmp 4b

	.globl load_segments
load_segments:
	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	ret

/* Another processor starts here, copied to a page below 1 MiB. */
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl trampoline_gdt_pointer - trampoline
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE32, $other_start32
trampoline_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code32
other_start32:
	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $1, %ebp
	lock xaddl %ebp, others_started
	movl %ebp, %eax
	incl %eax
	shll $12, %eax
	leal other_stacks(%eax), %esp
	call enable_long_mode
	ljmp $CODE64, $other_start64

	.code64
other_start64:
	call load_segments
	movl %ebp, %edi
	incl %edi
	call runtime_other
5:	cli
	hlt
	jmp 5b

	.data
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
	.globl gdt, boot_information, others_started
	.balign 4
boot_information:
	.long 0
others_started:
	.long 0

	.bss
	.globl page_root, page_pointers
	.balign 4096
page_root:
	.skip 4096
page_pointers:
	.skip 4096
page_directories:
	.skip 4 * 4096
	.skip 16384
stack_top:
other_stacks:
	.skip 64 * 4096

	.section .note.GNU-stack, "", @progbits
