import MarkdownIt, { type Env as ParserEnv, type MarkdownIt as Parser, type Token } from 'markdown-it';

// Markdown to tokens. HTML is not recognised at all (it stays text), links are http, https and mailto, and formulas are found
// before anything else may take their backslashes and underscores apart.

export type { Token };
type BlockRule = Parameters<Parser['block']['ruler']['push']>[1];
type InlineRule = Parameters<Parser['inline']['ruler']['push']>[1];

export function safeHref(href: string): string | null {
  try {
    // No base: a relative address would point into our own server.
    const u = new URL(href);
    return u.protocol === 'http:' || u.protocol === 'https:' || u.protocol === 'mailto:' ? u.href : null;
  } catch {
    return null;
  }
}

const DOLLAR = 0x24, BACKSLASH = 0x5c, SPACE = 0x20, TAB = 0x09, NEWLINE = 0x0a;
const LONGEST = 10_000;

/** $$ ... $$ and \[ ... \] that begin a line. */
const mathBlock: BlockRule = (state, start, end, silent) => {
  if (state.sCount[start]! - state.blkIndent >= 4) return false;
  const from = state.bMarks[start]! + state.tShift[start]!;
  const open = state.src.slice(from, from + 2);
  if (open !== '$$' && open !== '\\[') return false;
  const close = open === '$$' ? '$$' : '\\]';
  const first = state.src.slice(from + 2, state.eMarks[start]).trimEnd();
  const lines: string[] = [];
  let next = start;
  let closed = false;
  const at = first.indexOf(close);
  if (at >= 0) {
    if (at !== first.length - 2) return false; // text behind it: that is a formula within a line
    lines.push(first.slice(0, at));
    next = start + 1;
    closed = true;
  } else {
    lines.push(first);
    for (next = start + 1; next < end; next++) {
      const from2 = state.bMarks[next]! + state.tShift[next]!;
      if (state.sCount[next]! < state.blkIndent && from2 < state.eMarks[next]!) break;
      const line = state.src.slice(from2, state.eMarks[next]).trimEnd();
      if (line.endsWith(close)) {
        lines.push(line.slice(0, -2));
        next++;
        closed = true;
        break;
      }
      lines.push(line);
    }
  }
  // An open formula swallows the rest only while more may come.
  if (!closed && !(state.env as Env).streaming) return false;
  if (silent) return true;
  const token = state.push('math_block', 'math', 0);
  token.block = true;
  token.content = lines.join('\n').trim();
  token.map = [start, next];
  token.markup = open;
  token.meta = { closed };
  state.line = next;
  return true;
};

/** \( ... \), $$ ... $$ and $ ... $ within a line; a single dollar only where a price or a shell variable cannot be meant. */
const mathInline: InlineRule = (state, silent) => {
  const { src, pos, posMax } = state;
  const c = src.charCodeAt(pos);
  let open: string, close: string;
  if (c === BACKSLASH && src[pos + 1] === '(') [open, close] = ['\\(', '\\)'];
  else if (c === BACKSLASH && src[pos + 1] === '[') [open, close] = ['\\[', '\\]'];
  else if (c === DOLLAR && src[pos + 1] === '$') [open, close] = ['$$', '$$'];
  else if (c === DOLLAR) [open, close] = ['$', '$'];
  else return false;
  const from = pos + open.length;
  let to = -1;
  for (let i = src.indexOf(close, from); i >= 0 && i < posMax && i - from < LONGEST; i = src.indexOf(close, i + 1)) {
    if (src.charCodeAt(i - 1) === BACKSLASH && src.charCodeAt(i - 2) !== BACKSLASH && c === DOLLAR) continue;
    to = i;
    break;
  }
  if (to < 0 || to === from) return false;
  if (open === '$') {
    const before = src.charCodeAt(to - 1), after = src.charCodeAt(to + 1), first = src.charCodeAt(from);
    if (first === SPACE || first === TAB || first === NEWLINE) return false;
    if (before === SPACE || before === TAB || before === NEWLINE || (after >= 0x30 && after <= 0x39)) return false;
    if (src.slice(from, to).includes('\n\n')) return false;
  }
  if (!silent) {
    const token = state.push('math_inline', 'math', 0);
    token.content = src.slice(from, to).trim();
    token.markup = open;
  }
  state.pos = to + close.length;
  return true;
};

