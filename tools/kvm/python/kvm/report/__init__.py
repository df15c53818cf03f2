# SPDX-License-Identifier: GPL-2.0-only
"""Reports on runs: closing lines, and files and pages of matrix runs, bisections and boots."""
