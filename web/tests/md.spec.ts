import { expect, real, test } from './fixture';
import type { Page } from '@playwright/test';
import type { Harness } from './harness';
import { MATH, PLOT, TABLE, TORTURE } from '../mock/texts.mjs';

// The Markdown part alone, under the page's own policy, fed piece by piece.

type W = { harness: Harness };
async function load(page: Page, origin: string): Promise<void> {
  await page.goto(origin + 'harness/harness.html');
  await page.waitForFunction(() => 'harness' in window);
}

test.beforeEach(async ({ chat, page }) => {
  test.skip(Boolean(real), 'the harness is served by the mock');
  await load(page, chat.origin);
});

test('a text that comes in pieces ends as the text at once, wherever it is cut', async ({ page }) => {
  const docs = [TORTURE, PLOT, MATH, TABLE,
    'a\n```\ncode\n', 'para\n``` not a fence `\nmore', '- a\n\n- b\n  ```c\n  x\n\n  y\n  ```\n- c\n\ntext', '```\nopen and never closed\n\nstill', '~~~~py f.py\na\n~~~\nb\n~~~~\nafter',
    'text\n---\nmore\n\n---\n', 'x\n===', '1. one\n2. two\n\n   para\n3. three', '> q\nlazy\n\nout', 'a | b\n--|--\n1 | 2\n\nend', 'p\na | b\n--|--\n1|2', '| a |\n| --- not\n\nx',
    '[a]: http://x.example\n\n[a] and [b]\n\n[b]: http://y.example "t"', '$$\na\n\nb\n$$\n\nx', '$$ never closed\n\ntext *a*', '\\[ x \\] and \\( y \\)', '# H\n\n### H3\n\n## H2\n\n#### H4',
    '  ```\n  indented\n    more\n  ```\nend', '```js\nconst a = `x`;\n```', '- [ ] a\n- [x] b\n', '**bold', '*a **b* c**', '`code', 'a\\\nb  \nc', '\tindented code\n\n\tmore\n\ntext', 'é漢字🙂\n\n🙂', '<div>\n<b>x</b>\n</div>\n\ny',
    '```\n```\n', '```\n\n```', '\n\n\n', '```a\n``', '````\n```\n````', 'x\r\ny\r\n\r\n```\r\nz\r\n```\r\n'];
  const bad = await page.evaluate((all) => {
    const { harness: h } = window as unknown as W;
    const out: string[] = [];
    let seed = 1;
    const random = () => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed / 0x7fffffff; };
    for (const doc of all) {
      const want = h.show(doc);
      const tries: number[][] = [Array.from({ length: doc.length }, (_, i) => i)];
      if (doc.length < 400) for (let i = 1; i < doc.length; i++) tries.push([i]);
      for (let k = 0; k < 40; k++) {
        const cuts = new Set<number>();
        for (let i = 0; i < 12; i++) cuts.add(Math.floor(random() * doc.length));
        tries.push([...cuts].sort((a, b) => a - b));
      }
      for (const cuts of tries) {
        const got = h.stream(doc, cuts);
        if (got.outline !== want) out.push(`${JSON.stringify(doc.slice(0, 60))} cut at ${cuts.slice(0, 12)}:\n  ${got.outline.slice(0, 300)}\n  ${want.slice(0, 300)}`);
        if (got.wrong.length) out.push(got.wrong[0]!);
        if (out.length > 5) return out;
      }
    }
    return out;
  }, docs);
  expect(bad).toEqual([]);
});

test('unfinished Markdown looks sane', async ({ page }) => {
  const look = (text: string) => page.evaluate((t) => (window as unknown as W).harness.partial(t), text);
  expect(await look('This is **bo')).toBe('<p>This is <strong>bo</strong></p>');
  expect(await look('This is *it')).toBe('<p>This is <em>it</em></p>');
  expect(await look('Call `f(')).toBe('<p>Call <code>f(</code></p>');
  expect(await look('a ~~b')).toBe('<p>a <s>b</s></p>');
  expect(await look('see [the docs](https://exam')).toBe('<p>see the docs</p>');
  expect(await look('see [the do')).toBe('<p>see the do</p>');
  expect(await look('end **')).toBe('<p>end</p>');
  expect(await look('2 * 3 and 4 * 5')).toBe('<p>2 * 3 and 4 * 5</p>');
  expect(await look('| a | b |\n')).toContain('<th>a</th><th>b</th>');
  expect(await look('| a | b |\n|--')).toContain('<th>a</th><th>b</th>');
  expect(await look('| a | b |\n|---|---|\n| 1 |')).toContain('<td>1</td>');
  expect(await look('text\n\n```py\nx = **1')).toContain('<code>"x = **1"</code>');
  expect(await look('$$\n\\frac{1}{2')).toContain('\\frac{1}{2');
  expect(await look('- [')).not.toContain('img');
});

