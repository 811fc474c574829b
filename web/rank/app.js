// The page of a rater: one item at a time, every change saved at once, all of it by keyboard too.
import { el } from './dom.js';
import { render } from './markdown.js';
import { Queue, Refused, Server, takeToken } from './server.js';

const FLAG_KEYS = ['a', 's', 'd', 'f', 'g', 'h', 'q', 'w', 'e', 't', 'y', 'u', 'i', 'o', 'z', 'x'];
const IDLE_MS = 120000;                                        // nobody does anything for so long: the time does not count
const TEXT_MS = 700;
const INTRO = 'You will see a request and several answers to it. Nobody tells you who wrote them, and their order is drawn anew each time.\n\n'
  + '1. Read the request and all answers.\n2. Rank the answers: **1** is the best. Answers that are equally good share a rank.\n'
  + '3. Give each a score from **1** (useless) to **7** (could not be better).\n4. Tick what is wrong with an answer, and say why you decided as you did, if you can.\n\n'
  + 'Every change is saved at once. You can go back and change your mind, and close the page and go on later.';

const letter = (i) => String.fromCharCode(65 + i);
const app = document.getElementById('app');
let server = null, queue = null, study = null;
let item = null, rating = null, active = -1, isWarned = false;
let ui = {};                                                   // nodes of the item that is shown
const cache = new Map(), seen = new Set();                     // items that were fetched; that were in front of the rater
let begun = 0, lastAction = 0, textTimer = 0;
let keysAreOn = true;
try { keysAreOn = localStorage.getItem('starchat-rank-keys') !== 'off'; } catch { /* stays on */ }

// ---- small pages -----------------------------------------------------------------------------------------------------

function plain(title, ...content) {
  app.replaceChildren(el('main', { class: 'plain' }, el('h1', { tabindex: -1 }, title), ...content));
  app.querySelector('h1').focus();
}

function markdownBox(text, attributes = {}) {
  const box = el('div', { class: 'prose', ...attributes });
  render(text, box);
  return box;
}

const countDone = () => study.items.filter((s) => s === 'done').length;

function welcome() {
  const left = study.items.length - countDone(), isBegun = study.items.some((s) => s !== 'new');
  document.title = study.title;
  plain(study.title, markdownBox(study.instructions || INTRO),
    el('p', { class: 'muted' }, `You are ${study.rater}. ${study.items.length} items, ${countDone()} done.`),
    el('div', { class: 'row' }, el('button', { class: 'primary', type: 'button', onclick: () => open(firstOpen() || 1) }, left === 0 ? 'Look at your ratings' : isBegun ? 'Go on' : 'Begin'),
      el('button', { type: 'button', onclick: showHelp }, 'Keys')));
}

function finished() {
  const open_ = study.items.map((s, i) => [s, i + 1]).filter(([s]) => s !== 'done');
  const list = el('ul', { class: 'open-items' }, ...open_.map(([, n]) => el('li', {}, el('button', { type: 'button', onclick: () => open(n) }, `Item ${n}`))));
  plain(open_.length ? 'Not everything is done yet' : 'All done. Thank you!',
    open_.length ? el('p', {}, 'These items still miss a rank or a score:') : el('p', {}, queue.list.length ? 'Not everything is saved yet: keep this page open.' : 'Everything is saved. You may close this page, or go back and change something until the study ends.'),
    open_.length ? list : null,
    el('div', { class: 'row' }, el('button', { type: 'button', onclick: () => open(study.items.length) }, 'Back')), statusLine());
}

function firstOpen() { return study.items.findIndex((s) => s !== 'done') + 1; }

// ---- saving ------------------------------------------------------------------------------------------------------------

let statusText = 'Everything is saved', statusKind = 'saved';
function statusLine() {
  ui.status = el('span', { class: 'status', role: 'status', 'data-state': statusKind }, statusText);
  return ui.status;
}

function onQueue(e) {
  const text = { saved: 'Everything is saved', saving: 'Saving…', waiting: 'No connection: your changes are kept in this browser and sent later', out: e.message ?? '', refused: `Not saved: ${e.message}` }[e.state];
  statusText = e.state === 'waiting' && e.isKept === false ? 'No connection: keep this page open until your changes are saved' : text;
  statusKind = e.state;
  if (ui.status && ui.status.textContent !== statusText) { ui.status.textContent = statusText; ui.status.dataset.state = statusKind; }
}

