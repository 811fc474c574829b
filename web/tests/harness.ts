import { bodies } from '../src/transfer';
import { compose, pieces } from '../src/attach';
import { parse, mend } from '../src/md/parse';
import { MarkdownView } from '../src/md/view';
import { colour } from '../src/md/highlight';
import { toMathML } from '../src/md/tex';

// Runs in the page under the page's policy; the tests call it through window.harness.

const root = document.getElementById('root')!;

const TAGS = new Set(['P', 'UL', 'OL', 'LI', 'BLOCKQUOTE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'TABLE', 'EM', 'STRONG', 'S', 'A', 'CODE', 'PRE', 'BR', 'HR',
  'H3', 'H4', 'H5', 'H6', 'SPAN', 'DIV', 'BUTTON']);
const MATH = 'http://www.w3.org/1998/Math/MathML';
const ATTRIBUTES = new Set(['class', 'href', 'rel', 'target', 'title', 'role', 'aria-label', 'tabindex', 'type', 'start', 'scope']);

/** What is drawn that the page never draws by itself; empty is good. */
function wrong(node: Element = root): string[] {
  const out: string[] = [];
  for (const e of node.querySelectorAll('*')) {
    const math = e.namespaceURI === MATH;
    if (!math && !TAGS.has(e.tagName)) out.push('element ' + e.tagName);
    for (const a of e.attributes) {
      if (/^on|src|data|action|xlink|^id$|^name$|srcdoc|ping|background/i.test(a.name) && a.name !== 'mathbackground') out.push(`attribute ${a.name} on ${e.tagName}`);
      else if (!math && !ATTRIBUTES.has(a.name)) out.push(`attribute ${a.name} on ${e.tagName}`);
      if (a.name === 'style' && !math) out.push('style');
    }
    if (e instanceof HTMLAnchorElement) {
      if (!['http:', 'https:', 'mailto:'].includes(e.protocol)) out.push('link to ' + e.href);
      if (e.rel !== 'noopener noreferrer nofollow' || e.target !== '_blank') out.push('link without rel');
      const t = e.nextElementSibling;
      const host = e.protocol === 'mailto:' ? e.pathname : e.host;
      const says = (e.textContent ?? '').replace(/^(https?:\/\/|mailto:)/, '').toLowerCase();
      if (!(t?.className === 'target' && t.textContent?.includes(host)) && !says.startsWith(host.toLowerCase())) out.push('target hidden: ' + e.href);
    }
    if (math && e.hasAttribute('href')) out.push('math link');
  }
  return out;
}

/** The structure as text; colours and formulas count by their text only. */
function outline(node: Node = root): string {
  let out = '';
  for (const n of node.childNodes) {
    if (n instanceof Text) out += n.data.replace(/\s+/g, ' ');
    else if (n instanceof Element) {
      const name = n.tagName.toLowerCase();
      if (n.classList.contains('math')) out += '<math/>';
      else if (name === 'code' && n.parentElement?.tagName === 'PRE') out += `<code>${JSON.stringify(n.textContent)}</code>`;
      else out += `<${name}${n instanceof HTMLAnchorElement ? ' ' + n.href : ''}>${outline(n)}</${name}>`;
    }
  }
  return out;
}

function show(text: string): string { MarkdownView.show(root, text); return outline(); }

/** Streams `text` cut at the given places, drawing after each; returns the end's structure and all that was wrong on the way. */
function stream(text: string, cuts: number[]): { outline: string; wrong: string[] } {
  root.replaceChildren();
  const view = new MarkdownView(root);
  const bad: string[] = [];
  let at = 0;
  for (const cut of [...cuts, text.length]) {
    view.push(text.slice(at, cut));
    view.flush();
    bad.push(...wrong());
    at = cut;
  }
  view.finish(text);
  bad.push(...wrong());
  return { outline: outline(), wrong: bad };
}

/** What is seen of a text that is cut at `end`, while more is to come. */
function partial(text: string, end = text.length): string {
  root.replaceChildren();
  const view = new MarkdownView(root);
  view.push(text.slice(0, end));
  view.flush();
  view.stop();
  return outline();
}

/** Milliseconds for each tenth of a stream of `n` pieces behind `start`. */
function timing(start: string, piece: string, n: number): number[] {
  root.replaceChildren();
  const view = new MarkdownView(root);
  view.push(start);
  const out: number[] = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    const t = performance.now();
    for (let i = 0; i < n / 10; i++) { view.push(piece); view.flush(); }
    out.push(performance.now() - t);
  }
  view.stop();
  return out;
}

function math(tex: string): { bad: string[]; drawn: boolean } {
  const node = toMathML(tex, true);
  root.replaceChildren(...(node ? [node] : []));
  return { bad: wrong(), drawn: node !== null };
}

const harness = { show, stream, partial, timing, wrong, math, mend, parse, bodies, compose, pieces, colour: (t: string, l: string) => colour(t, l, false)?.textContent ?? null };
export type Harness = typeof harness;
(window as unknown as { harness: Harness }).harness = harness;
