# SPDX-License-Identifier: Apache-2.0
"""The style sheets of the page and of the table in notebooks: light, dark, narrow and on paper."""

COLOURS = """\
:root{color-scheme:light dark;--back:#fff;--text:#1c1e21;--dim:#5c6168;--line:#dcdfe3;--soft:#f4f5f7;--link:#1558c0;--focus:#1a66d6;
--l:#efd9f8;--t:#cdebf1;--c:#d6edd6;--g:#d9e4fd;--k:#fbe6b4;--u:#e6e8eb;--r:#fbd5d2;--bar:#c2410c;--dot:#1558c0}
@media(prefers-color-scheme:dark){:root{--back:#15171a;--text:#e6e8ea;--dim:#9ba2aa;--line:#343941;--soft:#1e2126;--link:#8ab8ff;
--focus:#8ab8ff;--l:#4c2c5b;--t:#11464f;--c:#234a26;--g:#26396a;--k:#5a4410;--u:#343941;--r:#672a26;--bar:#fb923c;--dot:#8ab8ff}}
"""

# What both the page and notebooks need; one letter a tier.
TABLE = """\
.amctcfg{border-collapse:collapse;font-variant-numeric:tabular-nums;text-align:left}
.amctcfg th,.amctcfg td{padding:3px 8px;text-align:left;border-bottom:1px solid #8884;font-weight:400;vertical-align:top}
.amctcfg thead th{font-weight:600}
.amctcfg i{font-style:normal;opacity:.72}.amctcfg b{font-weight:600}
.amctcfg .l,.amctcfg .t,.amctcfg .c,.amctcfg .g,.amctcfg .j,.amctcfg .k,.amctcfg .u,.amctcfg .r{border-radius:4px;padding:0 5px}
.amctcfg .bar{width:70px;height:9px;margin-right:7px}.amctcfg td.score{white-space:nowrap}
.amctcfg del{opacity:.75}.amctcfg ins{font-weight:600;text-decoration:none}
"""

# A notebook has a scheme of its own that no media query knows: translucent colours do for both.
NOTEBOOK = """\
.amctcfg .l{background:#b04ad640}.amctcfg .t{background:#00a3b840}.amctcfg .c{background:#3faa3f38}.amctcfg .g,.amctcfg .j{background:#4a7dff38}
.amctcfg .k{background:#e0a80048}.amctcfg .u{background:#88888838}.amctcfg .r{background:#e5484d40}
.amctcfg .s{text-decoration:underline dotted}.amctcfg .bar{background:#8882}.amctcfg .bar rect{fill:#e8590c}
.amctcfg th,.amctcfg td{text-align:left!important}.amctcfg th:first-child{min-width:18em}
"""

