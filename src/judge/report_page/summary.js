/* ---- what the run says: verdict, judges, scale, slices, ratings, agreement, settings ---- */

const table = (caption, columns, rows) => el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, el('table', {},
  el('caption', {}, caption),
  el('thead', {}, el('tr', {}, columns.map(c => el('th', { scope: 'col', class: c.startsWith('>') ? 'n' : null }, c.replace(/^>/, ''))))),
  el('tbody', {}, rows.map(r => el('tr', {}, r.map((cell, i) => el(i ? 'td' : 'th', { class: columns[i].startsWith('>') ? 'n' : null, scope: i ? null : 'row' }, cell)))))));

const section = (id, title, ...children) => el('section', { id, 'aria-labelledby': id + '-title' }, el('h2', { id: id + '-title' }, title), children);
const legend = parts => el('p', { class: 'legend' }, parts.map(p => el('span', {}, svg('svg', { class: 'key', viewBox: '0 0 12 12', 'aria-hidden': 'true' }, svg('rect', { class: p.class, width: 12, height: 12, rx: 2 })), p.name)));

const rate = (x, low, high) => percent(x) + (isNumber(low) ? `  (${percent(low, 0)} \u2013 ${percent(high, 0)})` : '');
/* All judges together come first. */
const overallPairs = PAIRS.filter(isOverall).sort((a, b) => Boolean(b.judges) - Boolean(a.judges));
const pairName = p => `${visible(p.tuned)} against ${visible(p.base)}`;
const hasOnePair = new Set(overallPairs.map(pairName)).size <= 1;
const rowName = p => (hasOnePair ? '' : pairName(p) + ', ') + judgeName(p.judge, p.protocol);

function sentence(p) {
  if (p.withheld) {
    const audit = AUDIT.find(j => j.judge === p.judge && j.protocol === p.protocol), names = (audit ? audit.findings : []).filter(f => f.refuses).map(f => visible(f.name));
    return ['No verdict: this judge is ', el('a', { href: '#judges' }, 'not to be trusted'), names.length ? ` (${names.join(', ')}).` : `: ${visible(p.withheld)}.`, p.raw.sentence ? el('details', {}, el('summary', {}, 'What it said all the same'), el('p', {}, visible(p.raw.sentence) + '.')) : ''];
  }
  const n = [p.win, p.tie, p.loss].every(isNumber) ? ` ${count(p.win)} won, ${count(p.tie)} tied, ${count(p.loss)} lost` : '';
  const clear = { better: 'better than', worse: 'worse than', open: 'not surely different from' }[p.result] || 'compared with';      // by the sign test with Holm's correction, as the command says it
  return [modelSpan(p.tuned), ` is ${clear} `, modelSpan(p.base), `: it wins ${percent(p.win_rate)} of ${plural(p.prompts, 'prompt')}${isNumber(p.comparisons) && p.comparisons !== p.prompts ? `, ${plural(p.comparisons, 'comparison')}` : ''}`,
    isNumber(p.low) ? ` (95 % interval ${percent(p.low)} to ${percent(p.high)})` : '', n ? ';' + n : '', '.',
    p.rule !== 'probability' && p.rule !== 'strength' && isNumber(p.inconsistent) && p.inconsistent > 0 ? ` ${plural(p.inconsistent, 'verdict')} turned round with the order and ${p.inconsistent === 1 ? 'counts' : 'count'} as ties.` : '',
    isNumber(p.incomplete) && p.incomplete > 0 ? ` ${plural(p.incomplete, 'comparison')} ${p.incomplete === 1 ? 'is' : 'are'} incomplete, without the verdict of an order or an answer, and left out.` : '',
    isNumber(p.p_adjusted) ? ` p ${probability(p.p_adjusted)}${p.tests > 1 ? `, adjusted by Holm for ${count(p.tests)} tests` : ''}.` : '',
    isNumber(p.smallest) ? ` So many prompts show differences from ${percent(p.smallest)} on.` : ''];
}

