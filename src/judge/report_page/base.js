'use strict';
/* The page of `starchat judge report`. What models wrote becomes text nodes alone; the policy of the page lets no other script run. */

/* Whatever fails in spite of all below, the page says so. */
window.addEventListener('error', event => { const main = document.querySelector('main'); if (main && !main.querySelector('section')) main.textContent = 'The page cannot be drawn: ' + event.message + '. `starchat judge report DIR --out summary.md` makes a summary.'; });

const DATA = JSON.parse(document.getElementById('data').textContent);
/* Files of a run may come from elsewhere, so nothing inside these parts is sure to be of the kind that is expected. */
const list = x => Array.isArray(x) ? x : [];
const map = x => x && typeof x === 'object' && !Array.isArray(x) ? x : {};
const objects = x => list(x).filter(one => one && typeof one === 'object' && !Array.isArray(one));
const AUDIT = objects(map(DATA.audit).judges).map(j => ({ ...j, findings: objects(j.findings), histogram: Object.fromEntries(Object.entries(map(j.histogram)).map(([model, of]) => [model, map(of)])) }));
const AGREEMENT = objects(map(DATA.audit).agreement);
/* "All judges" of which one alone may be trusted says nothing that this one does not. */
const VERDICT = map(DATA.verdict), ALL_PAIRS = objects(VERDICT.pairs).map(p => ({ ...p, judges: Array.isArray(p.judges) ? p.judges : null, raw: map(p.raw) }));
const isLone = ALL_PAIRS.some(p => p.judges && p.judges.length === 1);
const tellsMore = row => !(isLone && row.judges) && !(isLone && row.judge === 'all judges');
const PAIRS = ALL_PAIRS.filter(tellsMore);
const RATINGS = objects(VERDICT.ratings).filter(tellsMore);
const SCORES = objects(VERDICT.scores).filter(tellsMore);
const MODELS = DATA.models;

/* ---- elements ---- */

const SVG = 'http://www.w3.org/2000/svg';

function put(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}
const el = (name, attributes, ...children) => put(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) => put(document.createElementNS(SVG, name), attributes, children);

/* Characters that nobody sees or that turn the direction of what stands around them, shown as what they are. */
const HIDDEN = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]|\uDB40[\uDC00-\uDC7F]/g;
const visible = text => String(text).replace(/\r\n/g, '\n').replace(HIDDEN, c => '[U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + ']');

/* Text with its code in blocks of their own. */
function prose(text, name) {
  const out = el('div', { class: 'prose', dir: 'auto' });
  let block = null, lines = [];
  const flush = () => {
    const body = lines.join('\n');
    if (block) out.append(el('pre', { tabindex: 0, role: 'region', 'aria-label': 'code in ' + name, dir: 'ltr' }, el('code', {}, body)));
    else if (body.trim()) out.append(el('p', {}, body.replace(/^\n+|\n+$/g, '')));
    lines = [];
  };
  for (const line of visible(text).split('\n')) {
    const fence = /^\s*(`{3,}|~{3,})/.exec(line);
    if (fence && (!block || (fence[1].startsWith(block) && !line.trim().replace(/[`~]/g, '')))) {
      flush();
      block = block ? null : fence[1];
    } else lines.push(line);
  }
  flush();
  if (!out.childNodes.length) out.append(el('p', { class: 'soft' }, 'Nothing.'));
  return out;
}

/* What `make` gives, or where it fails a sentence in its place: one odd value blanks no more than its own part. */
function attempt(what, make) {
  try {
    return make();
  } catch (error) {
    return el('p', { class: 'note' }, `${what} cannot be shown: the run's files hold something unexpected here (${visible(error.message)}).`);
  }
}

/* ---- numbers ---- */

