/* ---- every judgement: questions put to a judge, both orders together ---- */

const WINNERS = ['none', 'a', 'b', 'tie'];

/* Judges that were shown a pair both ways round: of these only what has a verdict in both orders counts, as in the verdict. */
const BOTH_WAYS = new Set();

/* An item is what one judge was asked of one turn of a prompt about the same models, in every order, with the same canary. */
function makeItems() {
  const items = new Map();
  DATA.judgements.forEach(g => {
    const models = g.m.slice().sort((a, b) => a - b), single = g.m.length === 1;
    const key = JSON.stringify([DATA.judges[g.j].judge, DATA.judges[g.j].protocol, DATA.prompts[g.p].id, g.t, single ? '' : models.map(m => MODELS[m]), g.canary || '', g.canary ? MODELS[g.m[g.slot] ?? g.m[0]] : '']);
    if (!items.has(key)) items.set(key, { key, j: g.j, p: g.p, t: g.t, canary: g.canary || null, spoiled: g.canary ? g.m[g.slot] ?? g.m[0] : null, single, models: [], list: [] });
    const item = items.get(key);
    item.list.push(g);
    for (const m of models) if (!item.models.includes(m)) item.models.push(m);
  });
  return [...items.values()];
}

const winnerOf = g => g.w === 1 ? MODELS[g.m[0]] : g.w === 2 ? MODELS[g.m[1]] : g.w === 3 ? 'tie' : null;

/* 53 bits of the key: a link stays the same when the page is made anew. */
function shortHash(text) {
  let a = 0xdeadbeef, b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}

/* Did the judge see what is wrong with a canary? The rule of the audit; null: this alone does not tell. */
function isSeen(g) {
  const pair = g.m.length > 1, range = DATA.ranges[DATA.judges[g.j].protocol], low = range ? range[0] + (range[1] - range[0]) / 7 : -Infinity;
  if (g.error) return false;
  if (g.canary === 'identical') return g.w === 3;
  if (!pair) return g.canary === 'truncated' || !range || !g.s ? null : g.s[0] <= low;
  if (g.w === 3 && g.s && g.s[g.slot] <= low) return null;      // both are worthless to it
  if (g.w !== (g.slot ? 1 : 2)) return false;
  return g.canary === 'truncated' || !g.s || g.s[g.slot] <= low;
}

const mean = all => all.length ? all.reduce((x, y) => x + y, 0) / all.length : null;

function judgeItem(item) {
  item.hash = 'j-' + shortHash(item.key);
  item.models.sort((a, b) => a - b);
  const good = item.list.filter(g => !g.error), verdicts = good.map(winnerOf).filter(Boolean), last = item.list.filter((g, i) => !g.error || !item.list.some((h, k) => k > i && h.m.join() === g.m.join() && h.slot === g.slot)), seen = last.map(isSeen);      // asked again, the last counts
  item.failed = item.list.some(g => g.error && !good.some(h => h.m.join() === g.m.join()));      /* asked again, it may have had one */
  if (item.canary) item.outcome = seen.includes(null) ? 'scored' : seen.every(Boolean) ? 'seen' : 'missed';
  else item.outcome = !verdicts.length ? (item.single ? 'scored' : 'none') : BOTH_WAYS.has(item.j) && new Set(good.map(g => g.m.join())).size < 2 ? 'incomplete' : new Set(verdicts).size === 1 ? verdicts[0] : 'inconsistent';
  const scores = place => mean(good.filter(g => g.s).map(g => g.s[place(g)]).filter(isNumber));
  item.scores = item.canary ? [scores(g => g.slot), item.single ? null : scores(g => 1 - g.slot)] : item.models.map(m => scores(g => g.m.indexOf(m)));
}

