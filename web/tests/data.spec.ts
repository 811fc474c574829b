import { readFileSync } from 'node:fs';
import { expect, mockOnly, real, test } from './fixture';

const GPT = [{ title: 'From ChatGPT', create_time: 1700000000, update_time: 1700000100, mapping: {
  r: { id: 'r', parent: null, message: null },
  a: { id: 'a', parent: 'r', message: { author: { role: 'user' }, content: { content_type: 'text', parts: ['Hi from there'] } } },
  b: { id: 'b', parent: 'a', message: { author: { role: 'assistant' }, content: { content_type: 'text', parts: ['Hello back'] } } },
} }];

test('list: search with snippet, rename, delete with confirmation', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('Zebra question');
  await page.keyboard.press('Control+Shift+O');
  await chat.talk('Quokka question');
  const list = page.getByRole('navigation', { name: 'Chats' });
  await expect(list.getByRole('heading', { name: 'Today' })).toBeVisible();
  await page.keyboard.press('Control+K');
  const search = page.getByRole('searchbox', { name: 'Search chats' });
  await expect(search).toBeFocused();
  await search.fill('zebra');
  await expect(list.getByRole('link').first()).toContainText('Zebra');
  await expect(list.getByRole('link', { name: /Quokka/ })).toHaveCount(0);
  await expect(list.locator('mark').first()).toHaveText(/zebra/i);
  await search.fill('surely not there 123');
  await expect(list).toContainText('Nothing found.');
  await search.press('Escape');
  await expect(list.getByRole('link', { name: /Quokka/ }).first()).toBeVisible();

  const item = list.locator('.item', { hasText: 'Quokka' }).first();
  await item.hover();
  await item.getByRole('button', { name: /More for/ }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('textbox', { name: 'Title' }).fill('Renamed quokka');
  await page.keyboard.press('Enter');
  await expect(list.getByRole('link', { name: 'Renamed quokka' })).toBeVisible();
  await page.reload();
  await expect(list.getByRole('link', { name: 'Renamed quokka' })).toBeVisible();

  await list.getByRole('link', { name: 'Renamed quokka' }).focus();
  await page.keyboard.press('Delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await expect(list.getByRole('link', { name: 'Renamed quokka' })).toBeVisible();
  await page.keyboard.press('Delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(list.getByRole('link', { name: 'Renamed quokka' })).toHaveCount(0);
  await expect(chat.users).toHaveCount(0);
});

test('date groups and load more, also when many have the same second', async ({ chat, page }) => {
  mockOnly();
  const now = Math.floor(Date.now() / 1000), day = 86400;
  const at = [now, now - day, now - 3 * day, now - 20 * day, 1672531200, ...Array.from({ length: 95 }, () => 1600000000)];
  await chat.api('POST', 'ui/import', { conversations: at.map((t, i) => ({ id: String(i), title: `Chat ${i}`, created: t, updated: t, messages: [] })) });
  await chat.open();
  const list = page.getByRole('navigation', { name: 'Chats' });
  await expect(list.getByRole('heading')).toHaveText(['Today', 'Yesterday', 'Last 7 days', 'Last 30 days', 'January 2023', 'September 2020']);
  await expect(list.getByRole('link')).toHaveCount(40);
  await list.getByRole('button', { name: 'Load more' }).click();
  await expect.poll(() => list.getByRole('link').count()).toBeGreaterThan(40);
});

test('export and import: JSON, Markdown, ChatGPT', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('Export me, <b>please</b>');
  const item = page.locator('.item.current');
  const save = async (name: string) => {
    await item.hover();
    await item.getByRole('button', { name: /More for/ }).click();
    const [d] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name }).click()]);
    return { name: d.suggestedFilename(), path: (await d.path())! };
  };
  const json = await save('Export as JSON'), md = await save('Export as Markdown');
  expect(json.name).toMatch(/^Export me.*\.json$/);
  expect(md.name).toMatch(/\.md$/);
  expect(readFileSync(md.path, 'utf8')).toContain('Export me, <b>please</b>');
  const [all] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export all' }).click()]);
  expect(JSON.parse(readFileSync((await all.path())!, 'utf8'))).toHaveProperty('conversations');

  await page.locator('#import').setInputFiles([
    { name: 'a.json', mimeType: 'application/json', buffer: readFileSync(json.path) },
    { name: 'a.md', mimeType: 'text/markdown', buffer: readFileSync(md.path) },
    { name: 'conversations.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(GPT)) },
    { name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from('{nope') },
  ]);
  await expect(page.locator('.toast', { hasText: /Imported \d chats?/ })).toBeVisible();
  await expect(page.locator('.toast', { hasText: 'bad.json' })).toBeVisible();
  await page.getByRole('searchbox').fill('From ChatGPT');
  await page.getByRole('link', { name: /From ChatGPT/ }).first().click();
  await expect(chat.users.first()).toContainText('Hi from there');
  await expect(chat.answers.first()).toContainText('Hello back');
});

