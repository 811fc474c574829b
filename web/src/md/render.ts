import { CodeView } from './code';
import { el, visible } from './dom';
import { mathNode } from './math';
import { safeHref, type Token } from './parse';

// Tokens to DOM nodes. Text only ever becomes a text node, elements come from the lists below, and the few attributes are set one
// by one: there is no string in here that a browser would read as markup.

const BLOCKS: Record<string, string> = {
  paragraph_open: 'p', bullet_list_open: 'ul', ordered_list_open: 'ol', list_item_open: 'li', blockquote_open: 'blockquote',
  thead_open: 'thead', tbody_open: 'tbody', tr_open: 'tr', th_open: 'th', td_open: 'td',
};
const INLINES: Record<string, string> = { em_open: 'em', strong_open: 'strong', s_open: 's' };

/** Carries the heading levels seen so far, so that no level is skipped in the outline of the page. */
export interface Context { heads: number[]; streaming: boolean }

function headingTag(context: Context, level: number): string {
  while (context.heads.length && context.heads[context.heads.length - 1]! >= level) context.heads.pop();
  context.heads.push(level);
  return 'h' + Math.min(2 + context.heads.length, 6); // h1 is the page, h2 the message
}

function link(href: string): HTMLAnchorElement | HTMLElement {
  const safe = safeHref(href);
  if (!safe) return el('span');
  const a = document.createElement('a');
  a.href = safe;
  a.rel = 'noopener noreferrer nofollow';
  a.target = '_blank';
  a.title = safe;
  return a;
}

/** A link shows where it goes, unless its text says so already. */
function showTarget(a: Node, parent: Node): void {
  if (!(a instanceof HTMLAnchorElement)) return;
  const u = new URL(a.href);
  const target = u.protocol === 'mailto:' ? u.pathname : u.host;
  if (!a.textContent?.trim()) a.textContent = visible(a.href);
  const text = a.textContent ?? '';
  // "https://bank.com@evil.org" names a host that it does not go to: only its own host at the front counts.
  const says = text.replace(/^(https?:\/\/|mailto:)/, '').toLowerCase();
  if (says === target.toLowerCase() || says.startsWith(target.toLowerCase() + '/')) return;
  parent.appendChild(el('span', 'target', ` (${target})`));
}

const TASK = /^\[([ xX])\](?:\s|$)/;

function inline(tokens: Token[], into: Node, inItem: boolean): void {
  const stack: Node[] = [into];
  let first = true;
  for (const t of tokens) {
    const top = stack[stack.length - 1]!;
    switch (t.type) {
      case 'text': {
        let text = t.content;
        const task = first && inItem ? TASK.exec(text) : null;
        if (task) {
          const done = task[1] !== ' ';
          const box = el('span', done ? 'task done' : 'task', done ? '\u2713' : '');
          box.setAttribute('role', 'img');
          box.setAttribute('aria-label', done ? 'done:' : 'to do:');
          top.appendChild(box);
          (into instanceof HTMLLIElement ? into : into.parentElement)?.classList.add('has-task');
          text = text.slice(task[0].length);
        }
        if (text) top.appendChild(document.createTextNode(visible(text)));
        break;
      }
      case 'softbreak': top.appendChild(document.createTextNode('\n')); break;
      case 'hardbreak': top.appendChild(document.createElement('br')); break;
      case 'code_inline': top.appendChild(el('code', undefined, t.content)); break;
      case 'math_inline': top.appendChild(mathNode(t.content, t.markup === '$$' || t.markup === '\\[', t.markup)); break;
      case 'link_open': stack.push(top.appendChild(link(String(t.attrGet('href') ?? '')))); break;
      case 'link_close': if (stack.length > 1) { stack.pop(); showTarget(top, stack[stack.length - 1]!); } break;
      case 'image': {
        // Never loaded: an address can carry away what was said. It becomes a link.
        const inLink = stack.some((n) => n instanceof HTMLAnchorElement);
        const a = inLink ? el('span') : link(String(t.attrGet('src') ?? ''));
        a.classList.add('image-link');
        a.textContent = visible(`Image: ${t.content || 'no description'}`);
        top.appendChild(a);
        if (!inLink) showTarget(a, top);
        break;
      }
      default:
        if (INLINES[t.type]) stack.push(top.appendChild(document.createElement(INLINES[t.type]!)));
        else if (t.nesting === -1) { if (stack.length > 1) stack.pop(); }
        else if (t.content) top.appendChild(document.createTextNode(visible(t.content)));
    }
    first = false;
  }
}

/** A box that scrolls sideways by itself, reachable by keyboard. */
function scroller(className: string, label: string): HTMLElement {
  const box = el('div', className);
  box.tabIndex = 0;
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', label);
  return box;
}

/** Appends the nodes of `tokens` to `root`; returns the last code view, for who streams into it. */
export function render(tokens: Token[], root: Node, context: Context): CodeView | null {
  const stack: Node[] = [root];
  let code: CodeView | null = null;
  for (const t of tokens) {
    const top = stack[stack.length - 1]!;
    if (t.hidden && t.type !== 'inline') continue; // the paragraphs of tight lists
    if (t.type === 'inline') {
      inline(t.children ?? [], top, stack.some((n) => n instanceof HTMLLIElement));
    } else if (t.type === 'fence' || t.type === 'code_block') {
      code = new CodeView(t.info, context.streaming);
      code.set(t.content);
      top.appendChild(code.element);
      code.colour();
    } else if (t.type === 'math_block') {
      const box = scroller('math-block', 'Formula');
      const done = (t.meta as { closed: boolean }).closed;
      box.appendChild(done ? mathNode(t.content, true, t.markup) : el('code', 'tex', t.content));
      top.appendChild(box);
    } else if (t.type === 'hr') {
      top.appendChild(document.createElement('hr'));
    } else if (t.type === 'heading_open') {
      stack.push(top.appendChild(document.createElement(headingTag(context, Number(t.tag[1])))));
    } else if (t.type === 'table_open') {
      const box = scroller('table', 'Table');
      const table = document.createElement('table');
      box.appendChild(table);
      top.appendChild(box);
      stack.push(table);
    } else if (BLOCKS[t.type]) {
      const e = document.createElement(BLOCKS[t.type]!);
      if (t.type === 'ordered_list_open') {
        const start = Number(t.attrGet('start') ?? 1);
        if (start !== 1) (e as HTMLOListElement).start = start;
      } else if (t.type === 'th_open' || t.type === 'td_open') {
        const align = /^text-align:(left|right|center)$/.exec(String(t.attrGet('style') ?? ''));
        if (align) e.classList.add('align-' + align[1]);
        if (t.type === 'th_open') (e as HTMLTableCellElement).scope = 'col';
      }
      stack.push(top.appendChild(e));
    } else if (t.nesting === -1) {
      if (stack.length > 1) stack.pop();
    } else if (t.content) {
      top.appendChild(el('p', undefined, t.content)); // a kind that we do not know: its text at least
    }
  }
  return code;
}
