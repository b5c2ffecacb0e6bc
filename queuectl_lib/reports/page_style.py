"""How a report looks: on screens of all widths, light and dark, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--soft:#5b6470;--rule:#d5dae0;--panel:#f5f7f9;
--done:#2e6fb7;--bad:#c8452b;--bad-ground:#f6d5cc;--run:#1b1f24;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--text:#e6e9ed;--soft:#a3acb8;--rule:#3a424c;--panel:#1d2228;
--done:#5b9be0;--bad:#f2785c;--bad-ground:#542a20;--run:#f0f2f5;--warn:#f0b740}}
*{box-sizing:border-box}
html{background:var(--ground);color:var(--text);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
body{margin:0 auto;padding:20px 16px 48px;max-width:1560px}
h1{font-size:1.5rem;margin:0 0 .2em;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .25em}
p{margin:.2em 0 .5em;overflow-wrap:anywhere}
code,pre{font:.84em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
code,pre,td,li strong{unicode-bidi:isolate;overflow:hidden}
pre{margin:.3em 0 0;white-space:pre-wrap;background:var(--panel);padding:.4em .6em;border-left:3px solid var(--bad)}
.soft,.note,caption{color:var(--soft)}
.note{font-size:.87rem}
.head{border-bottom:1px solid var(--rule);margin-bottom:18px;padding-bottom:12px}
.why{font-size:1.08rem;margin:.6em 0 .2em}
.type{margin:.1em 0 .1em 1.2em}
.troubles{margin:.5em 0;padding:.5em .8em .5em 1.8em;border-left:4px solid var(--warn);background:var(--panel)}
.well{margin:.5em 0;border-left:4px solid var(--done);padding:.35em .8em;background:var(--panel)}
.states{list-style:none;margin:.8em 0 0;padding:0;display:flex;flex-wrap:wrap;gap:6px 22px}
.states b{font-size:1.25rem;font-variant-numeric:tabular-nums}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,600px),1fr));gap:28px 36px}
figure,section{margin:0;min-width:0}
section,.alone{margin-top:32px}
svg.plot{display:block;overflow:hidden;color:var(--text)}
svg.defs{position:absolute}
svg text{fill:currentColor;font-size:12px;font-family:inherit}
svg .halo{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-linejoin:round}
.g{stroke:var(--rule)}
.axis{stroke:var(--soft)}
.done{fill:var(--done)}
.bad{fill:url(#hatch);stroke:var(--bad);stroke-width:.6px}
.run{fill:var(--ground);stroke:var(--text);stroke-width:1.2px}
.other{fill:none;stroke:var(--soft);stroke-dasharray:2 2}
.ground{fill:var(--bad-ground)}
.stroke{fill:var(--bad)}
.lrun{stroke:var(--run);stroke-width:1.8px;stroke-linecap:round}
.lmed{stroke:var(--done);stroke-width:2.4px;stroke-linecap:round}
.lp95{stroke:var(--bad);stroke-width:1.8px;stroke-dasharray:5 3}
.legend{list-style:none;margin:.2em 0 .4em;padding:0;display:flex;flex-wrap:wrap;gap:2px 18px;font-size:.87rem}
.key{vertical-align:-1px;margin-right:4px}
.narrow-only{display:none}
details{margin-top:6px;font-size:.87rem}
summary{cursor:pointer;color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.87rem}
caption{text-align:left}
th,td{text-align:left;vertical-align:top;padding:3px 12px 3px 0;border-bottom:1px solid var(--rule)}
th{white-space:nowrap;font-weight:600}
td{overflow-wrap:anywhere;max-width:60ch}
td:first-child:not(:only-child){min-width:7ch}
td:last-child:not(.n){min-width:12ch}
time{white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.failures{padding-left:2.2em}
.failures li{margin-bottom:.8em;overflow-wrap:anywhere}
footer{margin-top:36px;font-size:.87rem;color:var(--soft);overflow-wrap:anywhere}
@media (max-width:720px){td:first-child:not(:only-child){min-width:16ch}td:last-child:not(.n){min-width:26ch}
.wide-only{display:none}.narrow-only{display:inline}}
@media print{
:root{color-scheme:light;--ground:#fff;--text:#000;--soft:#444;--rule:#bbb;--panel:#f4f4f4;
--done:#2e6fb7;--bad:#b83a20;--bad-ground:#f6d5cc;--run:#000;--warn:#8a5a00}
html{font-size:11px}
svg text{font-size:10px}
footer{margin-top:8px}
body{max-width:none;padding:0}
details{display:none}
figure,.failures li,tr,.head{break-inside:avoid}
h2,.note,.finding{break-after:avoid}
.plots{display:block}
figure{margin-bottom:22px}
.wide{overflow:visible}
thead{display:table-header-group}
.done,.bad,.ground,.stroke,.run{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""