const isNumber = x => typeof x === 'number' && Number.isFinite(x);
const percent = (x, digits = 1) => isNumber(x) ? (100 * x).toFixed(digits).replace(/\.0+$/, '') + ' %' : 'unknown';
const number = (x, digits = 2) => isNumber(x) ? x.toFixed(digits).replace('-', '\u2212') : '\u2013';
const signed = (x, digits = 2) => isNumber(x) ? (x > 0 ? '+' : '') + number(x, digits) : '\u2013';
const count = x => isNumber(x) ? x.toLocaleString('en-US') : '\u2013';
const probability = p => !isNumber(p) ? '\u2013' : p < 0.0001 ? 'below 0.0001' : p.toFixed(4);
const plural = (n, one, many) => count(n) + ' ' + (n === 1 ? one : many || one + 's');
const isOverall = p => p.by ? p.by === 'all' : !p.slice || p.slice === 'all';
const judgeName = (judge, protocol) => {
  const protocols = new Set(DATA.judges.filter(j => j.judge === judge).map(j => j.protocol));
  return visible(judge || 'all judges') + (protocols.size > 1 && protocol ? ' (' + visible(protocol) + ')' : '');
};
const modelClass = name => 'model' + (Math.max(0, MODELS.indexOf(name)) % 8);
const modelSpan = name => el('span', { class: 'model ' + modelClass(name) }, visible(name));
const short = (text, n) => { const s = visible(text); return s.length > n ? s.slice(0, n - 1) + '\u2026' : s; };

/* ---- pictures ---- */

/* Round numbers from low to high, at most eight. */
function ticks(low, high) {
  const steps = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], step = steps.find(s => (high - low) / s <= 7.01) || (high - low) / 4 || 1, out = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9; x += step) out.push(Math.abs(x) < 1e-9 ? 0 : x);
  return out;
}

/* Intervals along one axis. rows: {name, value, low, high, text, class}; mark: a line that means "no difference". On a narrow screen names stand above their rows. */
function intervals(title, rows, low, high, mark, format) {
  const narrow = window.innerWidth < 640, most = narrow ? 24 : 48, longest = Math.min(most, Math.max(12, ...rows.map(r => visible(r.name).length))), left = narrow ? 12 : 20 + longest * 7.2, width = narrow ? 360 : left + 540, right = narrow ? 12 : 180, step = narrow ? 46 : 30, top = 8, bottom = top + rows.length * step;
  const place = x => left + (Math.min(high, Math.max(low, x)) - low) / (high - low || 1) * (width - left - right);
  const picture = svg('svg', { viewBox: `0 0 ${width} ${bottom + 26}`, role: 'img', 'aria-label': title + ': ' + rows.map(r => `${visible(r.name)} ${r.text}`).join('; ') });
  for (const x of ticks(low, high)) {
    picture.append(svg('line', { class: 'axis', x1: place(x), x2: place(x), y1: top, y2: bottom }),
      svg('text', { class: 'soft', x: place(x), y: bottom + 18, 'text-anchor': narrow && place(x) < 30 ? 'start' : narrow && place(x) > width - 30 ? 'end' : 'middle' }, format(x)));
  }
  if (mark !== null) picture.append(svg('line', { class: 'mark', x1: place(mark), x2: place(mark), y1: top - 4, y2: bottom + 4 }));
  rows.forEach((row, i) => {
    const y = top + (i + (narrow ? 0.72 : 0.5)) * step, known = isNumber(row.value), label = narrow ? y - 14 : y + 5;
    picture.append(svg('text', { x: narrow ? 0 : left - 14, y: label, 'text-anchor': narrow ? 'start' : 'end' }, short(row.name, most), svg('title', {}, visible(row.name))),
      svg('text', { class: known ? null : 'soft', x: narrow ? width : known ? width - right + 14 : left + 8, y: label, 'text-anchor': narrow ? 'end' : 'start' }, row.text || 'unknown'));
    if (known && isNumber(row.low) && isNumber(row.high)) picture.append(svg('rect', { class: 'range', x: place(row.low), y: y - 4, width: Math.max(1.5, place(row.high) - place(row.low)), height: 8, rx: 4 }));
    if (known) picture.append(svg('circle', { class: 'dot ' + (row.class || ''), cx: place(row.value), cy: y, r: 5.5 }));
  });
  picture.style.maxWidth = width * 1.1 + 'px';
  return el('figure', {}, picture);
}

/* One value with its interval on a short axis. */
function gauge(title, value, low, high, from, to, mark) {
  const width = 220, place = x => 6 + (Math.min(to, Math.max(from, x)) - from) / (to - from || 1) * (width - 12);
  const picture = svg('svg', { class: 'gauge', viewBox: `0 0 ${width} 22`, role: 'img', 'aria-label': title });
  picture.append(svg('line', { class: 'rail', x1: 6, x2: width - 6, y1: 11, y2: 11 }));
  if (mark !== null) picture.append(svg('line', { class: 'mark', x1: place(mark), x2: place(mark), y1: 2, y2: 20 }));
  if (isNumber(low) && isNumber(high)) picture.append(svg('rect', { class: 'range', x: place(low), y: 7, width: Math.max(1.5, place(high) - place(low)), height: 8, rx: 4 }));
  if (isNumber(value)) picture.append(svg('circle', { class: 'dot', cx: place(value), cy: 11, r: 5 }));
  return picture;
}

