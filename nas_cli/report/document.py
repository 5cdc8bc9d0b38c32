"""The frame of a page: its style sheet, its script, and a policy by which nothing else can run or be fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from nas_cli.report.drawing import FAMILIES

# Okabe and Ito's palette, which the colour-blind can tell apart, its yellow and black replaced by what can be seen on
# white and on black.
_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b98700", "#56b4e9", "#7a4fb5", "#7b8494")
_DARK = ("#4aa8e0", "#ff8a3d", "#2fc79b", "#e39fc6", "#e6b422", "#8fd0f5", "#b596e8", "#8b94a3")
# As in `drawing`, for a dark ground: (fill, line) of each family.
_DARK_FAMILIES = {
    "separable convolution": ("#1d3653", "#6ea8e0"),
    "dilated convolution": ("#352a52", "#b39be6"),
    "convolution": ("#163f42", "#5cc2c8"),
    "pooling": ("#1b3f2a", "#62c28a"),
    "skip": ("#4d3a12", "#e6b422"),
    "none": ("#23272e", "#7b8494"),
    "other": ("#4a2334", "#e08fb0"),
}

_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
 "Helvetica Neue",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:20px 16px 60px}
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}
h2{font-size:1.2rem;margin:2.2em 0 .6em;border-bottom:1px solid var(--rule);padding-bottom:.25em}
h3{font-size:1rem;margin:1.4em 0 .5em}
p{margin:.4em 0;max-width:75ch}
a{color:var(--c0)}
.quiet,.note,figcaption small{color:var(--quiet)}
.note{font-size:.83rem;margin:.2em 0 0}
.warn{border-left:3px solid var(--c1);padding:.2em .8em;margin:.8em 0}
dl.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:8px 18px;margin:1em 0}
dt{font-size:.78rem;color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:1em 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:8px 14px;min-width:120px}
.tile b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.tile span{font-size:.8rem;color:var(--quiet)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 12px;min-width:0}
figcaption{font-weight:600;font-size:.92rem}figcaption small{font-weight:400;display:block}
figure svg{display:block;width:100%;height:auto}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:4px 0 0;padding:0;font-size:.83rem}
.legend li{display:flex;align-items:center;gap:6px}
.legend svg{width:26px;height:10px;flex:none}
figure text,.sheet text{fill:var(--ink);font-size:12px}.sheet .ground{fill:var(--card)}
figure .number,figure .hint,.sheet .number,.sheet .hint{fill:var(--quiet);font-size:11.5px}
figure .hint,.sheet .hint{font-size:11px}
.grid{stroke:var(--rule);fill:none}.axis,.tick{stroke:var(--quiet);fill:none}
.level{stroke:var(--quiet);stroke-dasharray:2 4;fill:none}.mark{stroke:var(--quiet);stroke-dasharray:5 3;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.faint{stroke-width:1;opacity:.5}.dashed{stroke-dasharray:5 4}.end{stroke-width:5;stroke-dasharray:none}
.dots{stroke-width:7;stroke-linecap:round}.dots.faint{stroke-width:4;opacity:.45}
.rug{stroke-width:1;opacity:.5}.band{opacity:.18}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(160px,1fr));gap:8px}
.panel{padding:5px 7px}.panel figcaption{font-size:.8rem;font-weight:400}.panel .number{font-size:10px}
.panel .line{stroke-width:1.3}.panel .best{stroke-width:2.6}.panel .end{stroke-width:4}
.panel .kept{color:var(--quiet);font-size:.75rem}.panel.in{border-color:var(--quiet)}
.album{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:12px}
.stack{display:grid;gap:8px;align-content:start;min-width:0}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:10px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:14px}
.cells{display:grid;grid-template-columns:1fr;gap:2px}
.cells h4{font-size:.78rem;font-weight:400;color:var(--quiet);margin:6px 0 0}
.many{grid-column:1/-1}.many .cells{grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:8px}
.frames{max-height:70vh;overflow:auto}
.stepping .frames{display:block;max-height:none}.stepping .frame{padding:12px}.stepping .cell{max-width:660px}
.stepping .cells{grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px}
.control{display:flex;gap:12px;align-items:center;margin:.6em 0}.control[hidden]{display:none}
.control input{flex:1;accent-color:var(--c0)}
button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--rule);border-radius:6px;
 padding:4px 12px}
.definitions{position:absolute;width:0;height:0}
symbol text{fill:var(--ink);font-size:15px;text-anchor:middle}
.w{fill:none;stroke:var(--wire);stroke-width:1.6}.w.faint{stroke-dasharray:5 4}
.input,.output,.node{fill:var(--card);stroke:var(--ink);stroke-width:1.3}.node{fill:var(--ink)}
symbol text.input{fill:var(--ink);stroke:none}symbol text.node{fill:var(--card);stroke:none;font-weight:600}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}
td.r,th.r{text-align:right}td.wrap{white-space:normal;overflow-wrap:anywhere;min-width:20ch}
details{margin:1em 0}summary{cursor:pointer;font-weight:600}
.picture{background:#fff;border-radius:10px;padding:0}.picture svg,.picture img{display:block;width:100%;height:auto}
code{font-size:.9em;overflow-wrap:anywhere}
@media print{.many{grid-column:1/-1}.many .cells{grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:8px}
.frames{max-height:none}}
"""

