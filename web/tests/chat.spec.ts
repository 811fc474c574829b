import { expect, mockOnly, real, test } from './fixture';

test('empty page: examples fill the box, and are not sent', async ({ chat, page }) => {
  await chat.open();
  await expect(page.getByRole('heading', { name: 'What shall we write?' })).toBeVisible();
  await page.getByRole('button', { name: /Plot a bar chart/ }).click();
  await expect(chat.prompt).toHaveValue(/seaborn/);
  await expect(chat.prompt).toBeFocused();
  await expect(chat.users).toHaveCount(0);
});

test('send, stream, title, numbers, address', async ({ chat, page }) => {
  await chat.open();
  await chat.send('Reverse a list in Python\nand explain it');
  await expect(page).toHaveURL(/#\/c\/.+/);
  await chat.idle();
  await expect(chat.answers.last().locator('.prose')).not.toBeEmpty();
  await expect(chat.answers.last().locator('.numbers')).toHaveText(/tokens · .* tokens\/s/);
  await expect(page.getByRole('navigation', { name: 'Chats' }).getByRole('link', { name: 'Reverse a list in Python' }).first()).toHaveAttribute('aria-current', 'page');
  await expect(page).toHaveTitle(/Reverse a list in Python/);
  await expect(chat.prompt).toHaveValue('');
});

test('Markdown: tables, tasks, code, links, images, headings', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ piece: 7, delay: 1 });
  await chat.open();
  await chat.talk('Show me everything');
  const a = chat.answers.last();
  await expect(a.locator('table tbody tr')).toHaveCount(3);
  await expect(a.locator('td.align-right').first()).toHaveText('20');
  await expect(a.getByRole('img', { name: 'done:' })).toHaveCount(1);
  await expect(a.getByRole('img', { name: 'to do:' })).toHaveCount(1);
  await expect(a.locator('.hl-keyword').first()).toBeVisible();
  await expect(a.locator('.code-head', { hasText: 'main.js' })).toBeVisible();
  const link = a.getByRole('link', { name: 'link', exact: true });
  await expect(link).toHaveAttribute('rel', 'noopener noreferrer nofollow');
  await expect(link).toHaveAttribute('target', '_blank');
  await expect(a).toContainText('link (example.com)');
  await expect(a.locator('a.image-link')).toHaveText('Image: a cat');
  await expect(a.locator('img')).toHaveCount(0);
  await expect(a).toContainText('<img src=x onerror=alert(1)>');
  await expect(a.locator('math')).toHaveCount(4);
  await expect(a).toContainText('costs $5 and $10');
  await expect(a.getByRole('link', { name: 'the text' })).toHaveAttribute('href', 'https://example.net/reference');
  const levels = await a.locator('h3,h4,h5,h6').evaluateAll((all) => all.map((h) => h.tagName));
  expect(levels).toEqual(['H3', 'H4', 'H4', 'H5']);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});

