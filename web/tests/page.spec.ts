import { expect, mockOnly, real, test } from './fixture';

test('server down: banner, text safe, retry by itself and by button', async ({ chat, page }) => {
  mockOnly();
  await chat.open();
  await chat.set({ down: true });
  await chat.prompt.fill('Important text');
  await chat.prompt.press('Enter');
  const banner = page.getByRole('alert').filter({ hasText: 'cannot be reached' });
  await expect(banner).toBeVisible();
  await expect(chat.prompt).toHaveValue('Important text');
  await banner.getByRole('button', { name: 'Retry now' }).click();
  await expect(banner).toBeVisible();
  await chat.set({ down: false });
  await expect(banner).toBeHidden({ timeout: 15000 });
  await chat.prompt.press('Enter');
  await chat.idle();
  await expect(chat.users.first()).toContainText('Important text');
});

test('a server that is down at the start', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ down: true });
  await page.goto(chat.origin);
  await expect(page.getByRole('alert').filter({ hasText: 'cannot be reached' })).toBeVisible();
  await chat.set({ down: false });
  await expect(page.getByRole('heading', { name: 'What shall we write?' })).toBeVisible({ timeout: 15000 });
});

test('API key: asked for, wrong, right, kept', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ key: 'sesame' });
  await page.goto(chat.origin);
  const d = page.getByRole('dialog', { name: 'API key' });
  await expect(d).toBeVisible();
  await d.getByLabel('Key', { exact: true }).fill('wrong');
  await d.getByRole('button', { name: 'Use key' }).click();
  await expect(d.getByRole('alert')).toContainText('does not accept this key');
  await d.getByLabel('Key', { exact: true }).fill('sesame');
  await d.getByRole('button', { name: 'Use key' }).click();
  await expect(d).toBeHidden();
  await chat.talk('hello');
  await page.reload();
  await expect(chat.users.first()).toContainText('hello');
  await expect(d).toBeHidden();
  // The key is taken away while the page is open.
  await chat.set({ key: 'other' });
  await chat.prompt.fill('again');
  await chat.prompt.press('Enter');
  await expect(d).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(chat.prompt).toHaveValue('again');
  await page.getByRole('button', { name: 'Enter key' }).click();
  await expect(d).toBeVisible();
});

test('theme: by the system, by the button, kept', async ({ chat, page }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await chat.open();
  const root = page.locator('html');
  await expect(root).toHaveAttribute('data-theme', 'dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await expect(root).toHaveAttribute('data-theme', 'light');
  await page.getByRole('button', { name: 'Theme: system' }).click();
  await expect(root).toHaveAttribute('data-theme', 'dark');
  await page.reload();
  await expect(root).toHaveAttribute('data-theme', 'dark');
  await page.getByRole('button', { name: 'Theme: dark' }).click();
  await expect(root).toHaveAttribute('data-theme', 'light');
});

test('phone: drawer, nothing wider than the screen, everything usable', async ({ chat, page }) => {
  await page.setViewportSize({ width: 360, height: 700 });
  await chat.open();
  await chat.talk('Show me everything');
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  const side = page.getByRole('complementary', { name: 'Chats and files' });
  await expect(side).toBeHidden();
  await page.getByRole('button', { name: 'Chats', exact: true }).click();
  await expect(side).toBeVisible();
  await expect(page.locator('.stage')).toHaveAttribute('inert', '');
  await page.keyboard.press('Escape');
  await expect(side).toBeHidden();
  await page.getByRole('button', { name: 'Chats', exact: true }).click();
  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(side).toBeHidden();
  await expect(chat.users).toHaveCount(0);
});

test('keyboard: shortcuts', async ({ chat, page }) => {
  await chat.open();
  await page.keyboard.press('Control+.');
  await expect(page.getByRole('dialog', { name: 'Settings' })).toBeVisible();
  await page.keyboard.press('Control+.');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.keyboard.press('Control+/');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toContainText('Ctrl + Shift + O');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.press('Shift+Escape');
  await expect(chat.prompt).toBeFocused();
  await chat.talk('hello');
  await page.keyboard.press('Control+Shift+S');
  await expect(page.getByRole('complementary')).toBeHidden();
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.press('Control+Shift+O');
  await expect(chat.users).toHaveCount(0);
  await expect(chat.prompt).toBeFocused();
});

test('keyboard: every control is reached by Tab, with a visible focus', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('hello');
  await chat.prompt.fill('draft');
  await page.evaluate(() => { (document.activeElement as HTMLElement).blur(); document.body.focus(); });
  const seen = new Set<string>();
  let invisible = 0;
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const e = document.activeElement as HTMLElement;
      if (e === document.body) return null;
      const s = getComputedStyle(e), box = e.closest('.box');
      const ring = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || (box !== null && getComputedStyle(box).boxShadow !== 'none');
      return { name: e.getAttribute('aria-label') ?? e.textContent?.trim() ?? '', ring, opacity: s.opacity };
    });
    if (!at) continue; // once around
    seen.add(at.name);
    if (!at.ring || at.opacity === '0') invisible++;
  }
  expect(invisible).toBe(0);
  for (const name of ['Skip to the message box', 'Chats', 'Model', 'Compare', 'Settings', 'New chat', 'Search chats', 'Import', 'Export all', 'Edit message', 'Regenerate', 'Copy message', 'Message', 'Send', 'Attach text files', 'Conversation']) {
    expect([...seen].some((s) => s.startsWith(name)), name).toBe(true);
  }
  expect([...seen].some((s) => s.startsWith('More for'))).toBe(true);
});

