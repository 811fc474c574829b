import { say, toast } from '../notices';
import { visible } from './dom';

// A block of code: language, file name, copy button, colours. The colours come from a chunk that is loaded with the first block.

type Colourer = typeof import('./highlight');
let colourer: Colourer | null = null;
let loading: Promise<void> | null = null;
const waiting = new Set<CodeView>();

function load(): void {
  loading ??= import('./highlight').then((m) => {
    colourer = m;
    for (const view of waiting) view.colour();
    waiting.clear();
  }, () => { loading = null; /* plain text it stays; the next block tries again */ });
}

const LONGEST = 200_000;

export async function copyText(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https there is no clipboard; the old way still works from a click.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.appendChild(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) { toast('The browser did not let us copy.'); return; }
  }
  say(`${what} copied`);
}

/** "py utils/a.py" -> language and file name, as attachments are written. */
export function splitInfo(info: string): { lang: string; name: string } {
  const words = info.trim().split(/\s+/);
  const lang = (words[0] ?? '').replace(/[{}.,:;].*$/, '').slice(0, 30);
  return { lang, name: words.slice(1).join(' ').replace(/^(title|file|filename|name)=/, '').replace(/^"(.*)"$/, '$1').slice(0, 100) };
}

export class CodeView {
  readonly element = document.createElement('div');
  private readonly pre = document.createElement('pre');
  private readonly code = document.createElement('code');
  private text = '';
  private coloured = 0;
  private spent = 0;
  private coloredAt = 0;
  private readonly lang: string;

  constructor(info: string, private streaming: boolean) {
    const { lang, name } = splitInfo(info);
    this.lang = lang;
    this.element.className = 'code';
    const head = document.createElement('div');
    head.className = 'code-head';
    const label = document.createElement('span');
    label.textContent = visible(name || lang || 'text');
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'code-copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', name || lang ? `Copy code (${visible(name || lang)})` : 'Copy code');
    button.addEventListener('click', () => {
      void copyText(this.text, 'Code').then(() => {
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = 'Copy'; }, 1500);
      });
    });
    head.append(label, button);
    this.pre.tabIndex = 0;
    this.pre.setAttribute('role', 'group');
    this.pre.setAttribute('aria-label', `Code${name || lang ? ', ' + visible(name || lang) : ''}`);
    this.pre.appendChild(this.code);
    this.element.append(head, this.pre);
  }

  set(text: string): void {
    this.text = text;
    this.coloured = 0;
    this.code.textContent = visible(text.endsWith('\n') ? text.slice(0, -1) : text);
  }

  /** More at the end: one text node grows, whatever was coloured stays. */
  append(piece: string): void {
    this.text += piece;
    this.code.append(visible(piece));
    this.colour();
  }

  /** No more will come. */
  end(): void {
    this.streaming = false;
    if (this.text.endsWith('\n')) this.code.normalize();
    const last = this.code.lastChild;
    if (last instanceof Text && last.data.endsWith('\n')) last.data = last.data.slice(0, -1);
    this.coloured = 0;
    this.colour();
  }

  colour(): void {
    if (this.text.length > LONGEST || this.coloured === this.text.length || !this.text) return;
    if (!colourer) { waiting.add(this); load(); return; }
    // While it grows, colouring may take an eighth of the time, however long the block gets.
    if (this.streaming && performance.now() - this.coloredAt < Math.max(120, this.spent * 8)) return;
    const start = performance.now();
    const text = visible(this.streaming || !this.text.endsWith('\n') ? this.text : this.text.slice(0, -1));
    const nodes = colourer.colour(text, this.lang, this.streaming);
    if (nodes) this.code.replaceChildren(nodes);
    this.coloured = this.text.length;
    this.coloredAt = performance.now();
    this.spent = this.coloredAt - start;
  }
}