/* Means of what each judge gave to each model. */
function scoreMeans() {
  const rows = SCORES.filter(r => isNumber(r.mean));
  if (!rows.length) return null;
  const all = rows.flatMap(r => [r.mean, r.low, r.high]).filter(isNumber), ranges = rows.map(r => DATA.ranges[r.protocol]).filter(Boolean);
  const low = Math.min(...(ranges.length ? ranges.map(x => x[0]) : all)), high = Math.max(...(ranges.length ? ranges.map(x => x[1]) : all));
  return [el('h3', {}, 'Mean scores'), intervals('Mean scores', rows.map(r => ({ name: `${judgeName(r.judge, r.protocol)}: ${visible(r.model)}${r.turn ? `, turn ${r.turn}` : ''}`, value: r.mean, low: r.low, high: r.high, class: modelClass(r.model), text: number(r.mean) + (isNumber(r.low) ? `  (${number(r.low)} \u2013 ${number(r.high)})` : '') })), low, high, null, x => number(x, 1).replace(/\.0$/, ''))];
}

/* Of two models: a card for each judge with its rate. */
function pairCard(p) {
  return el('article', { class: 'card' + (p.withheld ? ' off' : '') }, el('h3', {}, judgeName(p.judge, p.protocol), p.judges ? el('span', { class: 'soft' }, ` that may be trusted: ${p.judges.map(visible).join(', ')}`) : ''),
    el('p', { class: 'big' }, p.withheld ? 'withheld' : percent(p.win_rate)), el('p', {}, sentence(p)));
}

/* Of more than two: a card for each judge with the model that it rates highest. */
function ratingCard(list) {
  const p = list[0], rated = RATINGS.filter(r => r.judge === p.judge && (r.protocol || '') === (p.protocol || '') && isNumber(r.bradley_terry)).sort((x, y) => y.bradley_terry - x.bradley_terry);
  if (p.withheld || !rated.length) return pairCard(p);
  const clear = list.filter(x => x.result === 'better' || x.result === 'worse').length;
  return el('article', { class: 'card' }, el('h3', {}, judgeName(p.judge, p.protocol), p.judges ? el('span', { class: 'soft' }, ` that may be trusted: ${p.judges.map(visible).join(', ')}`) : ''), el('p', { class: 'big' }, modelSpan(rated[0].model)),
    el('p', {}, `is rated highest, before `, rated.slice(1).map((r, i) => [i ? ', ' : '', modelSpan(r.model)]), `. Of ${plural(list.length, 'pair')} of models ${count(clear)} differ for sure, by the sign test with Holm\u2019s correction for as many.`));
}

function rateRows(p, name, withControls) {
  if (p.withheld) return [{ name, value: null, text: 'withheld' }];
  const rows = [{ name, value: p.win_rate, low: p.low, high: p.high, text: rate(p.win_rate, p.low, p.high) }];
  for (const [key, what] of withControls ? [['length_controlled', '\u2026 at equal length'], ['style_controlled', '\u2026 in equal style']] : [])
    if (isNumber(p[key])) rows.push({ name: what, value: p[key], low: p[key + '_low'], high: p[key + '_high'], class: 'hollow', text: rate(p[key], p[key + '_low'], p[key + '_high']) });
  return rows;
}

function differenceRows(list, name) {
  const rows = list.filter(p => !p.withheld && isNumber(p.score_difference)), reach = Math.ceil(2 * Math.max(0.5, ...rows.flatMap(p => [p.score_low, p.score_high, p.score_difference]).filter(isNumber).map(Math.abs))) / 2;
  return rows.length ? [el('h4', {}, 'Differences of scores'), intervals('Differences of scores', rows.map(p => ({ name: name(p), value: p.score_difference, low: p.score_low, high: p.score_high,
    text: signed(p.score_difference) + (isNumber(p.score_low) ? `  (${signed(p.score_low)} \u2013 ${signed(p.score_high)})` : '') })), -reach, reach, 0, x => signed(x, 1))] : null;
}