PAGE = """\
*{box-sizing:border-box}
html{scroll-padding-top:9rem}
body{font:14px/1.5 system-ui,sans-serif;margin:0;background:var(--back);color:var(--text)}
header,section{padding:0 20px;max-width:100vw;position:sticky;left:0}
h1{font-size:22px;margin:18px 0 0;overflow-wrap:anywhere}h2{font-size:17px;margin:28px 0 8px}
p{margin:6px 0}a{color:var(--link)}.dim{color:var(--dim)}
:focus-visible{outline:2px solid var(--focus);outline-offset:1px}
dl.figures{display:flex;flex-wrap:wrap;gap:8px 36px;margin:12px 0}
.figures div{display:flex;flex-direction:column-reverse}.figures dt{color:var(--dim)}
.figures dd{margin:0;font-size:30px;line-height:1.15;font-variant-numeric:tabular-nums}
.strip{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:7px 12px;margin:10px 0}
.strip span{white-space:nowrap}
figure{margin:10px 0;max-width:1000px}
figure svg{display:block;width:100%;height:150px;background:var(--soft);border:1px solid var(--line);border-radius:6px}
figcaption{color:var(--dim);min-height:1.5em;overflow-wrap:anywhere}
.dots{stroke:var(--dot);stroke-width:5px;stroke-linecap:round;fill:none;vector-effect:non-scaling-stroke}
.many .dots{stroke-width:3px}.many .dots.off{stroke-width:6px}.dots.off{stroke:var(--bar)}.pointer{stroke:var(--dim);vector-effect:non-scaling-stroke}
.mark{white-space:nowrap}
.key{display:inline-block;width:9px;height:9px;border-radius:5px;background:var(--dot);margin:0 3px 0 10px}.key.off{background:var(--bar)}
.tools{position:sticky;top:0;left:0;z-index:3;max-width:100vw;background:var(--back);padding:8px 20px;display:flex;flex-wrap:wrap;gap:6px;
align-items:center;
border-bottom:1px solid var(--line)}
.tools input,.tools select{font:inherit;color:inherit;background:var(--back);border:1px solid var(--dim);border-radius:6px;padding:3px 9px}
.tools input{flex:1 1 200px;max-width:340px;min-width:0}
button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}
.chip{border:1px solid var(--line);border-radius:12px;padding:1px 10px;white-space:nowrap}
.chip[aria-pressed=true]{outline:2px solid var(--focus);font-weight:600}
.tools output{color:var(--dim);margin-left:auto}
html:not(.js) .script{display:none}html:not(.js) button{pointer-events:none}html:not(.js) thead button::after{content:none}
table.amctcfg{margin:0;border-collapse:separate;border-spacing:0}
.amctcfg th,.amctcfg td{border-bottom:1px solid var(--line)}
.amctcfg th:first-child{padding-left:20px;position:sticky;left:0;background:var(--back);min-width:300px;max-width:520px;
overflow-wrap:break-word}
.amctcfg thead th{position:sticky;top:var(--top,0);z-index:1;background:var(--back);vertical-align:bottom;border-bottom:1px solid var(--dim)}
.amctcfg thead th:first-child{z-index:2}
thead button{font-weight:600;text-align:left}thead button::after{content:"\\a0\\2195";color:var(--dim);font-weight:400}
[aria-sort=ascending] button::after{content:"\\a0\\2191"}[aria-sort=descending] button::after{content:"\\a0\\2193"}
.amctcfg td{white-space:nowrap;color:var(--dim)}.amctcfg td:nth-child(2),.amctcfg td:nth-child(3),.amctcfg td:nth-child(4){color:inherit}
.amctcfg td:nth-child(3){white-space:normal;max-width:320px}.amctcfg td:nth-child(3) a,.amctcfg td:nth-child(3):not(:has(*)){white-space:nowrap}
.amctcfg .r{display:inline-block;min-width:190px}.amctcfg td[colspan]{max-width:none}
.amctcfg i{color:var(--dim);opacity:1}
.amctcfg td a,.strip a{color:inherit;text-decoration:none;color:var(--text)}
.l{background:var(--l)}.t{background:var(--t)}.c{background:var(--c)}.g,.j{background:var(--g)}.k{background:var(--k)}.u{background:var(--u)}
.r{background:var(--r)}
.s::after{content:"\\2009\\21B7";color:var(--dim)}
.amctcfg a:hover,.strip a:hover{text-decoration:underline}
.amctcfg tbody tr:hover>*{background:var(--soft)}
tr.sum button{text-align:left}tr.sum button::before{content:"\\25B8";display:inline-block;width:14px;color:var(--dim)}
tr.sum [aria-expanded=true]::before{content:"\\25BE"}.amctcfg tbody tr.sum>*{background:var(--soft)}
tr.under th:first-child{padding-left:36px}
tr.out{display:none}
svg.bar{background:var(--soft)}.bar rect{fill:var(--bar)}td.score{color:var(--text)}
#tip{position:absolute;z-index:9;max-width:min(560px,calc(100vw - 24px));background:var(--back);border:1px solid var(--dim);
border-radius:6px;padding:6px 10px;
box-shadow:0 4px 16px #0004;overflow-wrap:anywhere}
#tip[hidden]{display:none}
#why li,#tip{line-height:1.45}#why{overflow-wrap:anywhere}
li:target,tr:target>*,.found>*{background:var(--k)}
summary{cursor:pointer}details{margin-top:14px}
pre{overflow:auto;padding:8px 12px;background:var(--soft);border:1px solid var(--line);border-radius:6px;font:12.5px/1.45 ui-monospace,monospace}
ol.text{font:12.5px/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;padding-left:5em}
ol.text li::marker{color:var(--dim)}
@media screen{html.js tr.in{display:none}}
"""

# Below this width a row is a card: its name, then label and value; the sheet gets a line for each label from the page.
NARROW = """\
@media screen and (max-width:760px){
header,section,.tools{padding-left:12px;padding-right:12px}
dl.figures{gap:6px 22px}.figures dd{font-size:24px}
.tools{position:static}
html{scroll-padding-top:1rem}
.amctcfg,.amctcfg tbody,.amctcfg tr,.amctcfg th,.amctcfg td{display:block;border:0}.amctcfg thead{display:none}
.amctcfg tr{border-bottom:1px solid var(--line);padding:6px 12px}
.amctcfg tr.out,html.js .amctcfg tr.in{display:none}
.amctcfg tbody th:first-child{padding:0;min-width:0;max-width:none;position:static;overflow-wrap:anywhere}.amctcfg tr.under{padding-left:26px}
.amctcfg tr.under th:first-child{padding-left:0}
.amctcfg td{display:inline-block;padding:0 12px 0 0;white-space:normal}
.amctcfg td:empty,.amctcfg td:nth-child(n+5):not(:has(a,span)):not(.x,.score),.wide{display:none}
.amctcfg tr.sum>*,.amctcfg tbody tr:hover>*{background:none}.amctcfg tr.sum{background:var(--soft)}
.amctcfg td::before{color:var(--dim);font-size:12px}
%s}
@media screen and (min-width:761px){.narrow{display:none}pre{white-space:pre-wrap}}
@media print{.tools,.sum,#tip{display:none!important}header,section,.amctcfg thead th,.amctcfg th:first-child{position:static}
table.amctcfg{font-size:9px;width:100%%}.amctcfg td,.amctcfg thead th{white-space:normal}.amctcfg th,.amctcfg td{padding:1px 4px}
.amctcfg tbody th:first-child,.amctcfg thead th:first-child{padding-left:0;max-width:none}tr{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