function spent() {
  const now = Date.now();
  if (!document.hidden && item) rating.active += Math.min(now - begun, Math.max(0, lastAction + IDLE_MS - begun));
  begun = now;
}

const isDone = () => rating.answers.every((a) => a.rank && a.score);
const isNew = () => rating.answers.every((a) => !a.rank && !a.score && !a.flags.length && !a.note) && !rating.reason;

function save() {
  clearTimeout(textTimer);
  textTimer = 0;
  spent();
  rating.active = Math.max(0, Math.round(rating.active));
  study.items[item.position - 1] = isDone() ? 'done' : 'begun';
  item.rating = structuredClone(rating);
  queue.put(item.position, structuredClone(rating));
  showProgress();
}

function saveText() {
  clearTimeout(textTimer);
  textTimer = setTimeout(save, TEXT_MS);
}

function flushText() { if (textTimer) save(); }

// ---- an item -----------------------------------------------------------------------------------------------------------

async function fetchItem(position) {
  // The promise, not its value: an item that is asked for twice stays one object.
  if (!cache.has(position)) cache.set(position, server.ask(`/api/items/${position}`).catch((e) => { cache.delete(position); throw e; }));
  return cache.get(position);
}

async function open(position, focus = true) {
  if (item) { flushText(); spent(); }
  if (position > study.items.length) { item = null; finished(); return; }
  let fetched;
  try { fetched = await fetchItem(position); } catch (e) { failed(e, () => open(position)); return; }
  if (item) flushText();                                       // what was typed meanwhile
  item = fetched;
  const old = queue.pending(position) ?? item.rating;
  rating = { answers: item.answers.map((_, i) => ({ rank: null, score: null, flags: [], note: '', ...(old?.answers?.[i] ?? {}) })), reason: old?.reason ?? '', active: old?.active ?? 0 };
  for (const a of rating.answers) { a.flags = [...(a.flags ?? [])]; a.note ??= ''; }
  active = -1;
  isWarned = false;
  begun = lastAction = Date.now();
  history.replaceState(null, '', '#' + position);
  draw();
  window.scrollTo(0, 0);
  noteShown();
  if (focus) ui.heading.focus();
  if (position < study.items.length) fetchItem(position + 1).catch(() => 0);      // ready when it is asked for, also without a connection
}

/** When an item is first seen, not when it was fetched, perhaps an item earlier or in a tab behind others. */
function noteShown() {
  if (!item || document.hidden || item.rating || seen.has(item.position)) return;
  seen.add(item.position);
  queue.putShown(item.position);
}

function failed(e, again) {
  if (e instanceof Refused && e.status === 401) { plain('This invitation does not work', el('p', {}, e.message + '.')); return; }
  const text = e instanceof Refused ? e.message : 'The server cannot be reached. Changes that you made are kept in this browser.';
  plain('This did not work', el('p', {}, text), el('div', { class: 'row' }, el('button', { class: 'primary', type: 'button', onclick: again }, 'Try again')));
}

function chips(name, legend, values, chosen, ends, onChange) {
  const set = el('fieldset', { class: 'chips' }, el('legend', {}, legend));
  const row = el('div', { class: 'chip-row' });
  for (const value of values) {
    const input = el('input', { type: 'radio', name, value: String(value), checked: chosen === value, class: 'offscreen' });
    let was = false;
    const label = el('label', { class: 'chip', onpointerdown: () => { was = input.checked; } }, input, el('span', {}, String(value)));
    input.addEventListener('change', () => onChange(value));
    label.addEventListener('click', (e) => { if (was && e.target !== input) { e.preventDefault(); input.checked = false; was = false; onChange(null); } });
    row.append(label);
  }
  set.append(row);
  if (ends) set.append(el('div', { class: 'ends', 'aria-hidden': 'true' }, el('span', {}, ends[0]), el('span', {}, ends[1])));
  return set;
}

function answerText(turns) {
  const box = el('div', { class: 'answer' });
  turns.forEach((t, k) => {
    if (k > 0) box.append(el('div', { class: 'said' }, el('p', { class: 'who' }, 'Then the person wrote'), markdownBox(item.turns[k] ?? '')));
    box.append(markdownBox(t));
  });
  return box;
}