function verdictSection() {
  const notes = list(VERDICT.notes).map(n => el('p', { class: 'note' }, visible(typeof n === 'string' ? n.replace(/; what the judges said stands under "raw"$/, '') : JSON.stringify(n)))), groups = new Map();
  if (!overallPairs.length) return section('verdict', 'Verdict', el('p', {}, 'No two models were compared with each other.'), notes, scoreMeans());
  const reading = 'A tie counts half. The dashed line is no difference; bars are 95 % intervals over prompts.';
  for (const p of overallPairs) groups.set(judgeName(p.judge, p.protocol), [...(groups.get(judgeName(p.judge, p.protocol)) || []), p]);
  if (hasOnePair) return section('verdict', 'Verdict', el('div', { class: 'cards' }, overallPairs.map(p => attempt('A verdict', () => pairCard(p)))), notes, el('h3', {}, 'Win rates'), el('p', { class: 'soft' }, modelSpan(overallPairs[0].tuned), ' against ', modelSpan(overallPairs[0].base), '. ', reading),
    intervals('Win rates', overallPairs.flatMap(p => rateRows(p, judgeName(p.judge, p.protocol), true)), 0, 1, 0.5, x => percent(x, 0)), differenceRows(overallPairs, p => judgeName(p.judge, p.protocol)), scoreMeans());
  return section('verdict', 'Verdict', el('div', { class: 'cards' }, [...groups.values()].map(list => attempt('A verdict', () => ratingCard(list)))), notes, el('p', { class: 'soft' }, reading),
    [...groups].filter(([, list]) => !list[0].withheld).map(([name, list]) => [el('h3', {}, name), el('h4', {}, 'Win rates'), intervals(`Win rates, ${name}`, list.flatMap(p => rateRows(p, pairName(p), false)), 0, 1, 0.5, x => percent(x, 0)), differenceRows(list, pairName)]), scoreMeans());
}

/* ---- judges ---- */

function measure(name, picture, text) { return el('div', { class: 'measure' }, el('dt', {}, name), el('dd', {}, picture, el('span', {}, text))); }

function canaryRows(canaries) {
  return Object.entries(map(canaries)).filter(([, c]) => isNumber(map(c).n) && isNumber(c.caught)).map(([kind, c]) => measure(`canaries: ${visible(kind)}`, stack('caught', [{ n: c.caught, class: 'good', name: 'caught' }, { n: Math.max(0, c.n - c.caught), class: 'bad', name: 'not caught' }]),
    `${count(c.caught)} of ${count(c.n)} caught`));
}

function judgePanel(j) {
  const swap = map(j.swap), slot = map(j.slot), length = map(j.length), against = map(j.contradictions), findings = j.findings;
  const reach = Math.max(0.01, ...[length.slope, length.low, length.high].filter(isNumber).map(Math.abs));
  return el('article', { class: 'judge' },
    el('h3', {}, judgeName(j.judge, j.protocol), ' ', j.is_calibrated === false ? el('span', { class: 'badge bad' }, 'not to be trusted') : j.is_calibrated === true ? el('span', { class: 'badge good' }, 'may be trusted') : ''),
    el('p', { class: 'soft' }, `${plural(j.calls, 'call')}` + (j.protocol ? `, protocol ${visible(j.protocol)}` : '') + (j.failed ? `, ${count(j.failed)} without a verdict` : ', every one with a verdict') + (j.out_of_range ? `, ${plural(j.out_of_range, 'score')} outside the range` : '')),
    findings.length ? el('ul', { class: 'findings' }, findings.map(f => el('li', { class: f.refuses ? 'refuses' : null }, el('b', {}, visible(f.name || '')), f.name ? ': ' : '', visible(f.sentence || ''), f.refuses ? ' (for this it is refused)' : ''))) : el('p', {}, 'Nothing was found against it.'),
    el('dl', { class: 'measures' },
      isNumber(swap.share) ? measure('same verdict in both orders', gauge('share of pairs', swap.share, swap.low, swap.high, 0, 1, null), `${percent(swap.share)} of ${plural(swap.pairs, 'pair')}`) : null,
      isNumber(slot.share) ? measure('the first answer wins', gauge('share of verdicts', slot.share, slot.low, slot.high, 0, 1, 0.5), `${percent(slot.share)} of those without ties, p ${probability(slot.p)}`) : null,
      isNumber(length.longer_share) ? measure('the longer answer wins', gauge('share of verdicts', length.longer_share, length.longer_low, length.longer_high, 0, 1, 0.5), `${percent(length.longer_share)} of those without ties`) : null,
      isNumber(length.slope) ? measure('longer answers gain', gauge('slope on length', length.slope, length.low, length.high, -reach * 1.2, reach * 1.2, 0), `slope ${signed(length.slope, 3)}, p ${probability(length.p)}`) : null,
      isNumber(against.share) ? measure('words against scores', gauge('share of judgements', against.share, null, null, 0, 1, null), `${count(against.n)} of ${count(against.of)} contradict themselves (${percent(against.share)})`) : null,
      canaryRows(j.canaries)));
}

