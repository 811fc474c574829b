import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, real, test } from './fixture';

// Every state in both themes and two sizes: nothing for axe to find, best practices included.

async function audit(page: Page, what: string): Promise<void> {
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect?.getTiming().iterations !== Infinity).map((a) => a.finished.catch(() => 0))));
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
  expect(violations.map((v) => `${what}: ${v.id} ${v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '')).join(' | ')}`)).toEqual([]);
}

for (const scheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of [['desktop', { width: 1280, height: 800 }], ['phone', { width: 390, height: 780 }]] as const) {
    test(`axe: ${scheme}, ${size}`, async ({ chat, page }) => {
      test.setTimeout(real ? 600_000 : 240_000);
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize(viewport);
      await chat.set({ piece: 40, delay: 1 });
      await chat.open();
      await audit(page, 'empty');
      await chat.talk('Show me everything');
      await page.waitForTimeout(300);
      await audit(page, 'torture');
      // The rest on a short chat: axe's time grows with the page.
      await page.keyboard.press('Control+Shift+O');
      await page.evaluate(() => {
        const d = new DataTransfer();
        d.setData('text/plain', 'x = 1\n'.repeat(500));
        document.getElementById('prompt')!.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true }));
      });
      await chat.prompt.fill('With a file');
      await audit(page, 'attachment');
      await chat.prompt.press('Enter');
      await chat.idle();
      await chat.answers.last().getByRole('button', { name: 'Regenerate' }).click();
      await chat.idle();
      await audit(page, 'branches');
      await chat.settings();
      await audit(page, 'settings');
      await page.keyboard.press('Escape');
      await page.keyboard.press('Control+/');
      await audit(page, 'shortcuts');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Compare' }).click();
      await chat.set({ piece: 5, delay: 30 });
      await chat.send('plot for two');
      await page.waitForTimeout(500);
      await audit(page, 'compare, streaming');
      await chat.set({ piece: 60, delay: 1 });
      await chat.idle();
      await audit(page, 'compare');
      await page.getByRole('button', { name: 'Keep this one' }).first().click();
      await chat.users.last().hover();
      await chat.users.last().getByRole('button', { name: 'Edit message' }).click();
      await audit(page, 'editing');
      await page.keyboard.press('Escape');
      if (size === 'phone') await page.getByRole('button', { name: 'Chats', exact: true }).click();
      await page.getByRole('searchbox').fill('everything');
      await expect(page.locator('.item-snippet mark').first()).toBeVisible(); // of the server's answer, not of the old list
      await page.locator('.item .more').first().click();
      await audit(page, 'list with menu');
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await audit(page, 'confirm');
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
      if (size === 'phone') await page.keyboard.press('Escape');
      if (!real) {
        await chat.set({ status: 'error', error: 'Out of memory.' });
        await chat.talk('fail');
        await chat.set({ down: true });
        await chat.prompt.fill('x');
        await chat.prompt.press('Enter');
        await expect(page.getByRole('alert').filter({ hasText: 'cannot be reached' })).toBeVisible();
        await audit(page, 'down');
      }
    });
  }
}

test('axe: key dialog', async ({ chat, page }) => {
  test.skip(Boolean(real), 'needs a key');
  await chat.set({ key: 'k' });
  await page.goto(chat.origin);
  await expect(page.getByRole('dialog', { name: 'API key' })).toBeVisible();
  await audit(page, 'key');
});

test('text of double size and narrow screens: nothing is cut off sideways', async ({ chat, page }) => {
  // 1280 wide at 400 % is 320.
  await page.setViewportSize({ width: 320, height: 640 });
  await chat.open();
  await chat.talk('Show me everything');
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  const d = await chat.settings();
  expect(await d.evaluate((e) => e.scrollWidth <= e.clientWidth + 1)).toBe(true);
});
