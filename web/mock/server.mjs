// The server's side of docs/page-api.md, with canned answers: for working on the page and for its tests. No dependencies.
//   node mock/server.mjs [--port N] [--dir dist]
// Tests steer it by POST /mock/set: {"text","piece":characters,"delay":ms,"status","key","prompt":{"tokens"},"error","reset":true}.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { textFor } from './texts.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const arg = (name, otherwise) => { const i = process.argv.indexOf(name); return i < 0 ? otherwise : process.argv[i + 1]; };
const port = Number(arg('--port', '0'));
const dir = normalize(join(here, '..', arg('--dir', 'dist')));
const extra = normalize(join(here, '..', '.harness'));

export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json', '.woff2': 'font/woff2', '.json': 'application/json', '.md': 'text/markdown; charset=utf-8' };

const models = [
  { id: 'starchat-mini', kind: 'model', context: 4096, has_chat: true, notice: 'A small model: often wrong, always fast.' },
  { id: 'starchat-lora', kind: 'adapter', context: 4096, has_chat: true, notice: '' },
  { id: 'starcoder-base', kind: 'model', context: 2048, has_chat: false, notice: '' },
];
const defaults = { temperature: 0.2, top_p: 0.95, top_k: 50, min_p: 0, repeat_penalty: 1.2, presence_penalty: 0, frequency_penalty: 0,
  max_tokens: 512, seed: null, stop: [], system: '' };

let knobs, conversations, running, nextId, log;
function reset() {
  for (const r of running?.values() ?? []) clearTimeout(r.timer);
  knobs = { piece: 6, delay: 4 };
  conversations = new Map();
  running = new Map();
  log = [];
  nextId = 1;
}
reset();

const id = (kind) => `${kind}-${nextId++}`;
const now = () => Math.floor(Date.now() / 1000);
const bytes = (s) => Buffer.byteLength(s);
const tokens = (s) => Math.ceil(bytes(s) / 4);

class Refusal extends Error { constructor(status, message) { super(message); this.status = status; } }
const lost = (what) => new Refusal(404, `There is no ${what} of this id.`);

function conversation(cid) { const c = conversations.get(cid); if (!c) throw lost('conversation'); return c; }
function answerOf(mid) {
  for (const c of conversations.values()) { const m = c.messages.find((x) => x.id === mid); if (m) return { c, m }; }
  throw lost('answer');
}
const headOf = (c, q) => {
  const head = { id: c.id, title: c.title, created: c.created, updated: c.updated, model: c.model, messages: c.messages.length };
  if (q) {
    const hit = c.messages.map((m) => m.content).find((t) => t.toLowerCase().includes(q));
    if (hit) { const at = hit.toLowerCase().indexOf(q); head.snippet = hit.slice(Math.max(0, at - 20), at + q.length + 40).replaceAll('\n', ' '); }
  }
  return head;
};
const bare = ({ messages: _, ...c }) => c;

function pathOf(c, mid) {
  const out = [];
  for (let m = c.messages.find((x) => x.id === mid); m; m = c.messages.find((x) => x.id === m.parent)) out.unshift(m);
  return out;
}

function begin(c, m, rest, prompt) {
  const r = { m, rest, listeners: new Set(), prompt: null, began: Date.now(), first: 0, tokens: 0, timer: 0 };
  running.set(m.id, r);
  const tell = (e) => { for (const f of r.listeners) f(e); };
  const finish = (status, error) => {
    if (!running.delete(m.id)) return;
    clearTimeout(r.timer);
    const seconds = (Date.now() - r.began) / 1000;
    m.status = status;
    if (error) m.error = error;
    m.stats = { prompt_tokens: tokens(prompt), cached_tokens: 0, tokens: r.tokens, seconds, first_seconds: r.first, tokens_per_second: r.tokens / Math.max(seconds, 0.001), context: 4096 };
    c.updated = now();
    tell({ done: { status, stats: m.stats, ...(error ? { error } : {}) } });
    for (const f of r.listeners) f(null);
  };
  r.finish = finish;
  const steps = knobs.prompt ? 8 : 0;
  let read = 0;
  const step = () => {
    if (read < steps) {
      r.prompt = { tokens: knobs.prompt.tokens, done: Math.round((knobs.prompt.tokens * ++read) / steps), cached: 0 };
      tell({ prompt: r.prompt });
      r.timer = setTimeout(step, 60);
      return;
    }
    if (!r.rest) { finish(knobs.status ?? (r.cut ? 'length' : 'done'), knobs.error); return; }
    r.first ||= (Date.now() - r.began) / 1000;
    const chars = [...r.rest.slice(0, knobs.piece * 2)].slice(0, knobs.piece).join('');
    const at = bytes(m.content);
    m.content += chars;
    r.rest = r.rest.slice(chars.length);
    r.tokens++;
    tell({ text: chars, at, tokens: r.tokens });
    r.timer = setTimeout(step, knobs.delay);
  };
  r.timer = setTimeout(step, knobs.delay);
  return r;
}