function judgesSection() {
  return section('judges', 'Are the judges to be trusted?', el('p', { class: 'soft' }, 'Each judge saw the pairs both ways round where the protocol compares pairs, and answers that are wrong on purpose (canaries). A judge that fails here has no say in the verdict.'),
    AUDIT.length ? el('div', { class: 'panels' }, AUDIT.map(j => attempt('A judge', () => judgePanel(j)))) : el('p', {}, 'There is no audit in this run.'));
}

function scaleSection() {
  const pictures = AUDIT.map(j => ({ j, picture: attempt('A scale', () => histogram(j)) })).filter(x => x.picture);
  if (!pictures.length) return null;
  return section('scale', 'How the judges use their scale', el('p', { class: 'soft' }, 'Some judges use the ends of a scale, others only its middle; a difference of one point means much with one and little with another.'),
    legend(MODELS.map(m => ({ name: visible(m), class: modelClass(m) }))),
    el('div', { class: 'panels' }, pictures.map(({ j, picture }) => el('article', {}, el('h3', {}, judgeName(j.judge, j.protocol)), picture,
      el('p', { class: 'soft' }, `mean ${number(j.mean)}, standard deviation ${number(j.sd)}, median ${number(j.median, 1)}; at the ends ${percent(j.extreme_share)}, in the middle ${percent(j.middle_share)}; entropy ${number(j.entropy)} bits`)))));
}

/* ---- slices, ratings, agreement, settings ---- */

function barRows(list) {
  return el('dl', { class: 'bars' }, list.map(p => { const name = isOverall(p) ? 'all prompts' : visible(p.slice); return el('div', {}, el('dt', {}, name),
    el('dd', {}, stack(name, [{ n: p.win, class: 'win', name: visible(p.tuned) + ' wins' }, { n: p.tie, class: 'tie', name: 'tie' }, { n: p.loss, class: 'loss', name: visible(p.base) + ' wins' }])), el('dd', { class: 'n' }, rate(p.win_rate, p.low, p.high))); }));
}

function slicesSection() {
  const rows = PAIRS.filter(p => [p.win, p.tie, p.loss].every(isNumber) && !p.withheld), groups = new Map();
  if (!rows.length) return null;
  for (const p of rows.sort((a, b) => Boolean(b.judges) - Boolean(a.judges))) groups.set(rowName(p), [...(groups.get(rowName(p)) || []), p]);
  const languages = list => list.filter(p => p.by === 'language').sort((a, b) => b.prompts - a.prompts);
  return section('slices', 'Wins, ties and losses', legend(hasOnePair ? [{ name: visible(rows[0].tuned) + ' wins', class: 'win' }, { name: 'tie', class: 'tie' }, { name: visible(rows[0].base) + ' wins', class: 'loss' }] : [{ name: 'wins', class: 'win' }, { name: 'tie', class: 'tie' }, { name: 'losses', class: 'loss' }]),
    [...groups].map(([name, list]) => el('article', {}, el('h3', {}, name), barRows(list.filter(p => p.by !== 'language')), languages(list).length ? el('details', {}, el('summary', {}, 'by language'), barRows(languages(list))) : null)));
}

