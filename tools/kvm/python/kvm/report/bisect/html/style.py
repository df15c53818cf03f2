# SPDX-License-Identifier: GPL-2.0-only
"""The page's style, on top of the matrix page's. A mark that has a colour also has a letter."""

from __future__ import annotations

STYLE = """
:root { --open: #8fb8ec; }
@media (prefers-color-scheme: dark) { :root { --open: #2c558c; } }
.answer { padding: .9rem 1rem; margin: 0 0 .75rem; border-left: .3125rem solid var(--v); }
.answer p { margin: .35rem 0; overflow-wrap: anywhere; }
.subject { font-size: 1.125rem; font-weight: 650; }
.blamed .badge { white-space: normal; }
.candidates { margin: .35rem 0; padding-left: 1.25rem; overflow-wrap: anywhere; }
.path { display: flex; flex-wrap: wrap; gap: .375rem; margin: 0; padding: .75rem;
  list-style: none; }
.path li > * { display: block; width: 3.5rem; padding: .25rem 0; border-radius: .375rem;
  text-align: center; color: var(--v); background: var(--v-bg); text-decoration: none; }
.path a:hover small { text-decoration: underline; }
.path b { display: block; font-size: 1.25rem; line-height: 1.25; }
.path small { display: block; font-size: .75rem; line-height: 1.3; }
.path .found > * { box-shadow: 0 0 0 3px var(--v); }
.mixes { border-collapse: separate; border-spacing: 3px; }
.mixes th { font-weight: 600; vertical-align: middle; }
.mixes td { border-radius: .375rem; color: var(--v); background: var(--v-bg); font-weight: 650;
  min-width: 5.5rem; vertical-align: middle; }
.mixes td.none { background: none; color: var(--soft); font-weight: 400; }
.mixes small { display: block; font-weight: 400; max-width: 16rem; overflow-wrap: anywhere; }
.panel { overflow-x: auto; margin: 0 0 .75rem; }
.panel > p { padding: 0 1rem .6rem; margin: 0; font-size: .875rem; }
.track { position: relative; height: .625rem; margin: .6rem 0; border-radius: .3125rem;
  background: var(--skip-bg); overflow: hidden; }
.track span { position: absolute; top: 0; bottom: 0; }
.track .open { background: var(--open); }
.track .at { width: .5rem; margin-left: -.25rem; background: var(--v); }
@media (max-width: 45rem) {
  .path { padding: .6rem; }
  .path li > * { width: 3.125rem; }
  .mixes th, .mixes td { padding: .3rem .45rem; min-width: 0; } }
"""