function card(i) {
  const r = rating.answers[i], name = letter(i), id = `answer-${i}`;
  const flags = el('fieldset', { class: 'flags' }, el('legend', {}, 'What is wrong with it?'), ...study.flags.map((f, k) => {
    const box = el('input', { type: 'checkbox', checked: r.flags.includes(f), onchange: (e) => setFlag(i, f, e.target.checked) });
    return el('label', { class: 'flag' }, box, el('span', {}, f), keysAreOn && FLAG_KEYS[k] ? el('kbd', { 'aria-hidden': 'true' }, FLAG_KEYS[k]) : null);
  }));
  const note = el('textarea', { rows: 2, maxlength: 2000, 'aria-label': `Note on answer ${name}`, value: r.note, oninput: (e) => { r.note = e.target.value; saveText(); }, onblur: flushText });
  const node = el('article', { class: 'card', id, tabindex: -1, 'aria-labelledby': id + '-name', onfocusin: () => { active = i; markActive(); }, onpointerdown: () => { active = i; markActive(); } },
    el('div', { class: 'card-head' }, el('h3', { id: id + '-name' }, `Answer ${name}`), el('span', { class: 'place', 'aria-hidden': 'true' })),
    answerText(item.answers[i].turns),
    el('div', { class: 'controls' },
      chips(`rank-${i}`, 'Rank (1 is best, ties allowed)', item.answers.map((_, k) => k + 1), r.rank, null, (v) => setRank(i, v)),
      chips(`score-${i}`, 'Score', Array.from({ length: study.scores }, (_, k) => k + 1), r.score, ['useless', 'could not be better'], (v) => setScore(i, v)),
      flags, el('details', { open: Boolean(r.note) }, el('summary', {}, 'Add a note'), note)));
  return node;
}

function draw() {
  const n = study.items.length, position = item.position;
  ui = {};
  ui.heading = el('h2', { tabindex: -1, class: 'item-title' }, `Item ${position} of ${n}`);
  ui.bar = el('progress', { max: n, 'aria-label': 'Items done' });
  ui.count = el('span', { class: 'count' });
  ui.select = el('select', { 'aria-label': 'Go to item', onchange: (e) => open(Number(e.target.value)) });
  ui.order = el('p', { class: 'order', 'aria-live': 'polite' });
  ui.hint = el('p', { class: 'hint', role: 'alert' });
  ui.cards = item.answers.map((_, i) => card(i));
  ui.reason = el('textarea', { id: 'reason', rows: 3, maxlength: 4000, value: rating.reason, oninput: (e) => { rating.reason = e.target.value; saveText(); }, onblur: flushText });
  app.replaceChildren(
    el('header', { class: 'top' }, el('h1', {}, study.title), el('div', { class: 'progress' }, ui.bar, ui.count), statusLine(),
      el('nav', { 'aria-label': 'Items' },
        el('button', { type: 'button', 'aria-label': 'Item before', disabled: position === 1, onclick: () => open(position - 1) }, '‹'), ui.select,
        el('button', { type: 'button', 'aria-label': 'Next item', onclick: () => next(true) }, '›'), el('button', { type: 'button', onclick: showHelp, 'aria-label': 'Help and keys' }, '?'))),
    el('main', {}, ui.heading,
      el('section', { class: 'request', 'aria-label': 'Request' }, el('p', { class: 'who' }, 'The request'), markdownBox(item.turns[0] ?? '')),
      el('div', { class: `cards of-${Math.min(item.answers.length, 3)}` }, ...ui.cards),
      el('section', { class: 'end', 'aria-label': 'Your decision' }, ui.order, el('label', { for: 'reason' }, 'Why this order? (optional)'), ui.reason, ui.hint,
        el('div', { class: 'row spread' }, el('button', { type: 'button', disabled: position === 1, onclick: () => open(position - 1) }, 'Back'), el('button', { class: 'primary', type: 'button', onclick: () => next(false) }, position === n ? 'Finish' : 'Next')))));
  showProgress();
  showOrder();
}

function showProgress() {
  const done = countDone();
  if (!ui.bar) return;
  ui.bar.value = done;
  ui.count.textContent = `${done} of ${study.items.length} done`;
  ui.select.replaceChildren(...study.items.map((s, i) => el('option', { value: String(i + 1), selected: i + 1 === item.position }, `Item ${i + 1}${s === 'done' ? ' ✓' : s === 'begun' ? ' …' : ''}`)));
}