test('an import larger than a body goes in parts', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ bodyBytes: 4000 });
  await chat.open();
  const big = { conversations: Array.from({ length: 30 }, (_, i) => ({ id: String(i), title: `Part ${i}`, messages: [{ id: 'm', parent: null, role: 'user', content: 'x'.repeat(300) }] })) };
  await page.locator('#import').setInputFiles([{ name: 'big.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(big)) }]);
  await expect(page.locator('.toast')).toContainText('Imported 30 chats.');
  const calls = (await chat.log()).filter((l) => l.path === '/ui/import');
  expect(calls.length).toBeGreaterThan(3);
  for (const c of calls) expect(JSON.stringify(c.body).length).toBeLessThan(4000);
});

test('attachments: button, drop, long paste; binary is refused; removed by its button', async ({ chat, page }) => {
  await chat.open();
  await page.locator('#attach').setInputFiles([
    { name: 'tool.py', mimeType: 'text/plain', buffer: Buffer.from('def f():\n    return "```"\n') },
    { name: 'photo.bin', mimeType: 'application/octet-stream', buffer: Buffer.from([0xff, 0xd8, 0, 1, 2]) },
  ]);
  const files = page.getByRole('list', { name: 'Attached' });
  await expect(files).toContainText('tool.py');
  await expect(page.locator('.toast')).toContainText('photo.bin is not a text file');
  const drop = await page.evaluateHandle(() => {
    const d = new DataTransfer();
    d.items.add(new File(['int main;'], 'dropped.c'));
    return d;
  });
  await page.dispatchEvent('main', 'dragenter', { dataTransfer: drop });
  await page.dispatchEvent('main', 'drop', { dataTransfer: drop });
  await expect(files).toContainText('dropped.c');
  const paste = (text: string) => page.evaluate((t) => {
    const d = new DataTransfer();
    d.setData('text/plain', t);
    return document.getElementById('prompt')!.dispatchEvent(new ClipboardEvent('paste', { clipboardData: d, bubbles: true, cancelable: true }));
  }, text);
  expect(await paste('short')).toBe(true);
  expect(await paste('long line\n'.repeat(201))).toBe(false);
  await expect(files).toContainText('pasted.txt');
  await page.getByRole('button', { name: 'Remove dropped.c' }).click();
  await expect(files).not.toContainText('dropped.c');
  await chat.prompt.fill('What is this?');
  await page.reload();
  await expect(files).toContainText('tool.py'); // the draft keeps them
  await chat.prompt.press('Enter');
  await expect(chat.users.first()).toContainText('tool.py');
  await expect(chat.users.first()).toContainText('201 lines');
  await expect(files).toHaveCount(0);
  await chat.idle();
  const c = await chat.api<{ messages: { content: string }[] }>('GET', `ui/conversations/${chat.id}`);
  expect(c.messages[0]!.content).toContain('````python tool.py\ndef f():\n    return "```"\n````');
  expect(c.messages[0]!.content.startsWith('What is this?')).toBe(true);
});

test('drafts are kept, one for each chat', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('hello');
  await chat.prompt.fill('not yet sent');
  await page.keyboard.press('Control+Shift+O');
  await expect(chat.prompt).toHaveValue('');
  await chat.prompt.fill('another draft');
  await page.reload();
  await expect(chat.prompt).toHaveValue('another draft');
  await page.getByRole('link', { name: 'hello' }).first().click();
  await expect(chat.prompt).toHaveValue('not yet sent');
});