const ITEMS = makeItems();
for (const item of ITEMS) if (!item.canary && !item.single && DATA.judges[item.j].protocol !== 'people' && new Set(item.list.map(g => g.m.join())).size > 1) BOTH_WAYS.add(item.j);
ITEMS.forEach(judgeItem);
const BY_HASH = new Map(ITEMS.map(i => [i.hash, i]));
const QUESTIONS = new Map();
for (const item of ITEMS) {
  item.question = JSON.stringify([item.p, item.t, item.models, item.canary, item.spoiled]);
  if (!QUESTIONS.has(item.question)) QUESTIONS.set(item.question, []);
  QUESTIONS.get(item.question).push(item);
}
for (const list of QUESTIONS.values()) {
  const outcomes = new Set(list.map(i => i.outcome).filter(o => !['none', 'scored', 'inconsistent', 'incomplete', 'seen', 'missed'].includes(o)));
  for (const item of list) item.disagree = outcomes.size > 1;
}
const ANSWERS = new Map(DATA.answers.map(a => [a.m + ' ' + a.p, a]));
const answerOf = (m, p) => ANSWERS.get(m + ' ' + p) || null;

function searchText(item) {
  if (item.search === undefined) {
    const prompt = DATA.prompts[item.p];
    item.search = [prompt.id, ...(prompt.turns || []), ...item.models.flatMap(m => { const a = answerOf(m, item.p); return a ? a.turns : []; }), ...item.list.map(g => (g.text || '') + ' ' + (g.error || ''))].join('\n').toLowerCase();
  }
  return item.search;
}

const OUTCOMES = { inconsistent: ['turned round', 'warn'], incomplete: ['incomplete', 'warn'], none: ['no verdict', 'warn'], scored: ['scored', 'even'], tie: ['tie', 'even'], seen: ['seen', 'even'], missed: ['not seen', 'warn'] };
const outcomeText = o => OUTCOMES[o] ? OUTCOMES[o][0] : visible(o) + ' wins';
const outcomeClass = o => OUTCOMES[o] ? OUTCOMES[o][1] : 'chip-' + modelClass(o);
const chip = o => el('span', { class: 'chip ' + outcomeClass(o) }, outcomeText(o));
const CANARIES = { mismatched: 'the answer to another question', empty: 'an empty answer', truncated: 'the answer cut off in the middle', identical: 'the same answer a second time' };

/* ---- one item ---- */

function answerColumn(item, m) {
  const a = answerOf(m, item.p), spoiled = item.canary && item.spoiled === m, text = a ? a.turns[item.t - 1] : null;
  return el('article', { class: 'answer ' + modelClass(MODELS[m]) },
    el('h4', {}, modelSpan(MODELS[m]), el('span', { class: 'soft' }, !item.canary && isNumber(item.scores[item.models.indexOf(m)]) ? ` scored ${number(item.scores[item.models.indexOf(m)], 1)} on average` : '', text ? `, ${plural(text.length, 'character')}` : '')),
    a && a.leaks ? el('p', { class: 'note' }, `In ${plural(a.leaks, 'turn')} it ran on past its end, which was cut off.`) : null,
    a && a.cut ? el('p', { class: 'note' }, `${plural(a.cut, 'turn')} ended for length.`) : null,
    spoiled ? el('p', { class: 'note' }, `A trick question: ${item.single ? 'in place of this answer' : 'beside this answer'} the judge was shown ${CANARIES[item.canary] || visible(item.canary)}.`) : null,
    text === null || text === undefined ? el('p', { class: 'soft' }, 'The answer is not among the run\u2019s files.') : prose(text, 'the answer of ' + visible(MODELS[m])));
}

/* Who stood in a place: of a canary the spoilt answer, or the same model's own. */
function placeName(g, i) {
  const name = MODELS[g.m[i]];
  return !g.canary ? [modelSpan(name)] : g.canary === 'identical' ? [modelSpan(name), i ? ' again' : ''] : i === g.slot ? ['the spoilt answer'] : [modelSpan(name)];
}