function startAnswer(c, body) {
  const parent = c.messages.find((m) => m.id === body.parent);
  if (!parent) throw lost('message');
  const model = body.model ?? c.model;
  if (!(knobs.models ?? models).some((x) => x.id === model)) throw new Refusal(400, `Model '${model}' is unknown.`);
  const settings = { ...defaults, ...c.settings, ...body.settings };
  const m = { id: id('a'), parent: parent.id, role: 'assistant', content: '', created: now(), model, status: 'generating', stats: {} };
  c.messages.push(m);
  c.leaf = m.id;
  let text = knobs.text ?? textFor(parent.content, model, settings.seed);
  let cut = '';
  const limit = settings.max_tokens * knobs.piece;
  if (text.length > limit) { cut = text.slice(limit); text = text.slice(0, limit); }
  const r = begin(c, m, text, pathOf(c, parent.id).map((x) => x.content).join('\n'));
  r.cut = cut;
  m.cut = cut;
  return m;
}

const wire = (m) => { const { cut: _, ...rest } = m; return rest; };

function markdownOf(c) {
  return `# ${c.title}\n\n` + pathOf(c, c.leaf).map((m) => `## ${m.role === 'user' ? 'User' : 'Assistant'}\n\n${m.content}\n`).join('\n');
}

function importOne(o) {
  const c = { id: id('c'), title: o.title ?? 'Imported', created: o.created ?? o.create_time ?? now(), updated: o.updated ?? o.update_time ?? now(),
    model: models.some((m) => m.id === o.model) ? o.model : models[0].id, system: o.system ?? '', settings: o.settings ?? {}, leaf: null, messages: [] };
  if (o.mapping) { // ChatGPT
    const names = new Map();
    for (const [key, node] of Object.entries(o.mapping)) {
      const role = node.message?.author?.role;
      const content = (node.message?.content?.parts ?? []).filter((p) => typeof p === 'string').join('\n');
      if ((role !== 'user' && role !== 'assistant') || !content) continue;
      const mid = id('m');
      names.set(key, mid);
      let p = node.parent;
      while (p && !names.has(p)) p = o.mapping[p]?.parent;
      c.messages.push({ id: mid, parent: p ? names.get(p) : null, role, content, created: c.created, model: role === 'assistant' ? 'imported' : '', status: 'done', stats: {} });
    }
    c.leaf = c.messages.at(-1)?.id ?? null;
  } else {
    const names = new Map();
    for (const m of o.messages ?? []) { const mid = id('m'); names.set(m.id, mid); c.messages.push({ ...m, id: mid, parent: names.get(m.parent) ?? null, status: m.status ?? 'done' }); }
    c.leaf = names.get(o.leaf) ?? c.messages.at(-1)?.id ?? null;
  }
  conversations.set(c.id, c);
  return c.id;
}