function missing() {
  const open_ = [];
  rating.answers.forEach((a, i) => { if (!a.rank || !a.score) open_.push(`${letter(i)} (${[a.rank ? '' : 'rank', a.score ? '' : 'score'].filter(Boolean).join(' and ')})`); });
  return open_;
}

function showOrder() {
  const ranked = rating.answers.map((a, i) => ({ i, rank: a.rank, score: a.score })).filter((a) => a.rank).sort((a, b) => a.rank - b.rank || a.i - b.i);
  const words = ranked.map((a, k) => (k ? (a.rank === ranked[k - 1].rank ? ' = ' : ' > ') : '') + letter(a.i)).join('');
  const open_ = missing();
  const odd = ranked.find((a) => ranked.some((b) => a.rank < b.rank && a.score && b.score && a.score < b.score));
  const against = odd && ranked.find((b) => odd.rank < b.rank && odd.score < b.score);
  ui.order.textContent = (words ? `Your order: ${words}. ` : '') + (open_.length ? `Still to give: ${open_.join(', ')}.` : 'Everything is given.')
    + (odd ? ` ${letter(odd.i)} stands above ${letter(against.i)}, but has a lower score: is that meant?` : '');
  rating.answers.forEach((a, i) => { ui.cards[i].querySelector('.place').textContent = [a.rank ? `rank ${a.rank}` : '', a.score ? `score ${a.score}` : ''].filter(Boolean).join(' · '); });
  if (!open_.length) ui.hint.textContent = '';
}

function next(isQuick) {
  flushText();
  const open_ = missing();
  if (!isQuick && open_.length && !isNew() && !isWarned) {
    isWarned = true;
    ui.hint.textContent = `Not given yet: ${open_.join(', ')}. Go on once more to leave it for later.`;
    return;
  }
  open(item.position + 1);
}

// ---- what a rater does ----------------------------------------------------------------------------------------------------

function changed() { isWarned = false; save(); showOrder(); }
function check(i, name, value) { for (const input of ui.cards[i].querySelectorAll(`input[name="${name}-${i}"]`)) input.checked = Number(input.value) === value; }
function setRank(i, value) { rating.answers[i].rank = value; check(i, 'rank', value); changed(); }
function setScore(i, value) { rating.answers[i].score = value; check(i, 'score', value); changed(); }
function setFlag(i, flag, isOn) {
  const a = rating.answers[i];
  a.flags = study.flags.filter((f) => (f === flag ? isOn : a.flags.includes(f)));
  ui.cards[i].querySelectorAll('.flag input').forEach((box, k) => { box.checked = a.flags.includes(study.flags[k]); });
  changed();
}

function markActive() { ui.cards?.forEach((c, i) => c.classList.toggle('active', i === active)); }

function select(i) {
  active = Math.max(0, Math.min(i, ui.cards.length - 1));
  markActive();
  ui.cards[active].focus({ preventScroll: true });
  ui.cards[active].scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}

function digitOf(e) {
  const m = /^(?:Digit|Numpad)([0-9])$/.exec(e.code);
  return m ? Number(m[1]) : null;
}

function onKey(e) {
  lastAction = Date.now();
  if (!item || document.querySelector('dialog[open]') || e.ctrlKey && e.key !== 'Enter' || e.altKey || e.metaKey || e.isComposing) return;
  const t = e.target, isText = t.matches('textarea, select, input[type="text"]');
  if (isText) {
    if (e.key === 'Escape') { t.blur(); select(active < 0 ? 0 : active); e.preventDefault(); }
    if (e.key === 'Enter' && e.ctrlKey) { next(false); e.preventDefault(); }
    return;
  }
  if (!keysAreOn || e.ctrlKey) return;
  const isWidget = t.matches('button, summary, a, input'), isRadio = t.matches('input[type="radio"]'), digit = digitOf(e), flag = FLAG_KEYS.indexOf(e.key);
  let used = true;
  if ((e.key === 'j' || (e.key === 'ArrowDown' && !isRadio))) select(active + 1);
  else if ((e.key === 'k' || (e.key === 'ArrowUp' && !isRadio))) select(active - 1);
  else if (e.key === 'ArrowRight' && !isRadio) next(true);
  else if (e.key === 'ArrowLeft' && !isRadio) { if (item.position > 1) open(item.position - 1); }
  else if (e.key === 'Enter' && !isWidget) { if (!e.shiftKey) next(false); else if (item.position > 1) open(item.position - 1); }
  else if (e.key === '?') showHelp();
  else if (e.key === 'r') ui.reason.focus();
  else if (digit !== null) {
    if (active < 0) select(0);
    if (e.shiftKey && digit >= 1 && digit <= study.scores) setScore(active, digit);
    else if (!e.shiftKey && digit === 0) setRank(active, null);
    else if (!e.shiftKey && digit <= ui.cards.length) setRank(active, digit);
  } else if (active >= 0 && e.key === 'n') { const d = ui.cards[active].querySelector('details'); d.open = true; d.querySelector('textarea').focus(); }
  else if (active >= 0 && flag >= 0 && flag < study.flags.length) setFlag(active, study.flags[flag], !rating.answers[active].flags.includes(study.flags[flag]));
  else used = false;
  if (used) e.preventDefault();
}