test('the price of a piece does not grow with the text', async ({ page }) => {
  const times = (start: string, piece: string, n: number) => page.evaluate(([s, p, k]) => (window as unknown as W).harness.timing(s, p, k), [start, piece, n] as [string, string, number]);
  await times('', 'warm *up* now\n\n', 200);
  for (const [start, piece, n] of [['', 'Some **words** of a paragraph.\n\n', 3000], ['```python\n', '    x = f(x)  # more code\n', 6000]] as [string, string, number][]) {
    const t = await times(start, piece, n);
    console.log(JSON.stringify(piece), t.map((x) => x.toFixed(0)).join(' '), 'ms a tenth');
    const first = t.slice(1, 4).reduce((a, b) => a + b), last = t.slice(7).reduce((a, b) => a + b);
    expect(last, t.map((x) => x.toFixed(1)).join(' ')).toBeLessThan(first * 3 + 60);
  }
});

test('one open block of code of 20,000 lines', async ({ page }) => {
  const ms = await page.evaluate(() => {
    const { harness: h } = window as unknown as W;
    h.stream('```python\n', []);
    const text = '```python\n' + 'x = [i for i in range(10)]  # a line\n'.repeat(20000);
    const cuts = Array.from({ length: 2000 }, (_, i) => Math.floor((text.length * (i + 1)) / 2001));
    const t = performance.now();
    // Without looking for what is wrong, which is not what is measured.
    const root = document.getElementById('root')!;
    const all = root.querySelectorAll;
    root.querySelectorAll = (() => []) as never;
    h.stream(text, cuts);
    root.querySelectorAll = all;
    return performance.now() - t;
  });
  expect(ms).toBeLessThan(8000);
});

test('colours never change the text; attachments cannot be left; messages are split as they are written', async ({ page }) => {
  const out = await page.evaluate((code) => {
    const { harness: h } = window as unknown as W;
    const langs = ['python', 'js', 'ts', 'c', 'cpp', 'rust', 'go', 'java', 'bash', 'sql', 'json', 'yaml', 'html', 'css', 'diff', 'markdown', 'php', 'ruby'];
    const same = langs.every((l) => h.colour(code, l) === code);
    const files = [{ name: 'a b`.py', text: 'x\n``````\n```' }, { name: 'n.txt', text: '' }];
    const sent = h.compose('  Look  ', files);
    return { same, unknown: h.colour('x', 'nolang'), sent, pieces: h.pieces(sent), plain: h.pieces('a # b\n  __init__\n') };
  }, TORTURE + '<script>alert(1)</script>&amp;"\'');
  expect(out.same).toBe(true);
  expect(out.unknown).toBeNull();
  expect(out.pieces).toEqual([{ kind: 'text', text: 'Look' }, { kind: 'code', info: 'python a b .py', text: 'x\n``````\n```\n' }, { kind: 'code', info: 'text n.txt', text: '\n' }]);
  expect(out.plain).toEqual([{ kind: 'text', text: 'a # b\n  __init__' }]);
});

test('formulas are drawn, and bad ones stay text', async ({ page }) => {
  const m = (tex: string) => page.evaluate((t) => (window as unknown as W).harness.math(t), tex);
  for (const good of ['\\frac{a}{b}', '\\begin{matrix} 1 & 2 \\\\ 3 & 4 \\end{matrix}', '\\sqrt[3]{x}', '\\mathbb{R}^n', '\\color{red} x', '\\cancel{x}', '\\underbrace{a+b}_{c}', '\\begin{align} a &= b \\\\ c &= d \\end{align}', '\\left( \\sum_{i} x_i \\right)', '\\text{if } x']) {
    expect(await m(good), good).toEqual({ bad: [], drawn: true });
  }
  for (const bad of ['\\frac{', '\\def\\a{\\a\\a}\\a', '\\unknowncommand', '{'.repeat(3000), 'x'.repeat(20000)]) expect((await m(bad)).drawn, bad.slice(0, 30)).toBe(false);
});
