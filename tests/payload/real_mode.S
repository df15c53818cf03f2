/* SPDX-License-Identifier: GPL-2.0-only */
/* Raw code for real mode: checks where it is, says so on COM1, and leaves with 0 (pass). */
	.code16
	.text
	.globl _start
_start:
	movw %cs, %ax
	cmpw $0x1000, %ax
	jne fail
	movw %ds, %bx
	cmpw %ax, %bx
	jne fail
	call here
here:
	popw %ax
	cmpw $here, %ax
	jne fail
	movw $text, %si
	cld
1:	movw $0x3fd, %dx
2:	inb %dx, %al
	testb $0x20, %al
	jz 2b
	lodsb
	testb %al, %al
	jz 3f
	movw $0x3f8, %dx
	outb %al, %dx
	jmp 1b
3:	xorl %eax, %eax
	jmp leave
fail:
	movl $1, %eax
leave:
	movw $0xf4, %dx
	outl %eax, %dx
	jmp leave
text:
	.asciz "PASS: real mode\n"

	.section .note.GNU-stack, "", @progbits