function opinion(item, g) {
  const scores = (g.s || []).slice(0, g.m.length), winner = winnerOf(g);
  return el('article', { class: 'opinion' },
    el('h4', {}, item.single ? ['of ', placeName(g, 0)] : [placeName(g, 0), ' first, ', placeName(g, 1), ' second']),
    el('p', {}, g.error ? el('span', { class: 'chip warn' }, 'no verdict') : !winner ? '' : g.canary && g.w !== 3 ? el('span', { class: 'chip even' }, (g.w === 1 ? 'the first' : 'the second') + ' wins') : chip(winner),
      scores.length && !g.error ? [' ', scores.map((s, i) => [i ? ', ' : '', placeName(g, i), ' ', number(s, Number.isInteger(s) ? 0 : 1)])] : '', g.strength === 2 ? ' (much better)' : '', isNumber(g.share) ? ` (${percent(g.share)} for the first)` : ''),
    g.error ? el('p', { class: 'note' }, visible(g.error)) : null, prose(g.text || '', 'the judgement'));
}

function others(item) {
  const rest = QUESTIONS.get(item.question).filter(i => i !== item);
  return rest.length ? el('p', { class: 'others' }, 'Other judges: ', rest.map(i => el('a', { href: '#' + i.hash }, judgeName(DATA.judges[i.j].judge, DATA.judges[i.j].protocol), ' ', chip(i.outcome)))) : null;
}

function detail(item) {
  const prompt = DATA.prompts[item.p], judge = DATA.judges[item.j], turns = prompt.turns || [], references = prompt.reference || [];
  return [
    el('header', {}, el('h3', { id: 'detail-title', tabindex: -1 }, visible(prompt.id), turns.length > 1 ? `, turn ${item.t}` : ''), chip(item.outcome), item.disagree ? el('span', { class: 'chip warn' }, 'judges disagree') : null, item.canary ? el('span', { class: 'chip warn' }, `canary: ${visible(item.canary)}`) : null),
    el('p', { class: 'soft' }, [prompt.slice, prompt.language].filter(Boolean).map(visible).join(', '), prompt.slice || prompt.language ? '; ' : '', 'judged by ', judgeName(judge.judge, judge.protocol), judge.protocol ? `, protocol ${visible(judge.protocol)}` : '', '. ', el('a', { href: '#' + item.hash }, 'Link to this')),
    others(item),
    el('section', { class: 'prompt', 'aria-label': 'Prompt' }, el('h4', {}, 'Prompt'), turns.length ? turns.slice(0, item.t).map((t, i) => [turns.length > 1 ? el('p', { class: 'soft' }, `turn ${i + 1}`) : null, prose(t, 'the prompt')]) : el('p', { class: 'soft' }, 'The prompt is not among the run\u2019s files.')),
    references[item.t - 1] ? el('details', {}, el('summary', {}, 'Reference'), prose(references[item.t - 1], 'the reference')) : null,
    el('h4', { class: 'row-title' }, item.models.length > 1 ? 'Answers' : 'Answer'), el('div', { class: 'columns' }, item.models.map(m => answerColumn(item, m))),
    el('h4', { class: 'row-title' }, item.list.length > 1 && !item.single ? 'What the judge said, in both orders' : 'What the judge said'), el('div', { class: 'columns' }, item.list.map(g => opinion(item, g)))];
}

/* ---- the list: only what is in sight is made ---- */

const ROW = 64, AHEAD = 8;
const view = { shown: [], selected: null, list: null, inner: null, detail: null, status: null, filters: {} };

