import { expect, mockOnly, real, test } from './fixture';
import type { Harness } from './harness';
import { PAYLOADS } from './payloads';

// The fixture says after each test: no dialog, no window.__xss, no request off-site, nothing that the policy had to stop.

type W = { harness: Harness };

test(`${PAYLOADS.length} payloads, each cut at every border`, async ({ chat, page }) => {
  mockOnly();
  test.setTimeout(900_000);
  expect(PAYLOADS.length).toBeGreaterThan(400);
  await page.goto(chat.origin + 'harness/harness.html');
  await page.waitForFunction(() => 'harness' in window);
  const bad: string[] = [];
  let streams = 0;
  for (let i = 0; i < PAYLOADS.length; i += 40) {
    const r = await page.evaluate((all) => {
      const { harness: h } = window as unknown as W;
      const out: string[] = [];
      let n = 0;
      for (const p of all) {
        const note = (found: string[]) => { n++; if (found.length) out.push(`${JSON.stringify(p.slice(0, 80))}: ${found[0]}`); };
        h.show(p);
        note(h.wrong());
        note(h.stream(p, Array.from({ length: p.length }, (_, k) => k)).wrong); // one by one
        if (p.length <= 120) for (let k = 1; k < p.length; k++) note(h.stream(p, [k]).wrong);
        // Within other text, and in pieces of three.
        const wrapped = `Text **bold ${p}\n\n- ${p.replaceAll('\n', '\n  ')}\n\n| a | ${p.replaceAll('\n', ' ')} |\n|---|---|\n`;
        note(h.stream(wrapped, Array.from({ length: Math.floor(wrapped.length / 3) }, (_, k) => k * 3)).wrong);
      }
      return { out, n };
    }, PAYLOADS.slice(i, i + 40));
    bad.push(...r.out);
    streams += r.n;
  }
  console.log(`${streams} streams of ${PAYLOADS.length} payloads`);
  expect(bad.slice(0, 10)).toEqual([]);
});

const PARTS = 12;                              // answers of a size that people see
test('payloads through the whole page, streamed in small pieces', async ({ chat, page }) => {
  mockOnly();
  test.setTimeout(900_000);
  await chat.open();
  for (let part = 0; part < PARTS; part++) {
    const text = PAYLOADS.filter((p, i) => i % PARTS === part && p.length < 400).join('\n\n');
    await chat.set({ text, piece: 1 + (part % 4) * 2, delay: 0 });
    const d = await chat.settings();
    await d.getByRole('spinbutton', { name: 'New tokens, number' }).fill('4096');
    await d.getByRole('spinbutton', { name: 'New tokens, number' }).press('Tab');
    await page.keyboard.press('Escape');
    await chat.send(`Part ${part}`);
    await chat.idle(180_000);
  }
  await page.waitForTimeout(300);
});

test('payloads from the server: titles, messages, names, errors, models', async ({ chat, page }) => {
  test.setTimeout(900_000);
  const messages: Record<string, unknown>[] = [];
  PAYLOADS.filter((p) => p.length < 400).slice(0, 300).forEach((p, i) => {
    messages.push({ id: `m${i}`, parent: i ? `m${i - 1}` : null, role: i % 2 ? 'assistant' : 'user', content: p.replaceAll('\u0000', ''), created: 1700000000, model: 'x', status: 'done', stats: {} });
  });
  const title = '<img src=x onerror=window.__xss=1>"\'><script>window.__xss=1</script>';
  const { ids } = await chat.api<{ ids: string[] }>('POST', 'ui/import', { conversations: [{ id: 'x', title, created: 1700000000, updated: 1700000001, model: '', system: title, settings: {}, leaf: `m${messages.length - 1}`, messages }] });
  if (!real) {
    await chat.set({ models: [{ id: title, kind: 'adapter', context: 100, has_chat: false, notice: title }], filter: true });
  }
  await chat.open();
  await page.goto(`${chat.origin}#/c/${ids[0]}`);
  await expect(chat.users.first()).toBeVisible();
  for (let i = 0; i < 8; i++) {
    await page.locator('.thread').evaluate((b) => { b.scrollTop = 0; });
    await page.waitForTimeout(150);
  }
  expect(await page.locator('.thread').evaluate((t) => [...t.querySelectorAll('script,img,iframe,object,embed,form,link,style,base,meta,video,audio,svg[onload],input')].length)).toBe(0);
  expect(await page.locator('.thread a').evaluateAll((all) => all.filter((a) => !/^(https?|mailto):$/.test((a as HTMLAnchorElement).protocol)).length)).toBe(0);
  await page.getByRole('searchbox').fill('<script');
  await page.waitForTimeout(500);
  await page.getByRole('searchbox').fill('');
  if (!real) {
    await chat.set({ status: 'error', error: title, text: title });
    await chat.talk('hello');
    await expect(chat.answers.last().locator('.state')).toHaveText(title);
  }
  await page.locator('#attach').setInputFiles([{ name: '"><img src=x onerror=window.__xss=1>.py', mimeType: 'text/plain', buffer: Buffer.from('</code><script>window.__xss=1</script>') }]);
  await expect(page.getByRole('list', { name: 'Attached' })).toContainText('onerror');
  if (!real) { await chat.prompt.press('Enter'); await chat.idle(); }
});

test('the policy is sent, and the page runs under it with nothing to refuse', async ({ chat, page, context }) => {
  const r = await page.goto(chat.origin);
  const csp = r!.headers()['content-security-policy'] ?? '';
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) expect(csp).toContain(part);
  expect(csp).not.toContain('unsafe');
  // It bites: what the page never does is refused by the browser.
  const other = await context.newPage();
  await other.goto(chat.origin);
  const refused = await other.evaluate(() => {
    try { document.createElement('div')['inner' + 'HTML' as 'innerHTML'] = '<b>x</b>'; return false; } catch { return true; }
  });
  expect(refused).toBe(true);
  await chat.open();
});

test('a link of an answer opens apart, without opener and referrer', async ({ chat, context }) => {
  mockOnly();
  await chat.set({ text: `Look [here](${chat.origin}favicon.svg).`, piece: 100 });
  await chat.open();
  await chat.talk('hello');
  const [other] = await Promise.all([context.waitForEvent('page'), chat.answers.last().getByRole('link', { name: 'here' }).click()]);
  await other.waitForLoadState();
  expect(await other.evaluate(() => [window.opener === null, document.referrer])).toEqual([true, '']);
  await expect(chat.prompt).toBeVisible();
});
