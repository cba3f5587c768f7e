"""The style of a report, inside its one file: light and dark as the reader's system is, and black on white in print."""

STYLE = """
:root { color-scheme: light dark; --ink: #23211d; --soft: #5f5a52; --line: #ddd9d0; --paper: #ffffff; --accent: #0f766e;
  --second: #b45309; --on-accent: #ffffff; --cell: #f6f4ef; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece9e3; --soft: #b5afa5; --line: #3d3a35; --paper: #1b1a18;
  --accent: #5ec4b8; --second: #f0a35e; --on-accent: #10201e; --cell: #24221f; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --accent: #0f766e;
  --second: #b45309; --on-accent: #fff; --cell: #f6f4ef; } }
@page { size: A4; margin: 16mm; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; unicode-bidi: plaintext; }
main { max-width: 820px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.15rem; font-weight: 600; color: var(--soft); margin: 0 0 16px; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; line-height: 1.3; break-after: avoid; }
header h2 { font-size: 1.05rem; margin: 20px 0 4px; }
p, ul { margin: 0 0 12px; }
ul { padding-left: 20px; }
li p { margin: 0; }
.first { display: flex; gap: 24px; align-items: center; flex-wrap: wrap; }
.first > div { flex: 1 1 300px; }
.headline { font-size: 1.7rem; line-height: 1.25; font-weight: 650; margin: 0 0 8px; }
.note { color: var(--soft); font-size: .9rem; }
svg { max-width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 13px; }
.hundred { width: 150px; flex: none; }
.full, .share { fill: var(--accent); }
.empty { fill: none; stroke: var(--second); }
.cell { fill: var(--cell); }
svg text.light { fill: var(--on-accent); }
.grid { stroke: var(--line); }
.kept { stroke: var(--soft); stroke-dasharray: 3 4; }
polyline { fill: none; stroke-width: 2.5; }
.line-0 { stroke: var(--accent); }
.line-1 { stroke: var(--second); stroke-dasharray: 7 4; }
.table { overflow-x: auto; margin: 0 0 16px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: 500; max-width: 260px; }
thead { display: table-header-group; }
td { min-width: 60px; }
tr, figure, svg { break-inside: avoid; }
.pictures { display: flex; flex-wrap: wrap; gap: 20px; }
figure { margin: 0; flex: 1 1 320px; max-width: 380px; }
figure img { width: calc(50% - 3px); height: auto; border-radius: 6px; }
figure img + img { margin-left: 6px; }
figcaption { font-size: .9rem; }
pre { background: var(--cell); padding: 12px; border-radius: 6px; overflow-x: auto; font-size: .8rem;
  white-space: pre-wrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
* { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""
