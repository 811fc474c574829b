// The page of raters in a real browser, by Playwright: three raters at once, keyboard alone, a phone, a connection that goes, answers that attack, axe in both themes.
// test_rank.py starts it: node rank_page.mjs MODULES CHROMIUM JSON [SCREENSHOTS]; MODULES: a folder with package.json beside node_modules that holds @playwright/test and
// @axe-core/playwright; JSON: {"address","links":[...],"attack":[...],
// "program","study"}: the command and the file, for a new link. Last line: "N passed, N failed".
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

const [modules, chromium_path, json, shots] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'package.json'));
const { chromium } = require('@playwright/test');
const AxeBuilder = require('@axe-core/playwright').default;
const given = JSON.parse(json);
const browser = await chromium.launch({ executablePath: chromium_path, args: ['--no-sandbox'] });
const complaints = [];

async function rater(link, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options }), page = await context.newPage();
  page.on('pageerror', (e) => complaints.push(`threw: ${e.message}`));
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) complaints.push(m.text()); });
  page.on('request', (r) => { if (!r.url().startsWith(given.address) && !r.url().startsWith('data:')) complaints.push(`left the server: ${r.url()}`); });
  page.on('dialog', (d) => { complaints.push(`a dialog: ${d.message()}`); d.dismiss(); });
  await page.goto(link);
  await page.locator('h1').first().waitFor();
  return { context, page };
}

const check = (ok, what) => { if (!ok) throw new Error(what); };
const saved = (page) => page.locator('.status[data-state="saved"]').waitFor();
const shoot = async (page, name) => { if (shots) await page.screenshot({ path: path.join(shots, name + '.png'), fullPage: true }); };
const begin = async (page) => { await page.getByRole('button', { name: /^(Begin|Go on|Look at)/ }).click(); await page.locator('.card').first().waitFor(); };
const title = (page) => page.locator('.item-title').textContent();

async function audit(page, what) {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
  check(!violations.length, violations.map((v) => `${what}: ${v.id} ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(' | ')}`).join('\n'));
}