test('settings: defaults, changes are kept and sent, reset, seed, stop strings, system prompt', async ({ chat, page }) => {
  await chat.open();
  let d = await chat.settings();
  if (!real) {
    for (const [name, value] of [['Temperature', '0.2'], ['Top-p', '0.95'], ['Top-k', '50'], ['Repetition penalty', '1.2'], ['New tokens', '512']]) {
      await expect(d.getByRole('spinbutton', { name: `${name}, number` })).toHaveValue(value!);
    }
  }
  await d.getByRole('slider', { name: 'Temperature' }).fill('0.7');
  await expect(d.getByRole('spinbutton', { name: 'Temperature, number' })).toHaveValue('0.7');
  await d.getByRole('spinbutton', { name: 'Seed' }).fill('42');
  await d.getByRole('textbox', { name: 'Stop strings' }).fill('END\n\\n\\n');
  await d.getByRole('textbox', { name: 'System prompt' }).fill('Answer briefly.');
  await page.keyboard.press('Escape');
  await expect(d).toBeHidden();
  await chat.talk('hello');
  const c = await chat.api<{ system: string; settings: Record<string, unknown> }>('GET', `ui/conversations/${chat.id}`);
  expect(c.system).toBe('Answer briefly.');
  expect(c.settings).toMatchObject({ temperature: 0.7, seed: 42, stop: ['END', '\n\n'] });
  await page.reload();
  d = await chat.settings();
  await expect(d.getByRole('slider', { name: 'Temperature' })).toHaveValue('0.7');
  await expect(d.getByRole('spinbutton', { name: 'Seed' })).toHaveValue('42');
  await expect(d.getByRole('textbox', { name: 'Stop strings' })).toHaveValue('END\n\\n\\n');
  await d.getByRole('button', { name: 'Reset to defaults' }).click();
  if (!real) await expect(d.getByRole('slider', { name: 'Temperature' })).toHaveValue('0.2');
  await expect(d.getByRole('spinbutton', { name: 'Seed' })).toHaveValue('');
  await page.keyboard.press('Escape');
  await expect.poll(async () => (await chat.api<{ settings: object }>('GET', `ui/conversations/${chat.id}`)).settings).toEqual({});
});

test('settings can become those of new chats', async ({ chat, page }) => {
  await chat.open();
  let d = await chat.settings();
  await d.getByRole('spinbutton', { name: 'Top-k, number' }).fill('17');
  await d.getByRole('spinbutton', { name: 'Top-k, number' }).press('Tab');
  await d.getByRole('button', { name: 'Use for new chats' }).click();
  await d.getByRole('button', { name: 'Close' }).click();
  await page.reload();
  d = await chat.settings();
  await expect(d.getByRole('slider', { name: 'Top-k' })).toHaveValue('17');
});

test('the model of a chat is chosen and kept', async ({ chat, page }) => {
  mockOnly();
  await chat.open();
  await page.getByRole('combobox', { name: 'Model' }).selectOption('starchat-lora');
  await chat.talk('hello');
  await expect(chat.answers.last()).toContainText('starchat-lora');
  await page.getByRole('combobox', { name: 'Model' }).selectOption('starcoder-base');
  await expect.poll(async () => (await chat.api<{ model: string }>('GET', `ui/conversations/${chat.id}`)).model).toBe('starcoder-base');
});

test('context meter counts path and draft', async ({ chat, page }) => {
  await chat.open();
  const meter = page.getByRole('meter', { name: 'Context used' });
  await expect(meter).toBeVisible();
  const small = Number(await meter.evaluate((m: HTMLMeterElement) => m.value));
  await chat.prompt.fill('word '.repeat(300));
  await expect.poll(() => meter.evaluate((m: HTMLMeterElement) => m.value)).toBeGreaterThan(small);
  await expect(page.locator('.meter')).toHaveText(/[\d,]+ of [\d,]+ tokens/);
  if (!real) {
    await chat.prompt.fill('word '.repeat(4000));
    await expect(page.locator('.meter.full')).toContainText('too long');
  }
});