test('keyboard: the menu of a chat', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('menu test');
  await page.locator('.item.current .more').focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('menuitem', { name: 'Rename' })).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(page.getByRole('menuitem', { name: 'Delete' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.locator('.item.current .more')).toBeFocused();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('F2');
  await expect(page.getByRole('textbox', { name: 'Title' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.locator('.item.current a')).toBeFocused();
});

test('Enter and Shift+Enter, and swapped', async ({ chat, page }) => {
  await chat.open();
  await chat.prompt.fill('one');
  await chat.prompt.press('Shift+Enter');
  await chat.prompt.pressSequentially('two');
  await expect(chat.prompt).toHaveValue('one\ntwo');
  const d = await chat.settings();
  await d.getByRole('checkbox', { name: /Enter sends/ }).uncheck();
  await page.keyboard.press('Escape');
  await chat.prompt.press('Enter');
  await expect(chat.prompt).toHaveValue('one\ntwo\n');
  await chat.prompt.press('Control+Enter');
  await chat.idle();
  await expect(chat.users).toHaveCount(1);
});

test('arrow up in an empty box edits the last message', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('first');
  await chat.talk('second');
  await chat.prompt.press('ArrowUp');
  await expect(page.getByRole('textbox', { name: 'Edit your message' })).toHaveValue('second');
});

test('scrolling follows the text, until one scrolls up', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ delay: 3, piece: 20 });
  await chat.open();
  await chat.send('a long text');
  const box = page.locator('.thread');
  const gap = () => box.evaluate((b) => b.scrollHeight - b.scrollTop - b.clientHeight);
  await expect.poll(() => box.evaluate((b) => b.scrollTop)).toBeGreaterThan(300);
  expect(await gap()).toBeLessThan(40);
  await box.hover();
  await page.mouse.wheel(0, -400);
  await page.waitForTimeout(300);
  const place = await box.evaluate((b) => b.scrollTop);
  await page.waitForTimeout(400);
  expect(Math.abs((await box.evaluate((b) => b.scrollTop)) - place)).toBeLessThan(5);
  const down = page.getByRole('button', { name: 'To the bottom' });
  await expect(down).toBeVisible();
  await down.click();
  await expect.poll(gap).toBeLessThan(40);
  await chat.idle();
  expect(await gap()).toBeLessThan(40);
  await expect(down).toBeHidden();
});

test('screen readers hear the start and the end, not every word', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ delay: 3, piece: 30 });
  await chat.open();
  await page.evaluate(() => {
    const w = window as unknown as { heard: string[] };
    w.heard = [];
    for (const e of document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]')) {
      new MutationObserver(() => w.heard.push(e.textContent ?? '')).observe(e, { childList: true, characterData: true, subtree: true });
    }
  });
  await chat.talk('a long text');
  const heard = await page.evaluate(() => (window as unknown as { heard: string[] }).heard);
  expect(heard).toEqual(['Answer is being written', 'Answer complete']);
  await expect(page.locator('[aria-live] .prose, [role=log]')).toHaveCount(0);
});

test('no motion for those who want none', async ({ chat, page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await chat.set({ delay: 20 });
  await chat.open();
  await chat.send('plot');
  const moving = await page.evaluate(() => document.getAnimations().length);
  expect(moving).toBe(0);
  await chat.idle();
});

test('a long chat opens fast and scrolls; earlier messages come when looked for', async ({ chat, page }) => {
  test.skip(Boolean(real), 'imports much');
  const body = 'Some **text** with `code` and a list:\n\n- one\n- two\n\n```python\nfor i in range(10):\n    print(i)\n```\n';
  const messages = Array.from({ length: 600 }, (_, i) => ({ id: `m${i}`, parent: i ? `m${i - 1}` : null, role: i % 2 ? 'assistant' : 'user', content: i % 2 ? body.repeat(4) : `Question number ${i}`, created: 1, status: 'done' }));
  const { ids } = await chat.api<{ ids: string[] }>('POST', 'ui/import', { conversations: [{ title: 'Very long', messages }] });
  await chat.open();
  const start = Date.now();
  await page.goto(`${chat.origin}#/c/${ids[0]}`);
  await expect(page.getByText('Question number 598')).toBeVisible();
  expect(Date.now() - start).toBeLessThan(2500);
  expect(await page.locator('.message').count()).toBeLessThanOrEqual(40);
  const box = page.locator('.thread');
  for (let i = 0; i < 20 && (await page.locator('.message').count()) < 200; i++) {
    await box.evaluate((b) => { b.scrollTop = 0; });
    await page.waitForTimeout(80);
  }
  expect(await page.locator('.message').count()).toBeGreaterThanOrEqual(200);
  await chat.set({ delay: 2, piece: 8 });
  // While an answer is written below all that, frames keep coming.
  await page.evaluate(() => {
    const w = window as unknown as { slowest: number };
    w.slowest = 0;
    let last = performance.now();
    const tick = (t: number) => { w.slowest = Math.max(w.slowest, t - last); last = t; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
  });
  await chat.talk('a long text');
  expect(await page.evaluate(() => (window as unknown as { slowest: number }).slowest)).toBeLessThan(400);
});