function showHelp() {
  const keys = [['j, ↓ / k, ↑', 'next / previous answer'], ['1 … 9', 'rank of the answer (0 takes it back)'], ['Shift + 1 … 7', 'score of the answer'],
    ...(study.flags.length ? [[study.flags.map((_, k) => FLAG_KEYS[k]).join(', '), study.flags.join(', ')]] : []), ['n', 'note on the answer'], ['r', 'reason'], ['Esc', 'out of a text'],
    ['Enter, Ctrl + Enter', 'next item'], ['Shift + Enter', 'item before'], ['→ / ←', 'next item / item before'], ['?', 'this help']];
  const toggle = el('input', { type: 'checkbox', checked: keysAreOn, onchange: (e) => {
    keysAreOn = e.target.checked;
    try { localStorage.setItem('starchat-rank-keys', keysAreOn ? 'on' : 'off'); } catch { /* for this visit */ }
  } });
  const dialog = el('dialog', { 'aria-labelledby': 'help-title', onclose: () => { dialog.remove(); if (item) { flushText(); draw(); (active >= 0 ? ui.cards[active] : ui.heading).focus(); } } },
    el('h2', { id: 'help-title' }, 'Help'), el('div', { class: 'help-body', tabindex: 0, role: 'group', 'aria-labelledby': 'help-title' }, el('h3', {}, 'What to do'), markdownBox(study.instructions || INTRO), el('h3', {}, 'Keys'),
      el('table', { class: 'keys' }, el('tbody', {}, ...keys.map(([k, what]) => el('tr', {}, el('th', { scope: 'row' }, k), el('td', {}, what))))),
      el('label', { class: 'flag' }, toggle, el('span', {}, 'Single keys do this'))),
    el('div', { class: 'row' }, el('button', { class: 'primary', type: 'button', autofocus: true, onclick: () => dialog.close() }, 'Close')));
  document.body.append(dialog);
  dialog.showModal();
}

// ---- beginning -----------------------------------------------------------------------------------------------------------------

async function begin() {
  const wanted = Number(/^#(\d{1,6})$/.exec(location.hash)?.[1] ?? 0), token = takeToken();
  if (!token) { plain('An invitation is needed', el('p', {}, 'Open the link that you were sent. It ends with # and a long word.')); return; }
  server = new Server(token);
  app.replaceChildren(el('main', { class: 'plain' }, el('p', { role: 'status' }, 'Loading…')));
  try { study = await server.ask('/api/study'); } catch (e) { failed(e, begin); return; }
  if (study.closed) { plain(study.title, el('p', {}, 'This study is closed. Thank you for your help.')); return; }
  queue = new Queue(server, study, onQueue);
  for (const e of queue.list) if (e.body && study.items[e.position - 1]) study.items[e.position - 1] = e.body.answers.every((a) => a.rank && a.score) ? 'done' : 'begun';
  queue.send();
  if (wanted >= 1 && wanted <= study.items.length) open(wanted, false);
  else welcome();
}

addEventListener('keydown', onKey);
addEventListener('pointerdown', () => { lastAction = Date.now(); });
addEventListener('scroll', () => { lastAction = Date.now(); }, { passive: true });
document.addEventListener('visibilitychange', () => { if (document.hidden) { if (item) { const now = Date.now(); rating.active += Math.min(now - begun, Math.max(0, lastAction + IDLE_MS - begun)); begun = now; } flushText(); } else { begun = lastAction = Date.now(); noteShown(); } });
addEventListener('pagehide', flushText);
addEventListener('hashchange', () => { if (/^#rater-/.test(location.hash)) location.reload(); });
begin();
