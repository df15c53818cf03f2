# SPDX-License-Identifier: GPL-2.0-only
"""The page's style. A verdict that has a colour also has a symbol and a word."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #1c2128; --soft: #57606a; --line: #d5dae1;
  --link: #0a58c2; --code: #f3f4f6; --mark: #fff0b8; --mark-ink: #3d2c00;
  --pass: #116329; --pass-bg: #d9f5e1; --fail: #a40e26; --fail-bg: #ffe3e3;
  --error: #6b2fb3; --error-bg: #efe3ff; --flaky: #7a4b00; --flaky-bg: #ffeec2;
  --skip: #4b535d; --skip-bg: #e4e8ed; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0e1116; --card: #161b22; --ink: #e6ebf1; --soft: #9aa5b1; --line: #2d343d;
  --link: #7ab7ff; --code: #0e1116; --mark: #4a3900; --mark-ink: #ffe9a8;
  --pass: #6ddb8b; --pass-bg: #10301c; --fail: #ff9a96; --fail-bg: #481a1c;
  --error: #cfa8ff; --error-bg: #331f52; --flaky: #f3c65f; --flaky-bg: #3d2d05;
  --skip: #b3bcc6; --skip-bg: #262d36; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; overflow-wrap: break-word; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 84rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.25rem; margin: 2rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
h3 a { color: inherit; text-decoration: none; overflow-wrap: anywhere; }
h3 a:hover { text-decoration: underline; }
h3 .took { margin-left: auto; font-weight: 400; color: var(--soft); font-size: .875rem; }
h4 { font-size: .875rem; margin: 1rem 0 .25rem; color: var(--soft); }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible, input:focus-visible + label {
  outline: 2px solid var(--link); outline-offset: 2px; }
code, pre, .id { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
code, .id { font-size: .875em; overflow-wrap: anywhere; }
.whole { white-space: nowrap; }
.wrapped pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.v-pass { --v: var(--pass); --v-bg: var(--pass-bg); }
.v-fail { --v: var(--fail); --v-bg: var(--fail-bg); }
.v-error { --v: var(--error); --v-bg: var(--error-bg); }
.v-flaky { --v: var(--flaky); --v-bg: var(--flaky-bg); }
.v-skip { --v: var(--skip); --v-bg: var(--skip-bg); }
.badge { display: inline-block; padding: .1rem .55rem; border-radius: 1rem; font-weight: 650;
  font-size: .8125rem; color: var(--v); background: var(--v-bg); white-space: nowrap; }
.bar { display: flex; height: .625rem; border-radius: .3125rem; overflow: hidden; gap: 2px;
  margin: .75rem 0; }
.bar span { background: var(--v); min-width: 4px; }
.counts { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 0; list-style: none; }
.counts .badge { font-size: 1rem; padding: .2rem .9rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr));
  gap: .25rem 1.5rem; margin: .75rem 0; font-size: .875rem; }
.facts div { min-width: 0; overflow-wrap: anywhere; }
.facts .wide { grid-column: 1 / -1; }
.facts dt { display: inline; color: var(--soft); }
.facts dt::after { content: ": "; }
.facts dd { display: inline; margin: 0; }
nav { position: sticky; top: 0; z-index: 3; background: var(--page);
  border-bottom: 1px solid var(--line); margin-top: 1rem; }
nav > div { max-width: 84rem; margin: 0 auto; padding: .5rem 1rem; display: flex; flex-wrap: wrap;
  gap: .25rem 1rem; align-items: center; font-size: .9375rem; }
nav fieldset { border: 0; margin: 0 0 0 auto; padding: 0; display: none; gap: .25rem; }
@supports selector(:has(a)) { nav fieldset { display: flex; } }
nav label { padding: .1rem .6rem; border-radius: 1rem; cursor: pointer; color: var(--soft); }
nav input { position: absolute; opacity: 0; }
nav input:checked + label { background: var(--skip-bg); color: var(--ink); font-weight: 600; }
:root:has(#only-bad:checked) .cell.v-pass:not(:target) { display: none; }
.box { background: var(--card); border: 1px solid var(--line); border-radius: .625rem; }
.changes { list-style: none; margin: 0; padding: .25rem 0; }
.changes li { padding: .4rem 1rem; display: flex; flex-wrap: wrap; gap: .1rem .6rem;
  align-items: baseline; }
.changes li + li { border-top: 1px solid var(--line); }
.changes .soft { font-size: .875rem; }
.scroll { overflow: auto; max-height: 85vh; }
table { border-collapse: collapse; font-size: .875rem; }
caption { text-align: left; padding: .6rem 1rem; color: var(--soft); font-size: .875rem; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: bottom; font-weight: 400; }
.grid { border-collapse: separate; border-spacing: 3px; min-width: 100%; }
.grid thead th { position: sticky; top: 0; background: var(--card); z-index: 1;
  font-size: .8125rem; line-height: 1.3; }
.grid tbody th { position: sticky; left: 0; background: var(--card); font-weight: 600;
  white-space: nowrap; vertical-align: middle; }
.grid thead th:first-child { left: 0; z-index: 2; }
.grid .axis { display: block; white-space: nowrap; }
.grid td { padding: 0; vertical-align: middle; }
.grid td a { display: block; padding: .3rem .6rem; border-radius: .375rem; color: var(--v);
  background: var(--v-bg); text-decoration: none; white-space: nowrap; font-weight: 650; }
.grid td a:hover { text-decoration: underline; }
.grid td small { display: block; font-weight: 400; }
.grid .where { display: none; }
.cell { padding: .9rem 1rem; margin: 0 0 .75rem; border-left: .3125rem solid var(--v); }
.cell:target { outline: 3px solid var(--link); outline-offset: 1px; }
.cell.v-pass { content-visibility: auto; contain-intrinsic-size: auto 11rem; }
.summary { margin: .5rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.chips { display: flex; flex-wrap: wrap; gap: .25rem; margin: .5rem 0; padding: 0;
  list-style: none; font-size: .8125rem; }
.chips li { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .55rem;
  overflow-wrap: anywhere; }
.history { display: flex; flex-wrap: wrap; gap: 3px; margin: .25rem 0; padding: 0;
  list-style: none; }
.history li { width: 1.375rem; height: 1.375rem; border-radius: .25rem; text-align: center;
  font-size: .8125rem; line-height: 1.375rem; font-weight: 700; color: var(--v);
  background: var(--v-bg); }
.history li:last-child { box-shadow: inset 0 0 0 2px var(--v); }
details { margin: .5rem 0; }
summary { cursor: pointer; font-size: .9375rem; }
summary::marker { color: var(--soft); }
pre { background: var(--code); border: 1px solid var(--line); border-radius: .375rem;
  margin: .4rem 0; padding: .6rem .75rem; overflow: auto; max-height: 32rem; font-size: .8125rem;
  line-height: 1.45; tab-size: 8; }
pre mark { background: var(--mark); color: var(--mark-ink); display: inline-block;
  min-width: 100%; }
pre mark:target { outline: 2px solid var(--link); outline-offset: -2px; }
pre .gap { color: var(--soft); font-style: italic; }
.checks, .checks ul { list-style: none; margin: .25rem 0; padding-left: 0; font-size: .875rem; }
.checks ul { padding-left: 1.1rem; border-left: 1px solid var(--line); }
.checks li { overflow-wrap: anywhere; padding: .1rem 0; }
.checks .badge { font-size: .75rem; padding: 0 .4rem; }
.tables { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
.tables > div { overflow-x: auto; max-width: 100%; }
.tables td + td, .tables th + th { text-align: right; font-variant-numeric: tabular-nums; }
.tables tr + tr > * { border-top: 1px solid var(--line); }
.tables caption { padding: .2rem .6rem; font-weight: 600; }
footer { padding-bottom: 3rem; margin-top: 2rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 45rem) {
  h1 { font-size: 1.35rem; }
  nav fieldset { margin-left: 0; }
  html { scroll-padding-top: 6rem; }
  .cell { padding: .75rem; }
  .scroll { max-height: none; }
  .grid, .grid caption, .grid tbody, .grid td, .grid tbody th { display: block; }
  .grid thead, .grid td.none { display: none; }
  .grid tbody tr { padding: .25rem .6rem .6rem; display: grid; gap: .3rem;
    grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
  .grid tbody th { position: static; grid-column: 1 / -1; padding: .3rem 0 0; }
  .grid .where { display: block; font-weight: 400; line-height: 1.3; }
  .grid td a { white-space: normal; height: 100%; } }
@media print { nav { display: none; } .cell { break-inside: avoid; } }
"""
