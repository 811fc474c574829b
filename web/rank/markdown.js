// Markdown of answers to nodes: paragraphs, headings, lists, quotes, tables, code, emphasis. Whatever else an answer holds, HTML above all, is shown as the text that
// it is. Links and images are words with their address behind them: nothing can be followed or loaded from an answer.
import { el, visible } from './dom.js';

const DEPTH_MAX = 8, EMPHASIS_MAX = 1500, ADDRESS_MAX = 500;     // characters between a mark and its end: what is longer stays as it is, so that time is in proportion to the text
const MARKER = /^( {0,3})([-*+]|\d{1,9}[.)])(?: {1,4}(?=\S)| *$)/;

const isRule = (line) => /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/.test(line.slice(0, 200)) && line.length < 200;
const fenceOf = (line) => /^ {0,3}(`{3,}(?=[^`]*$)|~{3,}) *([^ `]{0,40})/.exec(line);
const isBlank = (line) => !line.trim();
const cells = (line) => {
  const out = [''];
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\' && line[i + 1] === '|') { out[out.length - 1] += '|'; i++; }
    else if (line[i] === '|') out.push('');
    else out[out.length - 1] += line[i];
  }
  if (out.length && isBlank(out[0])) out.shift();
  if (out.length && isBlank(out[out.length - 1])) out.pop();
  return out.map((c) => c.trim());
};
const isDelimiter = (line) => line !== undefined && line.includes('-') && line.length < 1000 && cells(line).every((c) => /^:?-+:?$/.test(c)) && cells(line).length > 0;

function startsBlock(line) {
  return fenceOf(line) || /^ {0,3}#{1,6} /.test(line) || /^ {0,3}>/.test(line) || isRule(line) || MARKER.test(line);
}

// ---- words ---------------------------------------------------------------------------------------------------------

const EMPHASIS = { '**': 'strong', __: 'strong', '*': 'em', _: 'em', '~~': 's' };
const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

function address(text, at) {
  // "](address)" with brackets in balance
  if (text[at] !== ']' || text[at + 1] !== '(') return null;
  let depth = 0;
  for (let i = at + 1; i < text.length && i < at + ADDRESS_MAX; i++) {
    if (text[i] === '\n') return null;
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return { text: text.slice(at + 2, i).trim(), end: i + 1 };
  }
  return null;
}

/** Appends the words of `text`. A closing mark that is not there is looked for once: the time stays in proportion to the text. */
function words(text, into, depth) {
  const missing = new Set();
  let plain = '';
  const flush = () => { if (plain) into.append(plain); plain = ''; };
  const find = (mark, from) => {
    if (missing.has(mark)) return -1;
    const at = text.indexOf(mark, from);
    if (at < 0) missing.add(mark);
    return at;
  };
  for (let i = 0; i < text.length;) {
    const c = text[i];
    if (c === '\\' && i + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[i + 1])) { plain += text[i + 1]; i += 2; continue; }
    if (c === '\\' && text[i + 1] === '\n') { flush(); into.append(el('br')); i += 2; continue; }
    if (c === '\n') { if (plain.endsWith('  ')) { flush(); into.append(el('br')); } else plain += '\n'; i++; continue; }
    if (c === '`') {
      let n = 1;
      while (text[i + n] === '`') n++;
      const mark = '`'.repeat(n);
      let end = find(mark, i + n);
      while (end >= 0 && (text[end + n] === '`' || text[end - 1] === '`')) { while (text[end] === '`') end++; end = text.indexOf(mark, end); }
      if (end >= 0) { flush(); into.append(el('code', {}, text.slice(i + n, end).replace(/\n/g, ' ').replace(/^ (.*[^ ].*) $/s, '$1'))); i = end + n; } else { plain += mark; i += n; }
      continue;
    }
    if (c === '[' || (c === '!' && text[i + 1] === '[')) {
      const from = i + (c === '!' ? 2 : 1), close = find('](', from), to = close >= 0 && close - from < 1000 ? address(text, close) : null;
      if (to && !text.slice(from, close).includes('\n\n')) {
        flush();
        const label = text.slice(from, close);
        if (c === '!') into.append(`Image: ${label || 'no description'}`);
        else if (depth < DEPTH_MAX) words(label, into, depth + 1);
        else into.append(label);
        if (label !== to.text) into.append(el('span', { class: 'target' }, ` (${to.text})`));
        i = to.end;
        continue;
      }
    }
    const mark = ['**', '__', '~~', '*', '_'].find((m) => text.startsWith(m, i));
    if (mark && depth < DEPTH_MAX && !/\s/.test(text[i + mark.length] ?? ' ') && !(mark[0] === '_' && isWord(text[i - 1]))) {
      const limit = i + EMPHASIS_MAX;
      let end = find(mark, i + mark.length + 1);
      while (end >= 0 && end < limit && (/\s/.test(text[end - 1]) || (mark.length === 1 && text[end + 1] === mark) || (mark[0] === '_' && isWord(text[end + mark.length])))) {
        end = text.indexOf(mark, end + (text[end + 1] === mark ? 2 : 1));
      }
      if (end >= 0 && end < limit) {
        flush();
        const e = el(EMPHASIS[mark]);
        words(text.slice(i + mark.length, end), e, depth + 1);
        into.append(e);
        i = end + mark.length;
        continue;
      }
    }
    plain += mark ?? c;
    i += mark ? mark.length : 1;
  }
  flush();
}

// ---- blocks --------------------------------------------------------------------------------------------------------