/* Shares of one bar: parts {n, class, name}. */
function stack(title, parts) {
  const total = parts.reduce((sum, p) => sum + (p.n || 0), 0), width = 600, height = 24;
  const picture = svg('svg', { class: 'stack', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title + ': ' + parts.map(p => p.name + ' ' + (p.n || 0)).join(', ') });
  let x = 0;
  for (const part of parts) {
    const w = total ? (part.n || 0) / total * width : 0;
    if (w <= 0) continue;
    picture.append(svg('rect', { class: part.class, x, y: 0, width: Math.max(0, w - 1), height }, svg('title', {}, part.name + ': ' + part.n)));
    if (w > 26) picture.append(svg('text', { class: 'on-' + part.class.split(' ')[0], x: x + w / 2, y: 17, 'text-anchor': 'middle' }, part.n));
    x += w;
  }
  return picture;
}

/* How often each score was given, one group of bars a score and a bar a model. */
const timesOf = (of, m, b) => isNumber(of[m][b]) ? of[m][b] : 0;
const shareOf = (of, m, b) => timesOf(of, m, b) / (Object.keys(of[m]).reduce((sum, key) => sum + timesOf(of, m, key), 0) || 1);
/* The same for all pictures, so that they can be compared. */
const PEAK = Math.max(0.01, ...AUDIT.flatMap(j => Object.keys(j.histogram || {}).flatMap(m => Object.keys(j.histogram[m]).map(b => shareOf(j.histogram, m, b)))));

function histogram(judge) {
  const of = judge.histogram || {}, models = MODELS.filter(m => of[m]);
  const scores = [...new Set(models.flatMap(m => Object.keys(of[m]).map(Number)))].filter(Number.isFinite).sort((a, b) => a - b);
  if (!scores.length) return null;
  const range = [judge.range, DATA.ranges[judge.protocol]].find(x => Array.isArray(x) && x.length === 2 && x.every(isNumber) && x[0] < x[1]) || null, least = range ? range[0] : scores[0], most = range ? range[1] : scores[scores.length - 1];
  const whole = scores.every(Number.isInteger) && most - least <= 20, bins = whole ? Array.from({ length: most - least + 1 }, (_, i) => least + i) : scores.slice(0, 40);
  for (const s of scores) if (whole && !bins.includes(s)) bins.push(s);
  const share = (m, b) => shareOf(of, m, b), peak = Math.ceil(PEAK * 10) / 10, width = 360, height = 150, bottom = 122, slot = (width - 44) / bins.length, bar = Math.min(22, slot * 0.84 / models.length);
  const title = `Scores that ${visible(judge.judge)} gave: ` + models.map(m => visible(m) + ' ' + bins.filter(b => timesOf(of, m, b)).map(b => `${b}: ${of[m][b]}`).join(', ')).join('; ');
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title });
  for (let k = 0; k <= 2; k++) {
    const y = bottom - k / 2 * 110;
    picture.append(svg('line', { class: 'axis', x1: 40, x2: width, y1: y, y2: y }), svg('text', { class: 'soft', x: 36, y: y + 4, 'text-anchor': 'end' }, Math.round(100 * peak * k / 2) + ' %'));
  }
  bins.forEach((b, i) => {
    const middle = 44 + (i + 0.5) * slot;
    picture.append(svg('text', { class: 'soft', x: middle, y: bottom + 17, 'text-anchor': 'middle' }, b));
    models.forEach((m, k) => {
      const h = share(m, b) / peak * 110;
      if (h > 0) picture.append(svg('rect', { class: modelClass(m), x: middle + (k - models.length / 2) * bar, y: bottom - h, width: Math.max(1, bar - 1), height: h, rx: 1.5 }, svg('title', {}, `${visible(m)}: ${of[m][b]} times ${b} (${percent(share(m, b))})`)));
    });
  });
  return el('figure', {}, picture);
}