function importBody(body) {
  if (typeof body.markdown === 'string') {
    const title = /^# (.*)$/m.exec(body.markdown)?.[1] ?? 'Imported';
    const messages = [];
    const parts = body.markdown.split(/^## (User|Assistant)\s*$/m).slice(1);
    for (let i = 0; i < parts.length; i += 2) {
      messages.push({ id: String(i), parent: i ? String(i - 2) : null, role: parts[i].toLowerCase(), content: parts[i + 1].trim(), created: now(), model: '', status: 'done', stats: {} });
    }
    if (!messages.length) throw new Refusal(400, 'This Markdown holds no messages.');
    return [importOne({ title, messages })];
  }
  const list = Array.isArray(body) ? body : body.conversations ?? (body.messages || body.mapping ? [body] : null);
  if (!list) throw new Refusal(400, 'This file is no export of chats.');
  return list.map(importOne);
}

function stream(req, res, mid, from) {
  const { m } = answerOf(mid);
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'Content-Security-Policy': CSP });
  const put = (e) => { if (e === null) res.end(); else res.write(`data: ${JSON.stringify(e)}\n\n`); };
  res.write(': hello\n\n');
  const all = Buffer.from(m.content);
  if (from < all.length) put({ text: all.subarray(from).toString(), at: from });
  const r = running.get(mid);
  if (!r) { put({ done: { status: m.status, stats: m.stats, ...(m.error ? { error: m.error } : {}) } }); res.end(); return; }
  if (r.prompt && !m.content) put({ prompt: r.prompt });
  r.listeners.add(put);
  res.on('close', () => r.listeners.delete(put));
}

const routes = [
  ['GET', /^\/ui\/info$/, () => ({ version: 'mock', models: knobs.models ?? models, defaults, limits: { body_bytes: knobs.bodyBytes ?? 8 << 20 }, filter: Boolean(knobs.filter) })],
  ['GET', /^\/ui\/conversations$/, (_, __, q) => {
    const text = (q.get('q') ?? '').toLowerCase(), limit = Number(q.get('limit') ?? 50), before = Number(q.get('before') ?? Infinity);
    const all = [...conversations.values()].filter((c) => c.updated < before && (!text || c.title.toLowerCase().includes(text) || c.messages.some((m) => m.content.toLowerCase().includes(text))))
      .sort((a, b) => b.updated - a.updated || Number(b.id.slice(2)) - Number(a.id.slice(2)));
    return { conversations: all.slice(0, limit).map((c) => headOf(c, text)), more: all.length > limit };
  }],
  ['POST', /^\/ui\/conversations$/, (_, body) => {
    const c = { id: id('c'), title: body.title ?? '', created: now(), updated: now(), model: body.model || models[0].id, system: body.system ?? '', settings: body.settings ?? {}, leaf: null, messages: [] };
    conversations.set(c.id, c);
    return c;
  }],
  ['GET', /^\/ui\/conversations\/([^/]+)$/, (a) => { const c = conversation(a[1]); return { ...c, messages: c.messages.map(wire) }; }],
  ['PATCH', /^\/ui\/conversations\/([^/]+)$/, (a, body) => {
    const c = conversation(a[1]);
    for (const k of ['title', 'model', 'system', 'settings', 'leaf']) if (k in body) c[k] = body[k];
    return bare(c);
  }],
  ['DELETE', /^\/ui\/conversations\/([^/]+)$/, (a) => { conversation(a[1]); conversations.delete(a[1]); return { deleted: true }; }],
  ['POST', /^\/ui\/conversations\/([^/]+)\/messages$/, (a, body) => {
    const c = conversation(a[1]);
    const m = { id: id('m'), parent: body.parent ?? null, role: 'user', content: body.content, created: now(), model: '', status: 'done', stats: {} };
    if (!c.messages.length && !c.title) c.title = body.content.split('\n').find((l) => l.trim())?.trim().slice(0, 80) ?? '';
    c.messages.push(m);
    c.leaf = m.id;
    c.updated = now();
    return m;
  }],
  ['POST', /^\/ui\/conversations\/([^/]+)\/answers$/, (a, body) => [202, wire(startAnswer(conversation(a[1]), body))]],
  ['POST', /^\/ui\/answers\/([^/]+)\/continue$/, (a) => {
    const { c, m } = answerOf(a[1]);
    if (m.status === 'generating') throw new Refusal(409, 'This answer is being written already.');
    const rest = m.cut || ' …and goes on.\n';
    m.cut = '';
    m.status = 'generating';
    begin(c, m, rest, m.content);
    return wire(m);
  }],
  ['POST', /^\/ui\/answers\/([^/]+)\/stop$/, (a) => {
    const { m } = answerOf(a[1]);
    const r = running.get(m.id);
    if (r) { m.cut = r.rest + (r.cut ?? ''); r.finish('stopped'); }
    return { stopped: true };
  }],
  ['POST', /^\/ui\/count$/, (_, body) => {
    const c = body.conversation ? conversation(body.conversation) : null;
    const before = c ? pathOf(c, body.parent).map((m) => m.content).join('') : '';
    return { tokens: tokens(before + (body.system ?? c?.system ?? '') + body.content) + 8, context: models.find((m) => m.id === body.model)?.context ?? 4096 };
  }],
  ['GET', /^\/ui\/conversations\/([^/]+)\/export$/, (a, _, q) => {
    const c = conversation(a[1]);
    return q.get('format') === 'markdown' ? markdownOf(c) : { format: 'starchat', version: 1, conversations: [{ ...c, messages: c.messages.map(wire) }] };
  }],
  ['GET', /^\/ui\/export$/, () => ({ format: 'starchat', version: 1, conversations: [...conversations.values()].map((c) => ({ ...c, messages: c.messages.map(wire) })) })],
  ['POST', /^\/ui\/import$/, (_, body) => { const ids = importBody(body); return { imported: ids.length, skipped: 0, ids }; }],
];

