import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test as plain, type Locator, type Page } from '@playwright/test';

/** Set: the tests run against this server, and what needs canned answers is skipped. */
export const real = process.env.STARCHAT_URL?.replace(/\/?$/, '/');
const key = process.env.STARCHAT_KEY;

export interface Logged { method: string; path: string; body: Record<string, unknown> }

/** What a person does on the page. */
export class Chat {
  constructor(readonly page: Page, readonly origin: string) {}

  async set(knobs: Record<string, unknown>): Promise<void> {
    if (!real) await fetch(this.origin + 'mock/set', { method: 'POST', body: JSON.stringify(knobs) });
  }
  async log(): Promise<Logged[]> { return (await (await fetch(this.origin + 'mock/log')).json()) as Logged[]; }
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const r = await fetch(this.origin + path, {
      method, headers: { 'Content-Type': 'application/json', ...(key ? { Authorization: 'Bearer ' + key } : {}) },
      ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
    });
    return (await r.json()) as T;
  }
  async open(hash = ''): Promise<void> {
    await this.page.goto(this.origin + hash);
    await expect(this.page.getByRole('combobox', { name: /^(First )?[Mm]odel$/ })).toBeVisible();
  }
  get prompt(): Locator { return this.page.getByRole('textbox', { name: 'Message', exact: true }); }
  get answers(): Locator { return this.page.locator('.message.answer'); }
  get users(): Locator { return this.page.locator('.message.user'); }
  get id(): string { return /#\/c\/(.+)$/.exec(this.page.url())![1]!; }
  async send(text: string): Promise<void> {
    await this.prompt.fill(text);
    await this.prompt.press('Enter');
    await expect(this.users.last()).toContainText(text.split('\n')[0]!);
  }
  /** The last message is an answer, and whole: before it begins nothing is being written either. */
  async idle(timeout?: number): Promise<void> {
    await expect(this.page.locator('.message').last()).toHaveClass(/\banswer\b/, { timeout });
    await expect(this.page.locator('[data-status=generating]')).toHaveCount(0, { timeout });
  }
  async talk(text: string): Promise<void> { await this.send(text); await this.idle(); }
  async settings(): Promise<Locator> {
    await this.page.getByRole('button', { name: 'Settings', exact: true }).click();
    const d = this.page.getByRole('dialog', { name: 'Settings' });
    await expect(d).toBeVisible();
    return d;
  }
}

async function startMock(): Promise<{ child: ChildProcess; origin: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../mock/server.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
  const origin = await new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (d: Buffer) => resolve(d.toString().trim()));
    child.once('exit', () => reject(new Error('the mock ended')));
  });
  return { child, origin };
}

export const test = plain.extend<{ chat: Chat }, { origin: string }>({
  origin: [async ({}, use) => {
    if (real) { await use(real); return; }
    const { child, origin } = await startMock();
    await use(origin);
    child.kill();
  }, { scope: 'worker' }],

  // Whatever a test does: no dialog, no script of a message, no request off-site, nothing that the policy had to stop.
  chat: async ({ page, origin }, use) => {
    const bad: string[] = [];
    page.on('dialog', (d) => { bad.push('dialog ' + d.message()); void d.dismiss(); });
    page.on('pageerror', (e) => bad.push('error ' + e.message));
    page.on('request', (r) => { if (!/^(blob|data):/.test(r.url()) && !r.url().startsWith(origin)) bad.push('request to ' + r.url()); });
    page.on('console', (m) => { if (/Content Security Policy|TrustedHTML|Trusted Type/i.test(m.text())) bad.push(m.text()); });
    await page.addInitScript((k) => {
      addEventListener('securitypolicyviolation', (e) => console.error('Content Security Policy: ' + e.violatedDirective + ' ' + e.blockedURI));
      if (k) localStorage.setItem('starchat.apiKey', JSON.stringify(k));
    }, key);
    // A real model is slow: short answers do.
    if (real) await page.addInitScript(() => { if (!localStorage.getItem('starchat.newChat')) localStorage.setItem('starchat.newChat', '{"settings":{"max_tokens":48}}'); });
    const chat = new Chat(page, origin);
    await chat.set({ reset: true });
    await use(chat);
    expect(await page.evaluate(() => (window as unknown as { __xss?: unknown }).__xss).catch(() => undefined)).toBeUndefined();
    expect(bad).toEqual([]);
  },
});

export const mockOnly = (): void => { test.skip(Boolean(real), 'needs canned answers'); };
export { expect };
