/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The exercises, as main() calls them: words after the name in argv, results to report.h.
 */
#ifndef TOOLSKVM_EXERCISES_H
#define TOOLSKVM_EXERCISES_H

void exercise_smp(char **argv);
void exercise_memory(char **argv);
void exercise_clock(char **argv);
void exercise_cpuid(char **argv);
void exercise_fill(char **argv);
void exercise_verify(char **argv);
void exercise_writers(char **argv);
void exercise_zero(char **argv);
void exercise_discard(char **argv);
void exercise_zeroes(char **argv);
void exercise_reads(char **argv);
void exercise_rate(char **argv);
void exercise_files_write(char **argv);
void exercise_files_verify(char **argv);
void exercise_stream(char **argv);
void exercise_stream_serve(char **argv);
void exercise_flows(char **argv);
void exercise_hwrng(char **argv);
void exercise_kmsg(char **argv);
void exercise_leak(char **argv);
void exercise_hostile(char **argv);
void exercise_screen(char **argv);

#endif
