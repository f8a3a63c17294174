"""The page's looks: one column on a telephone, two on a desk, light and dark as the reader's system is."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fcfcfb; --card: #ffffff; --ink: #1c1c1a; --soft: #5c5b57; --line: #dddbd5; --grid: #e8e6e1;
  --candidate: #2a6fc9; --incumbent: #c2571a; --wrong: #c2321a; --good: #157347; --bad: #b02a1e; --on: #ffffff; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #161615; --card: #1f1f1d; --ink: #f2f1ec; --soft: #b3b1a9; --line: #3a3935; --grid: #2f2e2b;
  --candidate: #6aa5f0; --incumbent: #f09a63; --wrong: #ff7a63; --good: #5fcf93; --bad: #ff8f80; --on: #0b1420; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 75rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: 0 0 .75rem; }
h1, h2, h3, p, td, li { overflow-wrap: anywhere; }
th { overflow-wrap: break-word; } .classes tbody th, .facts th, figcaption { overflow-wrap: anywhere; }
.soft, figcaption small, caption { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 1rem 0; }
.columns { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.columns > * { min-width: 0; }
svg { display: block; width: 100%; max-width: 34rem; height: auto; }
svg text { fill: var(--soft); font-size: 11px; }
svg .ink { fill: var(--ink); }
svg .on { fill: var(--on); }
.grid { stroke: var(--grid); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.candidate { stroke: var(--candidate); } .incumbent { stroke: var(--incumbent); stroke-dasharray: 6 4; }
.faint { stroke: var(--candidate); stroke-width: 1; opacity: .45; }
.dot { fill: var(--candidate); stroke: none; } .dot.second { fill: var(--incumbent); }
.chance { stroke: var(--soft); stroke-dasharray: 2 4; }
.right { fill: var(--candidate); } .wrong { fill: var(--wrong); }
.legend + p { margin-top: .5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; margin: .5rem 0 0; font-size: .85rem; }
.legend svg { display: inline-block; width: 1.6rem; height: .6rem; margin-right: .35rem; vertical-align: middle; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } thead th { color: var(--soft); font-weight: 500; }
td small { color: var(--soft); display: block; }
.number { text-align: right; overflow-wrap: normal; }
.classes tbody th { min-width: 8rem; }
.facts th { width: 32%; font-weight: 500; color: var(--soft); }
.facts td { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .82rem; }
.better { color: var(--good); } .worse { color: var(--bad); }
.note { border-left: 4px solid var(--incumbent); padding: .5rem .75rem; background: var(--paper); }
.bar { height: 4px; background: var(--grid); border-radius: 2px; margin-top: .25rem; }
.bar i { display: block; height: 4px; border-radius: 2px; background: var(--candidate); }
.pictures { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
figure { margin: 0; min-width: 0; } figcaption { font-size: .8rem; line-height: 1.35; margin-top: .25rem; }
figcaption small { display: block; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; background: var(--grid); border-radius: 4px; }
figure .values { font: .72rem ui-monospace, "DejaVu Sans Mono", monospace; background: var(--paper); border: 1px solid var(--line);
  border-radius: 4px; padding: .4rem; overflow-wrap: anywhere; }
details > summary { cursor: pointer; color: var(--soft); padding: .5rem 0; }
@media (max-width: 30rem) { body { font-size: 14px; padding: 1rem .6rem 2rem; } section { padding: .75rem .6rem; }
  th, td { padding: .3rem .25rem; } table { font-size: .82rem; }
  .classes thead { display: none; } .classes tr { display: grid; grid-template-columns: repeat(3, 1fr); border-bottom: 1px solid var(--line); }
  .classes th { grid-column: 1 / -1; } .classes th, .classes td { border: 0; text-align: left; }
  .classes td::before { content: attr(data-of); display: block; color: var(--soft); } }
"""
