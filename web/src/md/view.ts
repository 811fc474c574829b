import { parse, mend, type Env, type Token } from './parse';
import { render, type Context } from './render';
import type { CodeView } from './code';

// A text that grows. What a finished block looks like cannot change any more, so only the last block is read and drawn again when
// more comes; a growing block of code does not even need that. The work for a piece depends on the last block, not on the text.

const OPEN = /^( {0,3})(`{3,}|~{3,})([^\n]*)\n/;

interface Fence { view: CodeView; close: RegExp; indent: RegExp; partial: string; mid: boolean }

export class MarkdownView {
  private tail = '';
  private env: Env = { streaming: true };
  private heads: number[] = [];
  private live: ChildNode[] = [];
  private fence: Fence | null = null;
  private frame = 0;
  private busyUntil = 0;
  private queued = '';

  constructor(private readonly root: HTMLElement) {}

  /** A whole text at once. */
  static show(root: HTMLElement, text: string): void {
    root.replaceChildren();
    const out = document.createDocumentFragment();
    render(parse(text.replaceAll('\r', ''), {}), out, { heads: [], streaming: false });
    root.appendChild(out);
  }

  /** Drawn with the next frame; when drawing is slow, less often. */
  push(piece: string): void {
    this.queued += piece.replaceAll('\r', '');
    if (!this.frame) this.frame = requestAnimationFrame(() => this.tick());
  }

  private tick(): void {
    const now = performance.now();
    if (now < this.busyUntil) { this.frame = requestAnimationFrame(() => this.tick()); return; }
    this.frame = 0;
    this.flush();
    // At most a third of the time goes into drawing.
    const spent = performance.now() - now;
    this.busyUntil = spent > 6 ? performance.now() + spent * 2 : 0;
  }

  flush(): void {
    const piece = this.queued;
    this.queued = '';
    if (piece) this.take(piece);
  }

  /** `text` is the whole: what only a whole text can tell (references defined at the end, a formula never closed) is put right. */
  finish(text: string): void {
    this.stop();
    this.flush();
    const whole = text.includes(']:') || this.tail.includes('$$') || this.tail.includes('\\[');
    if (whole) { MarkdownView.show(this.root, text); this.fence = null; this.live = []; return; }
    if (this.fence) {
      const f = this.fence;
      if (f.partial && !f.close.test(f.partial)) f.view.append(f.partial);
      f.view.end();
      this.fence = null;
      return;
    }
    this.env.streaming = false;
    this.draw(false);
  }

  stop(): void {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  private take(piece: string): void {
    if (this.fence) {
      const rest = this.intoFence(piece);
      if (rest === null) return;
      piece = rest;
    }
    this.tail += piece;
    this.draw(true);
  }

  /** Lines into the open block of code; what comes behind its end is returned, null if it goes on. */
  private intoFence(piece: string): string | null {
    const f = this.fence!;
    const text = f.partial + piece;
    f.partial = '';
    let at = 0;
    let out = '';
    if (f.mid) { // a line that was begun is content to its end
      const nl = text.indexOf('\n');
      if (nl < 0) { f.view.append(text); return null; }
      at = nl + 1;
      out = text.slice(0, at);
      f.mid = false;
    }
    for (let nl = text.indexOf('\n', at); nl >= 0; nl = text.indexOf('\n', at)) {
      const line = text.slice(at, nl);
      at = nl + 1;
      if (f.close.test(line)) {
        if (out) f.view.append(out);
        f.view.end();
        this.fence = null;
        return text.slice(at);
      }
      out += line.replace(f.indent, '') + '\n';
    }
    // Half a line that may still become the end, or whose indent is not known yet, waits.
    const last = text.slice(at);
    if (/^ {0,3}[`~]*[ \t]*$/.test(last)) f.partial = last;
    else {
      out += last.replace(f.indent, '');
      f.mid = true;
    }
    if (out) f.view.append(out);
    return null;
  }

  /** Reads the tail, keeps for good what cannot change, draws the last block anew. */
  private draw(more: boolean): void {
    for (const node of this.live) node.remove();
    this.live = [];
    const text = more ? mend(this.tail) : this.tail;
    const tokens = parse(text, this.env);
    const starts: number[] = []; // index of the first token of each block
    tokens.forEach((t, i) => { if (t.level === 0 && t.nesting >= 0 && t.map) starts.push(i); });
    const keep = more ? this.settled(tokens, starts) : starts.length;
    const cut = keep < starts.length ? starts[keep]! : tokens.length;
    const context: Context = { heads: this.heads, streaming: false };
    if (cut > 0) this.add(tokens.slice(0, cut), context);
    if (more && cut < tokens.length) this.tail = fromLine(this.tail, tokens[cut]!.map![0]);
    else if (!more) { this.tail = ''; return; }
    if (cut >= tokens.length) return;
    const first = tokens[cut]!;
    const open = first.type === 'fence' && cut === tokens.length - 1 ? OPEN.exec(this.tail) : null;
    const before = this.root.lastChild;
    const code = this.add(tokens.slice(cut), { heads: [...this.heads], streaming: true });
    for (let n = before ? before.nextSibling : this.root.firstChild; n; n = n.nextSibling) this.live.push(n);
    if (open && code) this.enter(open, code);
  }

  private add(tokens: Token[], context: Context): CodeView | null {
    const out = document.createDocumentFragment();
    const code = render(tokens, out, context);
    this.root.appendChild(out);
    return code;
  }

  /** How many blocks from the front are final: all before the last whose kind its complete lines have decided. */
  private settled(tokens: Token[], starts: number[]): number {
    let complete = 0;
    for (let i = this.tail.indexOf('\n'); i >= 0; i = this.tail.indexOf('\n', i + 1)) complete++;
    for (let n = starts.length - 1; n > 0; n--) {
      const t = tokens[starts[n]!]!;
      // A table is one only from its second line on.
      if (t.map![0] + (t.type === 'table_open' ? 2 : 1) <= complete) return n;
    }
    return 0;
  }

  /** The last block is code that is still open: from here on its lines are appended as they come. */
  private enter(open: RegExpExecArray, view: CodeView): void {
    const [whole, indent, marks] = open as unknown as [string, string, string];
    const close = new RegExp(`^ {0,3}${marks[0] === '`' ? '`' : '~'}{${marks.length},}[ \\t]*$`);
    const body = this.tail.slice(whole.length);
    this.live = [];
    this.tail = '';
    view.set('');
    this.fence = { view, close, indent: new RegExp(`^ {0,${indent!.length}}`), partial: '', mid: false };
    if (body) {
      const rest = this.intoFence(body);
      if (rest) { this.tail = rest; this.draw(true); }
    }
  }
}

function fromLine(text: string, line: number): string {
  let at = 0;
  for (; line > 0; line--) {
    const nl = text.indexOf('\n', at);
    if (nl < 0) return '';
    at = nl + 1;
  }
  return text.slice(at);
}