function ratingsSection() {
  if (MODELS.length < 3 || !RATINGS.length) return null;
  const judges = [...new Map(RATINGS.map(r => [judgeName(r.judge, r.protocol), r])).values()];      // a judge with two protocols is two
  const pick = (r, key) => key === 'elo' ? [r.elo, r.elo_low, r.elo_high] : [r.bradley_terry, r.low, r.high];
  return section('ratings', 'Ratings', el('p', { class: 'soft' }, 'Strengths by Bradley and Terry\u2019s model from all comparisons, and Elo with all orders of the games averaged. Bars are 95 % intervals.'),
    judges.map(({ judge, protocol }) => ['bradley_terry', 'elo'].map(key => {
      const rows = RATINGS.filter(r => r.judge === judge && r.protocol === protocol && isNumber(pick(r, key)[0])).sort((a, b) => pick(b, key)[0] - pick(a, key)[0]);
      if (!rows.length) return null;
      const all = rows.flatMap(r => pick(r, key)).filter(isNumber), low = Math.min(...all), high = Math.max(...all), pad = (high - low || 1) * 0.05, digits = high - low > 20 ? 0 : 2;
      return [el('h3', {}, judgeName(judge, protocol), key === 'elo' ? ', Elo' : ', Bradley\u2013Terry'), intervals(`${key} of ${judgeName(judge, protocol)}`, rows.map(r => { const [v, l, h] = pick(r, key);
        return { name: r.model, value: v, low: l, high: h, text: `${number(v, digits)}` + (isNumber(l) ? `  (${number(l, digits)} \u2013 ${number(h, digits)})` : '') }; }), low - pad, high + pad, null, x => number(x, digits))];
    })));
}

function agreementSection() {
  if (!AGREEMENT.length) return null;
  return section('agreement', 'Do the judges agree?', table('Agreement of each two judges on what both judged; kappa and alpha are 0 for what chance gives, 1 for always.', ['judges', 'on', '>both judged', '>same', '>within 1', '>kappa', '>weighted kappa', '>Spearman', '>Kendall', '>alpha'],
    AGREEMENT.map(a => [`${visible(a.a)} and ${visible(a.b)}`, visible(a.kind || ''), count(a.n), percent(a.exact), isNumber(a.within_1) ? percent(a.within_1) : '\u2013', number(a.kappa), number(a.weighted_kappa), number(a.spearman), number(a.kendall), number(a.alpha)])));
}

function flatten(value, name, out) {
  if (value && typeof value === 'object' && Object.keys(value).length && out.length < 300) for (const [key, inner] of Object.entries(value)) flatten(inner, name ? `${name}.${key}` : key, out);
  else out.push([visible(name), visible(typeof value === 'string' ? value : JSON.stringify(value))]);
  return out;
}

function settingsSection() {
  const rows = flatten(DATA.run || {}, '', []).filter(r => r[0]);
  return section('settings', 'To repeat the run', rows.length ? el('details', {}, el('summary', {}, plural(rows.length, 'setting')), table('Settings of the run', ['setting', 'value'], rows.map(r => [el('code', {}, r[0]), el('code', { class: 'long' }, r[1])]))) : el('p', {}, 'The run has no run.json.'));
}

/* What report.c found odd in the run's files. */
function oddSection() {
  const odd = list(DATA.odd);
  return odd.length ? section('odd', 'What is missing', odd.map(text => el('p', { class: 'note' }, visible(text)))) : null;
}