function codeBlock(text, language) {
  const box = el('div', { class: 'code' });
  if (language) box.append(el('div', { class: 'language' }, language));
  box.append(el('pre', { tabindex: 0, role: 'group', 'aria-label': language ? `Code, ${language}` : 'Code' }, el('code', {}, text)));
  return box;
}

function takeFence(lines, i, into) {
  const [open, mark, language] = fenceOf(lines[i]), indent = open.length - open.trimStart().length, taken = [];
  for (i++; i < lines.length; i++) {
    const t = lines[i].trim();
    if (t.length >= mark.length && t === mark[0].repeat(t.length) && lines[i].search(/\S/) < 4) { i++; break; }
    taken.push(lines[i].slice(0, indent).trim() === '' ? lines[i].slice(Math.min(indent, lines[i].search(/\S|$/))) : lines[i]);
  }
  into.append(codeBlock(taken.join('\n'), language));
  return i;
}

function takeList(lines, i, into, depth, heads) {
  const first = MARKER.exec(lines[i]), isNumbered = /\d/.test(first[2]), kind = first[2].slice(-1);
  const list = el(isNumbered ? 'ol' : 'ul');
  if (isNumbered && parseInt(first[2], 10) !== 1) list.setAttribute('start', String(parseInt(first[2], 10)));
  while (i < lines.length) {
    const m = MARKER.exec(lines[i]);
    if (!m || m[2].slice(-1) !== kind || isRule(lines[i])) break;
    const offset = isBlank(lines[i].slice(m[0].length)) ? m[1].length + m[2].length + 1 : m[0].length, own = [lines[i].slice(m[0].length)];
    let wasBlank = false;
    for (i++; i < lines.length; i++) {
      const indent = lines[i].search(/\S|$/);
      if (isBlank(lines[i])) { own.push(''); wasBlank = true; continue; }
      if (indent >= Math.min(offset, 2) && (indent >= offset || !MARKER.test(lines[i].slice(indent)))) own.push(lines[i].slice(Math.min(indent, offset)));
      else if (indent >= offset || (!wasBlank && !startsBlock(lines[i]))) own.push(lines[i].trimStart());
      else if (indent >= 2 && indent > m[1].length) own.push(lines[i].slice(Math.min(indent, offset)));
      else break;
      wasBlank = false;
    }
    while (own.length && isBlank(own[own.length - 1])) own.pop();
    const item = el('li');
    blocks(own, item, depth + 1, heads);
    list.append(item);
  }
  into.append(list);
  return i;
}

function takeTable(lines, i, into) {
  const head = cells(lines[i]), table = el('table'), body = el('tbody');
  const row = (tag, list) => el('tr', {}, head.map((_, k) => { const c = el(tag, tag === 'th' ? { scope: 'col' } : {}); words(list[k] ?? '', c, 0); return c; }));
  table.append(el('thead', {}, row('th', head)), body);
  for (i += 2; i < lines.length && !isBlank(lines[i]) && lines[i].includes('|'); i++) body.append(row('td', cells(lines[i])));
  into.append(el('div', { class: 'table', tabindex: 0, role: 'group', 'aria-label': 'Table' }, table));
  return i;
}

function takeQuote(lines, i, into, depth, heads) {
  const own = [], quote = el('blockquote');
  for (; i < lines.length && /^ {0,3}>/.test(lines[i]); i++) own.push(lines[i].replace(/^ {0,3}> ?/, ''));
  blocks(own, quote, depth + 1, heads);
  into.append(quote);
  return i;
}

/** No level of headings is skipped in the outline of the page. */
function heading(level, heads) {
  while (heads.length && heads[heads.length - 1] >= level) heads.pop();
  heads.push(level);
  return 'h' + Math.min(3 + heads.length, 6);                  // h1: the page, h2: parts of it, h3: an answer
}

function blocks(lines, into, depth, heads) {
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    if (isBlank(line)) { i++; continue; }
    if (depth > DEPTH_MAX) { into.append(el('p', {}, lines.slice(i).join('\n'))); return; }
    const head = /^ {0,3}(#{1,6}) +(.*)$/.exec(line);
    if (fenceOf(line)) i = takeFence(lines, i, into);
    else if (head) { const e = el(heading(head[1].length, heads)); words(head[2].replace(/ #+ *$/, '').trim(), e, 0); if (e.textContent) into.append(e); i++; }
    else if (isRule(line)) { into.append(el('hr')); i++; }
    else if (/^ {0,3}>/.test(line)) i = takeQuote(lines, i, into, depth, heads);
    else if (MARKER.test(line)) i = takeList(lines, i, into, depth, heads);
    else if (line.includes('|') && isDelimiter(lines[i + 1]) && cells(line).length === cells(lines[i + 1]).length) i = takeTable(lines, i, into);
    else if (/^ {4}/.test(line)) {
      const own = [];
      for (; i < lines.length && (/^ {4}/.test(lines[i]) || isBlank(lines[i])); i++) own.push(lines[i].slice(4));
      while (own.length && isBlank(own[own.length - 1])) own.pop();
      into.append(codeBlock(own.join('\n'), ''));
    } else {
      const own = [line.trimStart()];
      for (i++; i < lines.length && !isBlank(lines[i]) && !startsBlock(lines[i]); i++) own.push(lines[i].trimStart());
      const p = el('p');
      words(own.join('\n'), p, 0);
      into.append(p);
    }
  }
}

/** Fills `root` with the nodes of `text`. */
export function render(source, root) {
  const text = visible(source);
  root.replaceChildren();
  blocks(text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n'), root, 0, []);
  if (!root.childNodes.length) root.append(el('p', { class: 'muted' }, '(empty)'));
}