# Without it all frames stand below each other; it shows one at a time.
_SCRIPT = """
for (const box of document.querySelectorAll('.steps')) {
  const frames = [...box.querySelectorAll('.frame')], control = box.querySelector('.control');
  const range = control.querySelector('input'), play = control.querySelector('button');
  let timer = null;
  const show = () => frames.forEach((frame, number) => { frame.hidden = number !== Number(range.value); });
  const stop = () => { clearInterval(timer); timer = null; play.textContent = 'Play'; };
  range.addEventListener('input', () => { stop(); show(); });
  play.addEventListener('click', () => {
    if (timer) { stop(); return; }
    if (range.value === range.max) range.value = 0;
    play.textContent = 'Stop';
    timer = setInterval(() => {
      if (range.value === range.max) stop(); else range.value = Number(range.value) + 1;
      show();
    }, 700);
    show();
  });
  box.classList.add('stepping');
  control.hidden = false;
  show();
}
"""


def document(title: str, body: Iterable[str]) -> str:
    """A whole page that needs nothing but itself.

    Args:
        title: as text.
        body: as HTML.
    """
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            f"<style>{style()}</style>\n</head>\n<body>\n<main>",
            *body,
            f"</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def style() -> str:
    """The style sheet: of a page, and of pictures in files of their own."""
    light = {"ground": "#f5f6f8", "card": "#ffffff", "ink": "#1f2937", "quiet": "#5b6675", "rule": "#dde1e7"}
    dark = {"ground": "#14171c", "card": "#1c2027", "ink": "#e5e9ef", "quiet": "#9aa4b2", "rule": "#333a45"}
    light_families = {name: FAMILIES[name] for name in FAMILIES}
    rules = [
        f":root{{color-scheme:light dark;{_variables(light, _LIGHT, light_families, '#64748b')}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(dark, _DARK, _DARK_FAMILIES, '#8b98aa')}}}}}",
        _RULES.strip(),
    ]
    rules += [f".s{number}{{stroke:var(--c{number})}}.f{number}{{fill:var(--c{number})}}" for number in range(8)]
    rules += [f"rect.o{number}{{fill:var(--o{number});stroke:var(--p{number})}}" for number in range(len(FAMILIES))]
    return "\n".join(rules)


def _variables(plain: dict[str, str], colours: Sequence[str], families: dict[str, tuple[str, str]], wire: str) -> str:
    values = {**plain, "wire": wire}
    values |= {f"c{number}": colour for number, colour in enumerate(colours)}
    for number, name in enumerate(FAMILIES):
        values[f"o{number}"], values[f"p{number}"] = families[name]
    return "".join(f"--{name}:{value};" for name, value in values.items())


def section(title: str, parts: Iterable[str]) -> list[str]:
    """A titled section; nothing where there are no parts."""
    found = [part for part in parts if part]
    return [f"<section><h2>{escape(title)}</h2>", *found, "</section>"] if found else []


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, as text."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{items}</dl>'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], text: Iterable[str] = (), html: str = "") -> str:
    """A table of text cells, which scrolls sideways where it is too wide.

    Args:
        text: titles of the columns that hold no numbers.
        html: title of a column whose cells are HTML already.
    """
    left = {*text, html}
    head = "".join(f"<th{'' if title in left else ' class=r'}>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{'' if title in left else ' class=r'}>{cell if title == html else escape(cell)}</td>"
            for title, cell in zip(titles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