function listRow(item, i) {
  const prompt = DATA.prompts[item.p];
  return el('li', { class: 'row' + (item === view.selected ? ' on' : ''), 'aria-setsize': view.shown.length, 'aria-posinset': i + 1 },
    el('a', { href: '#' + item.hash, 'aria-current': item === view.selected ? 'true' : null },
      el('span', { class: 'line' }, el('b', {}, short(prompt.id, 28)), item.canary ? el('i', {}, 'canary') : null, item.disagree ? el('i', {}, 'disputed') : null, chip(item.outcome)),
      el('span', { class: 'line soft' }, el('span', {}, judgeName(DATA.judges[item.j].judge, DATA.judges[item.j].protocol)), item.scores.some(isNumber) ? el('span', {}, item.scores.map((s, k) => [k ? ' : ' : '', el('span', item.canary ? {} : { class: 'model ' + modelClass(MODELS[item.models[k]]) }, number(s, 1).replace(/\.0$/, ''))])) : null),
      el('span', { class: 'line soft cut' }, short((prompt.turns || [''])[0] || '', 120).replace(/\s+/g, ' '))));
}

function drawList() {
  const from = Math.max(0, Math.floor(view.list.scrollTop / ROW) - AHEAD), to = Math.min(view.shown.length, Math.ceil((view.list.scrollTop + view.list.clientHeight) / ROW) + AHEAD);
  const rows = [];
  for (let i = from; i < to; i++) {
    const row = listRow(view.shown[i], i);
    row.style.transform = `translateY(${i * ROW}px)`;
    rows.push(row);
  }
  view.inner.style.height = Math.max(ROW, view.shown.length * ROW) + 'px';
  view.inner.replaceChildren(...(rows.length ? rows : [el('li', { class: 'row none' }, 'Nothing fits the filters.')]));
}

function applyFilters() {
  const f = view.filters, words = f.search.value.toLowerCase().trim();
  view.shown = ITEMS.filter(i => (!f.judge.value || String(i.j) === f.judge.value) && (!f.slice.value || DATA.prompts[i.p].slice === f.slice.value) && (!f.language.value || DATA.prompts[i.p].language === f.language.value) &&
    (!f.winner.value || i.outcome === f.winner.value.slice(1)) && (f.canary.value === 'all' || (f.canary.value === 'only') === Boolean(i.canary)) && (!f.disagree.checked || i.disagree) && (!f.turned.checked || i.outcome === 'inconsistent') &&
    (!f.failed.checked || i.failed) && (!words || searchText(i).includes(words)));
  view.status.textContent = `${count(view.shown.length)} of ${plural(ITEMS.length, 'question')} to judges`;
  view.list.scrollTop = 0;
  drawList();
}

function select(item, move) {
  view.selected = item;
  view.detail.replaceChildren(...detail(item).flat(2).filter(Boolean));
  view.detail.scrollTop = 0;
  const at = view.shown.indexOf(item);
  if (at >= 0 && (at * ROW < view.list.scrollTop || (at + 1) * ROW > view.list.scrollTop + view.list.clientHeight)) view.list.scrollTop = Math.max(0, at * ROW - view.list.clientHeight / 2);
  drawList();
  if (!move) return;
  view.detail.parentNode.scrollIntoView({ block: 'start' });
  if (window.matchMedia('(max-width: 60rem)').matches) view.detail.scrollIntoView({ block: 'start' });
  document.getElementById('detail-title').focus({ preventScroll: true });
}

function follow(by, test) {
  let at = view.shown.indexOf(view.selected) + by;
  while (test && at >= 0 && at < view.shown.length && !test(view.shown[at])) at += by;
  if (at < 0 || at >= view.shown.length) return;
  select(view.shown[at], true);                  /* at once, not with the event: keys repeat faster */
  location.hash = view.selected.hash;
}

function onHash() {
  const item = BY_HASH.get(location.hash.slice(1));
  if (item && item !== view.selected) select(item, true);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === 'Escape' && typing) event.target.blur();
  if (typing) return;
  const act = { j: () => follow(1), k: () => follow(-1), x: () => follow(1, i => i.disagree || i.outcome === 'inconsistent'), '/': () => view.filters.search.focus() }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