async function bodyOf(req) {
  const parts = [];
  for await (const p of req) parts.push(p);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
}

async function file(res, path) {
  const clean = normalize(path === '/' ? '/index.html' : path);
  const full = clean.startsWith('/harness/') ? join(extra, clean.slice('/harness/'.length)) : join(dir, clean);
  if (clean.includes('..')) throw lost('file');
  let data;
  try { data = await readFile(full); } catch { throw lost('file'); }
  res.writeHead(200, { 'Content-Type': TYPES[extname(full)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-cache' });
  res.end(data);
}

export const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const json = (status, body) => {
    res.writeHead(status, { 'Content-Type': typeof body === 'string' ? 'text/markdown; charset=utf-8' : 'application/json', 'Content-Security-Policy': CSP, 'Cache-Control': 'no-store' });
    res.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  try {
    if (url.pathname === '/mock/set') {
      const body = await bodyOf(req);
      if (body.reset) reset();
      Object.assign(knobs, body);
      json(200, {});
      return;
    }
    if (url.pathname === '/mock/log') { json(200, log); return; }
    if (!url.pathname.startsWith('/ui/')) { await file(res, url.pathname); return; }
    if (knobs.down) { req.socket.destroy(); return; }
    if (knobs.key && req.headers.authorization !== `Bearer ${knobs.key}`) throw new Refusal(401, 'A key is needed: Authorization: Bearer KEY.');
    const events = /^\/ui\/answers\/([^/]+)\/events$/.exec(url.pathname);
    if (events && req.method === 'GET') { stream(req, res, events[1], Number(url.searchParams.get('from') ?? 0)); return; }
    if (req.method !== 'GET' && req.headers['content-type'] !== 'application/json') throw new Refusal(415, 'The body has to be JSON.');
    const body = req.method === 'GET' ? {} : await bodyOf(req);
    if (req.method !== 'GET') log.push({ method: req.method, path: url.pathname, body });
    for (const [method, pattern, run] of routes) {
      const a = method === req.method ? pattern.exec(url.pathname) : null;
      if (!a) continue;
      const out = run(a.map((x) => decodeURIComponent(x)), body, url.searchParams);
      if (Array.isArray(out)) json(out[0], out[1]); else json(200, out);
      return;
    }
    throw new Refusal(404, 'There is nothing here.');
  } catch (e) {
    if (!res.headersSent) json(e.status ?? 500, { error: { message: e.message, type: 'invalid_request_error', param: null, code: null } });
    else res.end();
  }
});

server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
