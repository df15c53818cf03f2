# SPDX-License-Identifier: GPL-2.0-only
"""The page's style, on top of the matrix page's colours and tables."""

from __future__ import annotations

STYLE = """
:root { --bar: #2f6fc4; --host: #ccd3dc; --vmm: #b7d1f5; --loader: #9ad2e6; --early: #c3e3ac;
  --calls: #f0d687; --init: #f3b98e; --command: #d8c1ef; }
@media (prefers-color-scheme: dark) { :root { --bar: #6aa9f4; --host: #3b4450; --vmm: #24476f;
  --loader: #145a6c; --early: #345a20; --calls: #675010; --init: #763f18; --command: #523679; } }
.panel { padding: .75rem 1rem; margin: 0 0 1rem; }
.chart { display: grid; grid-template-columns: minmax(0, 1fr); }
.chart > svg { grid-area: 1 / 1; display: block; width: 100%; overflow: hidden; }
.chart .names { pointer-events: none; z-index: 1; }
.chart text { font: .6875rem ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace;
  fill: var(--ink); }
.chart .soft, .chart .tick { fill: var(--soft); }
.grid-line { stroke: var(--line); }
.mark-line { stroke: var(--m); stroke-width: 1.5; stroke-opacity: .7; }
.mark-touch { stroke: transparent; stroke-width: 11; }
.chart .mark-label { fill: var(--m); font-weight: 650; }
.chart .mark-label, .chart .tick { paint-order: stroke; stroke: var(--card); stroke-width: 4px;
  stroke-linejoin: round; }
.chart .inside { pointer-events: none; }
.bar-thin { stroke-width: 1; }
.bar-tall { stroke: var(--card); stroke-width: 1; }
.l-call { fill: var(--bar); stroke: var(--bar); }
.l-open { fill: var(--fail-bg); stroke: var(--fail); stroke-dasharray: 4 2; stroke-width: 2; }
.l-even { fill: var(--vmm); } .l-odd { fill: var(--host); }
.l-host { --s: var(--host); } .l-vmm { --s: var(--vmm); } .l-loader { --s: var(--loader); }
.l-early { --s: var(--early); } .l-initcalls { --s: var(--calls); } .l-init { --s: var(--init); }
.l-command { --s: var(--command); }
.l-stage { fill: var(--s); }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem;
  margin-right: .4rem; background: var(--s); vertical-align: -.05rem; }
.m-panic, .m-oops { --m: var(--fail); } .m-warn { --m: var(--flaky); }
.m-init { --m: var(--pass); } .m-mark { --m: var(--error); }
.wide-table { overflow-x: auto; margin: 0 0 1rem; }
.wide-table td { vertical-align: top; border-top: 1px solid var(--line); min-width: 8rem; }
.wide-table .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  min-width: 0; }
.wide-table .note { display: block; color: var(--soft); }
.wide-table code { overflow-wrap: anywhere; }
.notes { font-size: .9375rem; }
@media (min-width: 60rem) {
  .chart { grid-template-columns: 18rem minmax(0, 1fr); gap: 1rem; }
  .chart > .plot { grid-area: 1 / 2; }
  .chart .name { transform: translateY(12px); }
  .chart .name.lane { transform: translateY(18px); }
  .bar-thin { transform: translateY(-6px); height: 16px; } }
"""