const only = (process.env.ONLY ?? '').split(',').filter(Boolean);
const tests = {
  async keyboard_alone() {
    const { context, page } = await rater(given.links[0]);
    await page.keyboard.press('Tab');                          // to the button
    await page.keyboard.press('Enter');
    await page.locator('.card').first().waitFor();
    const n = Number(/of (\d+)/.exec(await title(page))[1]);
    for (let i = 1; i <= n; i++) {
      check((await title(page)) === `Item ${i} of ${n}`, `at ${await title(page)}, expected ${i}`);
      const cards = await page.locator('.card').count();
      for (let k = 0; k < cards; k++) {
        await page.keyboard.press(k % 2 ? 'ArrowDown' : 'j');
        await page.keyboard.press(String(Math.min(k + 1, 2)));                    // the last ones share rank 2
        await page.keyboard.press(`Shift+Digit${7 - k}`);
        if (k === 1) await page.keyboard.press('a');
      }
      if (i === 1) {
        await page.keyboard.press('r');
        await page.keyboard.type('because j k 1 are letters here');
        check(await page.locator('#reason').inputValue() === 'because j k 1 are letters here', 'the text is another');
        await page.keyboard.press('Escape');
        await page.keyboard.press('?');
        await page.locator('dialog[open]').waitFor();
        await page.keyboard.press('Escape');
        check(await page.locator('dialog').count() === 0, 'the help stays');
      }
      await saved(page);
      check(await page.locator('.chip input:checked').count() === 2 * cards, 'not everything is given');
      if (i === 2) {                                           // back, and forward again
        await page.keyboard.press('Shift+Enter');
        await page.getByText(`Item 1 of ${n}`, { exact: true }).waitFor();
        check(await page.locator('#reason').inputValue() === 'because j k 1 are letters here', 'the reason is gone');
        await page.keyboard.press('Enter');
        await page.getByText(`Item 2 of ${n}`, { exact: true }).waitFor();
      }
      await page.keyboard.press('Enter');
      if (i < n) await page.getByText(`Item ${i + 1} of ${n}`, { exact: true }).waitFor();
    }
    await page.getByText('All done').waitFor();
    await context.close();
  },

  async three_raters_at_once() {
    const all = await Promise.all(given.links.map((l) => rater(l)));
    await Promise.all(all.map(async ({ page }, r) => {
      await begin(page);
      await page.getByLabel('Go to item').selectOption('1');
      await page.locator('.card').first().waitFor();
      for (let k = 0; k < 20; k++) {
        await page.locator('.card').nth(k % 2).locator('.chip', { hasText: String(1 + (k + r) % 2) }).first().click();
        await page.locator('.card').nth(k % 2).locator('fieldset').nth(1).locator('.chip').nth((k + r) % 7).click();
      }
      await page.locator('#reason').fill(`rater ${r}`);
      await page.locator('#reason').blur();
      await saved(page);
    }));
    for (const [r, { page, context }] of all.entries()) {      // each has its own, also after the tab was closed
      await page.close();
      const again = await context.newPage();
      await again.goto(given.address + '/');                   // without the link: the browser has it
      await begin(again);
      await again.getByLabel('Go to item').selectOption('1');
      await again.getByText(/^Item 1 of/).waitFor();
      await again.waitForTimeout(200);
      check(await again.locator('#reason').inputValue() === `rater ${r}`, `rater ${r} has ${await again.locator('#reason').inputValue()}`);
      await context.close();
    }
  },

  async a_connection_that_goes() {
    const { context, page } = await rater(given.links[1]);
    await begin(page);
    await page.getByLabel('Go to item').selectOption('2');
    await page.getByText(/^Item 2 of/).waitFor();
    await page.waitForTimeout(300);
    await context.setOffline(true);
    await page.locator('.card').first().locator('.chip').nth(1).click();
    await page.locator('.card').first().locator('fieldset').nth(1).locator('.chip').nth(4).click();
    await page.locator('#reason').fill('written without a connection');
    await page.locator('#reason').blur();
    await page.locator('.status[data-state="waiting"]').waitFor();
    await page.getByRole('button', { name: 'Next', exact: true }).click();
    await page.getByRole('button', { name: 'Next', exact: true }).click();        // after the hint that something is missing
    await page.getByText(/^Item 3 of/).waitFor();              // was fetched before
    await page.close();                                        // with changes that were never sent
    await context.setOffline(false);
    const again = await context.newPage();
    await again.goto(given.address + '/');
    await begin(again);
    await saved(again);
    const other = await rater(given.links[1]);                 // another browser sees them
    await begin(other.page);
    await other.page.getByLabel('Go to item').selectOption('2');
    await other.page.getByText(/^Item 2 of/).waitFor();
    await other.page.waitForTimeout(200);
    check(await other.page.locator('#reason').inputValue() === 'written without a connection', 'the change was lost');
    check(await other.page.locator('.card').first().locator('fieldset').nth(1).locator('input').nth(4).isChecked(), 'the score was lost');
    await context.close();
    await other.context.close();
  },

  // What a link that ended could not send is found by the one that takes its place; another rater of the same browser does not get it.
  async a_new_link_for_the_same_rater() {
    const invite = (...more) => JSON.parse(execFileSync(given.program, ['rank', 'invite', given.study, '--name', 'newcomer', '--json', ...more], { encoding: 'utf8' })).link;
    const { context, page } = await rater(invite());
    await begin(page);
    await saved(page);
    await context.setOffline(true);
    await page.locator('#reason').fill('written under the old link');
    await page.locator('#reason').blur();
    await page.locator('.status[data-state="waiting"]').waitFor();
    await page.close();
    await context.setOffline(false);
    const link = invite('--again'), other = await context.newPage();
    await other.goto(given.links[2]);
    await begin(other);
    await other.getByLabel('Go to item').selectOption('1');
    await other.getByText(/^Item 1 of/).waitFor();
    await saved(other);
    check(await other.locator('#reason').inputValue() !== 'written under the old link', 'another rater has it');
    await other.close();
    const again = await context.newPage();
    await again.goto(link);
    await begin(again);
    await saved(again);
    const elsewhere = await rater(link);                       // the server has it
    await begin(elsewhere.page);
    await elsewhere.page.getByLabel('Go to item').selectOption('1');
    await elsewhere.page.getByText(/^Item 1 of/).waitFor();
    check(await elsewhere.page.locator('#reason').inputValue() === 'written under the old link', 'the change was lost');
    await context.close();
    await elsewhere.context.close();
  },

  // Told of an item: that it is in front of the rater, once, and nothing of one that is fetched ahead; later where there was no connection.
  async when_items_are_shown() {
    const { context, page } = await rater(given.links[0]), told = [], fetched = [];
    page.on('request', (r) => { const m = /items\/(\d+)(\/shown)?$/.exec(r.url()); if (m) (m[2] ? told : fetched).push([Number(m[1]), r.postDataJSON()?.ago]); });
    await page.route('**/api/items/*', async (route) => {      // as if nobody had rated yet, whatever other tests did
      if (route.request().method() !== 'GET') return route.continue();
      const response = await route.fetch();
      return route.fulfill({ response, json: { ...await response.json(), rating: null } });
    });
    await begin(page);
    await page.getByLabel('Go to item').selectOption('2');
    await page.getByText(/^Item 2 of/).waitFor();
    await saved(page);
    await page.waitForTimeout(200);
    check(fetched.some(([n]) => n === 3) && !told.some(([n]) => n === 3) && told.filter(([n]) => n === 2).length === 1, `told of ${JSON.stringify(told)}, fetched ${JSON.stringify(fetched)}`);
    await context.setOffline(true);
    await page.getByRole('button', { name: 'Next item' }).click();
    await page.getByText(/^Item 3 of/).waitFor();
    await page.waitForTimeout(1500);
    await context.setOffline(false);
    await saved(page);
    check(told.some(([n, ago]) => n === 3 && ago >= 1000), `told of ${JSON.stringify(told)}`);
    await page.getByRole('button', { name: 'Item before' }).click();
    await page.getByText(/^Item 2 of/).waitFor();
    await page.waitForTimeout(200);
    check(told.filter(([n]) => n === 2).length === 1, 'told twice');
    await context.close();
  },

  async attacks_are_text() {
    const { context, page } = await rater(given.links[2]);
    await begin(page);
    const n = Number(/of (\d+)/.exec(await title(page))[1]);
    let seen = '';
    for (let i = 1; i <= n; i++) {
      await page.getByLabel('Go to item').selectOption(String(i));
      await page.getByText(`Item ${i} of ${n}`, { exact: true }).waitFor();
      seen += await page.locator('main').textContent();
      const bad = await page.evaluate(() => [...document.querySelectorAll('.prose *')].filter((e) => !/^(P|UL|OL|LI|EM|STRONG|S|CODE|PRE|DIV|SPAN|BR|HR|BLOCKQUOTE|TABLE|THEAD|TBODY|TR|TH|TD|H[3-6])$/.test(e.tagName)
        || [...e.attributes].some((a) => !['class', 'tabindex', 'role', 'aria-label', 'start', 'scope'].includes(a.name))).map((e) => e.outerHTML));
      check(!bad.length, `elements from an answer: ${bad[0]}`);
    }
    await page.waitForTimeout(300);
    check(await page.evaluate(() => window.hacked) === undefined, 'a script of an answer ran');
    for (const a of given.attack) check(seen.includes(a), `not shown as text: ${a}`);
    await context.close();
  },

  // Texts made of what means something in Markdown: only known elements, nothing lost that is a letter, and time in proportion to the length.
  async markdown_of_noise() {
    const { context, page } = await rater(given.links[2]);
    const bad = await page.evaluate(async () => {
      const { render } = await import('/markdown.js');
      const words = ['*', '**', '_', '__', '~~', '`', '```', '[', '](', ')', '![', '\n', '\n\n', '- ', '1. ', '> ', '# ', '|', '|-|-|', '    ', ' ', 'a', 'bc', '\\', '<b>', '&amp;', '\u202e', '---', '~~~', '\t', '(', ']'];
      const allowed = /^(P|UL|OL|LI|EM|STRONG|S|CODE|PRE|DIV|SPAN|BR|HR|BLOCKQUOTE|TABLE|THEAD|TBODY|TR|TH|TD|H[4-6])$/, out = [];
      let state = 1;
      const below = (n) => { state = (state * 48271) % 2147483647; return state % n; };
      const root = document.createElement('div');
      for (let i = 0; i < 4000; i++) {
        const text = Array.from({ length: 1 + below(40) }, () => words[below(words.length)]).join('');
        render(text, root);
        for (const e of root.querySelectorAll('*')) if (!allowed.test(e.tagName)) out.push(`${e.tagName} of ${JSON.stringify(text)}`);
        const letters = (s) => s.replace(/Image: |no description|\(empty\)|U\+202E/g, '').replace(/[^abc]/g, '').length;
        if (letters(root.textContent) < letters(text) && !/```|~~~/.test(text) && !text.includes('|')) out.push(`lost: ${JSON.stringify(text)} -> ${JSON.stringify(root.textContent)}`);
      }
      for (const part of [...words, '**a', '_a ', '[a](', '`a``', '- a\n  ', '> - ', '*a **b ', '|a', '1. - * ', '\n> ', '~~~\n']) {
        const time = (n) => { const t = performance.now(); render(part.repeat(n), root); return performance.now() - t; };
        time(2000);
        const spent = time(20000);
        if (spent > 3000) out.push(`${JSON.stringify(part)} 20000 times takes ${Math.round(spent)} ms`);
      }
      return out;
    });
    check(!bad.length, bad.slice(0, 5).join('\n'));
    await context.close();
  },

  async a_phone() {
    const { context, page } = await rater(given.links[1], { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true });
    await begin(page);
    const n = Number(/of (\d+)/.exec(await title(page))[1]);
    for (let i = 1; i <= n; i++) {
      await page.getByLabel('Go to item').selectOption(String(i));
      await page.getByText(`Item ${i} of ${n}`, { exact: true }).waitFor();
      check(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, `item ${i} is wider than the phone`);
    }
    const small = await page.evaluate(() => [...document.querySelectorAll('button, .chip, select, .flag')].filter((e) => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24).map((e) => e.outerHTML));
    check(!small.length, `too small to touch: ${small[0]}`);
    const boxes = await page.evaluate(() => [...document.querySelectorAll('.top > *')].map((e) => e.getBoundingClientRect()).filter((b) => b.width).map((b) => [b.left, b.top, b.right, b.bottom]));
    for (const [k, a] of boxes.entries()) for (const b of boxes.slice(k + 1)) check(a[2] <= b[0] + 1 || b[2] <= a[0] + 1 || a[3] <= b[1] + 1 || b[3] <= a[1] + 1, 'parts of the header cover each other');
    await page.locator('.chip').nth(1).tap();
    await saved(page);
    await shoot(page, 'phone');
    await context.close();
  },

  async a_choice_is_taken_back() {
    const { context, page } = await rater(given.links[1]);
    await begin(page);
    const chip = page.locator('.card').first().locator('.chip').first(), input = chip.locator('input');
    await input.isChecked() || await chip.click();
    check(await input.isChecked(), 'not chosen');
    await chip.click();
    check(!(await input.isChecked()), 'still chosen');
    await saved(page);
    await context.close();
  },

  async axe() {
    for (const colorScheme of ['light', 'dark']) {
      for (const viewport of [{ width: 1280, height: 900 }, { width: 360, height: 640 }]) {
        const { context, page } = await rater(given.links[0], { colorScheme, viewport, reducedMotion: 'reduce' }), what = `${colorScheme}, ${viewport.width}`;
        await audit(page, `${what}, welcome`);
        await begin(page);
        for (const i of ['1', '2', '3', '4', '5']) {
          await page.getByLabel('Go to item').selectOption(i);
          await page.getByText(new RegExp(`^Item ${i} of`)).waitFor();
          await page.keyboard.press('Escape');
          await audit(page, `${what}, item ${i}`);
        }
        await shoot(page, `item-${colorScheme}-${viewport.width}`);
        await page.getByRole('button', { name: 'Help and keys' }).click();
        await audit(page, `${what}, help`);
        await context.close();
      }
    }
    const { context, page } = await rater(given.address + '/#nothing');
    await page.getByText('An invitation is needed').waitFor();
    await audit(page, 'no invitation');
    await context.close();
  },

  async wrong_invitation() {
    const { context, page } = await rater(given.links[0].replace(/.{4}$/, '0000'));
    await page.getByText('This invitation does not work').waitFor();
    check(!page.url().includes('rater-'), 'the link stays in the address');
    await context.close();
  },
};

let passed = 0, failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const began = Date.now();
  if (only.length && !only.includes(name)) continue;
  try {
    complaints.length = 0;
    await test();
    check(!complaints.length, complaints.join('\n'));
    passed++;
    console.log(`ok page_${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (e) {
    failed++;
    console.log(`FAILED page_${name}\n${e.stack ?? e}`);
  }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