test('copy: code, message, and the last code by keyboard', async ({ chat, page }) => {
  mockOnly();
  await chat.open();
  await chat.talk('plot something');
  const clip = () => page.evaluate(() => navigator.clipboard.readText());
  await chat.answers.last().locator('.code-copy').click();
  expect(await clip()).toMatch(/^import matplotlib[\s\S]*plt\.show\(\)\n$/);
  await chat.answers.last().getByRole('button', { name: 'Copy message' }).click();
  await expect.poll(clip).toMatch(/^Here is a figure[\s\S]*```python/);
  await chat.talk('hello');
  await page.keyboard.press('Control+Shift+;');
  await expect.poll(clip).toBe('print("hello random")\n');
});

test('edit makes a branch, arrows switch, the choice is kept', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('First question');
  await chat.users.first().hover();
  await chat.users.first().getByRole('button', { name: 'Edit message' }).click();
  const box = page.getByRole('textbox', { name: 'Edit your message' });
  await box.fill('Second question');
  await page.getByRole('button', { name: 'Send as a new branch' }).click();
  await expect(chat.users.first()).toContainText('Second question');
  await chat.idle();
  await expect(chat.users.first().locator('.of')).toHaveText('2/2');
  await chat.users.first().getByRole('button', { name: 'Previous version' }).click();
  await expect(chat.users.first()).toContainText('First question');
  await expect(chat.users.first().locator('.of')).toHaveText('1/2');
  await expect(chat.answers).toHaveCount(1);
  await page.reload();
  await expect(chat.users.first()).toContainText('First question');
  // Esc leaves an edit, and stops nothing.
  await chat.users.first().hover();
  await chat.users.first().getByRole('button', { name: 'Edit message' }).click();
  await page.getByRole('textbox', { name: 'Edit your message' }).press('Escape');
  await expect(page.getByRole('textbox', { name: 'Edit your message' })).toHaveCount(0);
});

test('regenerate makes a second answer, with another seed; side by side', async ({ chat, page }) => {
  await chat.open();
  await chat.talk('Say something');
  await chat.answers.last().getByRole('button', { name: 'Regenerate' }).click();
  await expect(chat.answers.last().locator('.of')).toHaveText('2/2');
  await chat.idle();
  if (!real) {
    const asked = (await chat.log()).filter((l) => l.path.endsWith('/answers'));
    expect(asked).toHaveLength(2);
    expect((asked[1]!.body.settings as { seed: unknown }).seed).toBeNull();
  }
  await chat.answers.last().getByRole('button', { name: 'Previous version' }).click();
  await expect(chat.answers.last().locator('.of')).toHaveText('1/2');
  await chat.answers.last().getByRole('button', { name: 'Side by side' }).click();
  await expect(page.locator('.column')).toHaveCount(2);
  await page.getByRole('button', { name: 'Keep this one' }).nth(1).click();
  await expect(page.locator('.column')).toHaveCount(0);
  await expect(chat.answers.last().locator('.of')).toHaveText('2/2');
});

test('a cut answer is continued from its end', async ({ chat, page }) => {
  await chat.set({ piece: 20, delay: 2 });
  await chat.open();
  const d = await chat.settings();
  await d.getByRole('spinbutton', { name: 'New tokens, number' }).fill('12');
  await d.getByRole('spinbutton', { name: 'New tokens, number' }).press('Tab');
  await d.getByRole('button', { name: 'Close' }).click();
  await chat.talk('Write a long text about a fox');
  await expect(chat.answers.last()).toHaveAttribute('data-status', 'length');
  const before = await chat.answers.last().locator('.prose').innerText();
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect.poll(async () => (await chat.answers.last().locator('.prose').innerText()).length).toBeGreaterThan(before.length);
  await chat.idle();
  const after = await chat.answers.last().locator('.prose').innerText();
  expect(after.length).toBeGreaterThan(before.length);
  expect(after.startsWith(before.trim().slice(0, 40))).toBe(true);
});

test('stop by button and by Esc; what is there stays', async ({ chat, page }) => {
  await chat.set({ delay: 40 });
  await chat.open();
  for (const how of ['button', 'key']) {
    await chat.send(`Write a long text (${how})`);
    await expect(chat.answers.last().locator('.prose')).not.toBeEmpty();
    if (how === 'button') await page.getByRole('button', { name: 'Stop', exact: true }).click();
    else await page.keyboard.press('Escape');
    await chat.idle();
    if (!real) {
      await expect(chat.answers.last()).toHaveAttribute('data-status', 'stopped');
      await expect(chat.answers.last()).toContainText('Stopped.');
      await expect(chat.answers.last().locator('.prose')).toContainText('Parag');
    }
  }
});

test('compare: two columns, both streamed, one kept, also over a reload', async ({ chat, page }) => {
  await chat.set({ delay: 10 });
  await chat.open();
  await page.getByRole('button', { name: 'Compare' }).click();
  await expect(page.getByRole('combobox', { name: 'First model' })).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Second model' })).toBeVisible();
  await chat.send('hello, both of you, please plot something');
  await expect(page.locator('.column')).toHaveCount(2);
  if (!real) {
    await expect(page.locator('.column[data-status=generating]')).toHaveCount(2);
    const a = (await page.locator('.column').nth(0).boundingBox())!, b = (await page.locator('.column').nth(1).boundingBox())!;
    expect(a.x + a.width).toBeLessThanOrEqual(b.x);
    await expect(page.locator('.column').nth(0)).toContainText('starchat-mini');
    await expect(page.locator('.column').nth(1)).toContainText('starchat-lora');
  }
  await page.reload();
  await expect(page.locator('.column')).toHaveCount(2);
  await chat.idle();
  await page.getByRole('button', { name: 'Keep this one' }).nth(1).click();
  await expect(page.locator('.column')).toHaveCount(0);
  await expect(chat.answers.last().locator('.of')).toHaveText('2/2');
  const c = await chat.api<{ leaf: string; messages: { id: string; parent: string | null; role: string }[] }>('GET', `ui/conversations/${chat.id}`);
  const answers = c.messages.filter((m) => m.role === 'assistant');
  expect(answers).toHaveLength(2);
  expect(answers[0]!.parent).toBe(answers[1]!.parent);
  expect(c.leaf).toBe(answers[1]!.id);
});

test('a reload while it is being written goes on where it was', async ({ chat, page }) => {
  await chat.set({ delay: 25, piece: 8 });
  await chat.open();
  await chat.send('plot it please');
  await expect(chat.answers.last().locator('.prose')).not.toBeEmpty();
  await page.reload();
  await chat.idle();
  if (!real) {
    await expect(chat.answers.last().locator('pre')).toContainText('plt.show()');
    const text = await chat.answers.last().locator('pre').innerText();
    expect(text.match(/import seaborn/g)).toHaveLength(1);
    await expect(chat.answers.last()).toContainText('the scales stay apart.');
  }
});

test('switching chats while one is written, and coming back', async ({ chat, page }) => {
  await chat.set({ delay: 25, piece: 8 });
  await chat.open();
  await chat.send('plot number one');
  await expect(chat.answers.last().locator('.prose')).not.toBeEmpty();
  await page.keyboard.press('Control+Shift+O');
  await expect(chat.users).toHaveCount(0);
  await page.getByRole('link', { name: 'plot number one' }).first().click();
  await expect(chat.users.first()).toContainText('plot number one');
  await chat.idle();
  if (!real) await expect(chat.answers.last()).toContainText('the scales stay apart.');
});

test('progress of a long prompt', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ prompt: { tokens: 2000 } });
  await chat.open();
  await chat.send('hello');
  await expect(page.locator('.progress')).toHaveText(/Reading [\d,]+ of 2,000 tokens/);
  await chat.idle();
});

test('failures are said in their place, and can be tried again', async ({ chat, page }) => {
  mockOnly();
  await chat.open();
  await chat.set({ status: 'error', error: 'The model ran out of memory.', text: 'Half' });
  await chat.talk('hello');
  await expect(chat.answers.last()).toContainText('The model ran out of memory.');
  await chat.set({ status: 'filtered', error: undefined, text: '' });
  await chat.answers.last().getByRole('button', { name: 'Regenerate' }).click();
  await expect(chat.answers.last()).toContainText('filter of this server withheld');
  await page.route('**/answers', (r) => r.fulfill({ status: 429, contentType: 'application/json', body: '{"error":{"message":"The queue is full."}}' }));
  await chat.prompt.fill('again');
  await chat.prompt.press('Enter');
  await expect(page.locator('.toast')).toContainText('The queue is full.');
  await expect(page.getByText('No answer yet.')).toBeVisible();
  await page.unroute('**/answers');
  await chat.set({ status: undefined, text: 'Now it works.' });
  await page.getByRole('button', { name: 'Answer', exact: true }).click();
  await chat.idle();
  await expect(chat.answers.last()).toContainText('Now it works.');
});

test('a broken stream is taken up again without loss or doubling', async ({ chat, page }) => {
  mockOnly();
  await chat.set({ delay: 15, piece: 6, text: Array.from({ length: 60 }, (_, i) => `w${i}`).join(' ') + ' ünïcödé 漢字 end' });
  await chat.open();
  let cut = 0;
  await page.route('**/events?from=*', async (route) => {
    if (cut++ >= 2) { await route.continue(); return; }
    // A piece that overlaps what came before, and then the connection ends without a word.
    const from = Number(new URL(route.request().url()).searchParams.get('from'));
    const all = Array.from({ length: 60 }, (_, i) => `w${i}`).join(' ');
    const start = Math.max(0, from - 5);
    await route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify({ text: all.slice(start, from + 7), at: start })}\n\n` });
  });
  await chat.send('go');
  await chat.idle();
  await expect(chat.answers.last().locator('.prose')).toHaveText(Array.from({ length: 60 }, (_, i) => `w${i}`).join(' ') + ' ünïcödé 漢字 end');
});