const choice = (name, options) => { const node = el('select', { onchange: applyFilters }, options.map(([value, text]) => el('option', { value }, text))); return [node, el('label', {}, el('span', {}, name), node)]; };
const tick = name => { const node = el('input', { type: 'checkbox', onchange: applyFilters }); return [node, el('label', { class: 'tick' }, node, name)]; };
const distinct = key => [...new Set(ITEMS.map(i => DATA.prompts[i.p][key]).filter(Boolean))].sort();

function filterBar() {
  const f = view.filters, parts = [];
  const add = (key, [node, label]) => { f[key] = node; parts.push(label); };
  let timer = 0;
  const search = el('input', { type: 'search', placeholder: 'in prompts, answers, judgements', oninput: () => { clearTimeout(timer); timer = setTimeout(applyFilters, 120); } });
  add('search', [search, el('label', { class: 'find' }, el('span', {}, 'Search'), search)]);
  add('judge', choice('Judge', [['', 'all'], ...DATA.judges.map((j, i) => [i, judgeName(j.judge, j.protocol)])]));
  add('slice', choice('Slice', [['', 'all'], ...distinct('slice').map(s => [s, visible(s)])]));
  add('language', choice('Language', [['', 'all'], ...distinct('language').map(s => [s, visible(s)])]));
  add('winner', choice('Outcome', [['', 'all'], ...[...new Set(ITEMS.map(i => i.outcome))].sort().map(o => ['=' + o, outcomeText(o)])]));
  add('canary', choice('Canaries', [['without', 'left out'], ['only', 'only these'], ['all', 'with the others']]));
  add('disagree', tick('judges disagree'));
  add('turned', tick('turned round on swap'));
  add('failed', tick('without a verdict'));
  return el('form', { class: 'filters', onsubmit: e => e.preventDefault(), 'aria-label': 'Filters' }, parts);
}

function browseSection() {
  const bar = filterBar();
  view.inner = el('ol', { class: 'inner' });
  view.list = el('div', { class: 'list', tabindex: 0, role: 'region', 'aria-label': 'Questions to judges', onscroll: drawList }, view.inner);
  view.detail = el('div', { class: 'detail', tabindex: 0, role: 'region', 'aria-label': 'One question to a judge' }, el('p', { class: 'soft' }, 'Choose one from the list.'));
  view.status = el('p', { class: 'soft status', role: 'status' });
  return section('judgements', 'Every judgement', bar, el('div', { class: 'head' }, view.status, el('p', { class: 'soft keys' }, el('kbd', {}, 'j'), ' next, ', el('kbd', {}, 'k'), ' previous, ', el('kbd', {}, 'x'), ' next disputed or turned round, ', el('kbd', {}, '/'), ' search')),
    el('div', { class: 'browse' }, view.list, view.detail));
}

/* ---- the page ---- */

function start() {
  const parts = [['odd', 'What is missing', oddSection], ['verdict', 'Verdict', verdictSection], ['ratings', 'Ratings', ratingsSection], ['judges', 'Are the judges to be trusted?', judgesSection], ['scale', 'How the judges use their scale', scaleSection],
    ['slices', 'Wins, ties and losses', slicesSection], ['agreement', 'Do the judges agree?', agreementSection], ['judgements', 'Every judgement', () => ITEMS.length ? browseSection() : null], ['settings', 'To repeat the run', settingsSection]];
  const main = document.querySelector('main'), sections = parts.map(([id, title, make]) => { const made = attempt(`\u201c${title}\u201d`, make); return made && made.tagName !== 'SECTION' ? section(id, title, made) : made; }).filter(Boolean);
  main.replaceChildren(el('nav', { 'aria-label': 'Parts of this page' }, sections.map(s => el('a', { href: '#' + s.id }, s.querySelector('h2').textContent))), ...sections);
  if (!ITEMS.length) return;
  applyFilters();
  window.addEventListener('hashchange', onHash);
  window.addEventListener('resize', drawList);
  document.addEventListener('keydown', onKey);
  if (BY_HASH.has(location.hash.slice(1))) onHash();
  else if (view.shown.length) select(view.shown[0], false);
}
start();