export interface Env extends ParserEnv { streaming?: boolean }

const md = new MarkdownIt({ html: false, linkify: true, breaks: false, typographer: false });
md.validateLink = (href: string) => safeHref(href) !== null;
// Only what says its protocol: "main.py" and "README.md" are no hosts.
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
md.block.ruler.before('fence', 'math_block', mathBlock, { alt: ['paragraph', 'reference', 'blockquote', 'list'] });
md.inline.ruler.before('escape', 'math_inline', mathInline);

export function parse(text: string, env: Env): Token[] {
  return md.parse(text, env);
}

/**
 * What is unfinished at the end of a growing text, mended for this look only: markers are closed, the start of a link shows its
 * text, a table shows from its first line on. `tail` begins at a block.
 */
export function mend(tail: string): string {
  // In code and formulas nothing is a marker.
  if ((tail.match(/^[ \t]*(?:(?:[-*+]|\d+[.)]|>)[ \t]*)*(?:```|~~~)/gm) ?? []).length % 2 === 1) return tail;
  if ((tail.match(/\$\$|\\\[/g) ?? []).length % 2 === 1) return tail;
  const blank = tail.lastIndexOf('\n\n');
  const last = tail.slice(blank < 0 ? 0 : blank + 2);
  const lines = last.split('\n');
  // A table needs its second line to be one; until it comes, it is made up.
  const filled = lines.filter((l) => l !== '');
  const head = filled.length ? filled.findLastIndex((l) => !l.trimStart().startsWith('|')) + 1 : 0;
  if (head < filled.length) {
    const rows = filled.slice(head);
    const dashes = rows[1];
    if (rows.length === 1 ? last.endsWith('\n') : rows.length === 2 && !last.endsWith('\n') && /^[\s|:-]*$/.test(dashes!)) {
      const row = rows[0]!.trim();
      const columns = row.replace(/\\\|/g, '').split('|').length - (row.endsWith('|') ? 2 : 1);
      const made = '|' + ' --- |'.repeat(Math.max(columns, 1));
      const before = rows.length === 1 ? tail : tail.slice(0, tail.length - dashes!.length);
      return before + made;
    }
    if (rows.length === 1) return tail; // the first line itself is still coming
  }
  // Half a link or image: its text so far.
  let line = tail.replace(/!?\[([^\][\n]*)\]\([^()\s]*$/, '$1');
  if (line === tail) line = tail.replace(/(^|[^\\])!?\[([^\][\n]{0,200})$/, (whole, before: string, text: string) => (/^[ xX]?$/.test(text) ? whole : before + text));
  const para = line.slice(line.lastIndexOf('\n\n') + 1);
  // A lone marker at the very end would flash before its word comes.
  if (/(^|[\s(])[*_~`]{1,3}$/.test(line) && !/(^|\n)\s*[*_~`-]{1,3}$/.test(line)) return line.replace(/[*_~`]{1,3}$/, '');
  const ticks = (para.match(/`/g) ?? []).length;
  if (ticks % 2 === 1) return line + '`';
  const plain = para.replace(/`[^`]*`/g, '').replace(/\\[*_~]/g, '');
  const strong = (plain.match(/\*\*/g) ?? []).length % 2 === 1;
  const struck = (plain.match(/~~/g) ?? []).length % 2 === 1;
  const single = (plain.replace(/\*\*/g, '').replace(/(^|\n)\s*\*\s/g, '').match(/\*(?=\S)|(?<=\S)\*/g) ?? []).length % 2 === 1;
  return line + (single && !/\s$/.test(line) ? '*' : '') + (strong && !/\s$/.test(line) ? '**' : '') + (struck && !/\s$/.test(line) ? '~~' : '');
}
