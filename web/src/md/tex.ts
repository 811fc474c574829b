import temml from 'temml';
import 'temml/dist/Temml-Local.css';
import { visible } from './dom';

// TeX to MathML, which browsers draw themselves: no fonts to load. We walk the converter's tree ourselves and take over only
// what is on these lists, so that \href, \label and whatever a later version learns cannot reach the page.

const TAGS = new Set(['math', 'mrow', 'mi', 'mn', 'mo', 'ms', 'mtext', 'mspace', 'msup', 'msub', 'msubsup', 'mfrac', 'msqrt',
  'mroot', 'mover', 'munder', 'munderover', 'mtable', 'mtr', 'mtd', 'mpadded', 'mphantom', 'mstyle', 'menclose', 'mmultiscripts',
  'mprescripts', 'semantics', 'merror']);
const ATTRIBUTES = new Set(['display', 'mathvariant', 'stretchy', 'symmetric', 'fence', 'separator', 'form', 'lspace', 'rspace',
  'minsize', 'maxsize', 'width', 'height', 'depth', 'voffset', 'linethickness', 'accent', 'accentunder', 'displaystyle',
  'scriptlevel', 'columnalign', 'rowspacing', 'columnspacing', 'columnlines', 'rowlines', 'movablelimits', 'largeop', 'notation',
  'mathcolor', 'mathbackground', 'mathsize', 'rowspan', 'columnspan']);
const STYLES = new Set(['color', 'backgroundColor', 'textAlign', 'fontWeight', 'fontStyle', 'padding', 'paddingTop', 'paddingBottom',
  'paddingLeft', 'paddingRight', 'margin', 'marginLeft', 'marginRight', 'border', 'borderTop', 'borderBottom', 'borderLeft',
  'borderRight', 'borderColor', 'width', 'display', 'mathDepth', 'mathStyle', 'mathShift', 'fontFamily', 'transform']);
const NS = 'http://www.w3.org/1998/Math/MathML';
const LONGEST = 10_000;
const DEEPEST = 200;

interface Branch {
  type?: string;
  text?: string;
  attributes?: Record<string, string>;
  classes?: string[];
  style?: Record<string, string>;
  children?: Branch[];
}

function grow(b: Branch, depth: number): Node | null {
  if (depth > DEEPEST) throw new Error('too deep');
  if (b.text !== undefined && b.type === undefined) return document.createTextNode(visible(b.text));
  const type = b.type && TAGS.has(b.type) ? b.type : null;
  if (b.type === 'annotation') return null;
  const e = type ? document.createElementNS(NS, type) : document.createElementNS(NS, 'mrow');
  for (const [name, value] of Object.entries(b.attributes ?? {})) if (ATTRIBUTES.has(name)) e.setAttribute(name, String(value));
  const classes = (b.classes ?? []).filter((c) => /^[a-z0-9-]+$/i.test(c));
  if (classes.length) e.setAttribute('class', classes.join(' '));
  const style = (e as MathMLElement).style as unknown as Record<string, string>;
  for (const [name, value] of Object.entries(b.style ?? {})) {
    if (STYLES.has(name) && !/url|\(|fixed|absolute/i.test(value)) style[name] = value;
  }
  // Two places of the converter write this one as an attribute, which the page's policy would refuse.
  if (b.attributes?.['style'] === 'text-align: left;') style['textAlign'] = 'left';
  if (b.attributes?.['style'] === 'font-weight:bold') style['fontWeight'] = 'bold';
  for (const child of b.children ?? []) {
    const node = grow(child, depth + 1);
    if (node) e.appendChild(node);
  }
  if (!b.children?.length && b.text) e.appendChild(document.createTextNode(visible(b.text)));
  return e;
}

/** Null when it is no TeX that we understand. */
export function toMathML(tex: string, display: boolean): Node | null {
  if (tex.length > LONGEST) return null;
  try {
    const tree = temml.__renderToMathMLTree(tex, {
      displayMode: display, throwOnError: true, trust: false, strict: false, maxSize: [20, 40], maxExpand: 500, annotate: false,
    }) as Branch;
    return grow(tree, 0);
  } catch {
    return null;
  }
}
