import { ApiError, call, needKey, online } from './api';
import { follow, lives, unfollowAll } from './live';
import { fail, say, toast } from './notices';
import { newChat, pairs, saveDraft, type Pair } from './prefs';
import * as s from './state';
import { deepest, siblings } from './tree';
import type { Conversation, ConversationHead, Info, Message, Settings } from './types';

// What a person can do. Each function talks to the server first and changes the page with what it answered.

const PAGE = 40;

// --- start -----------------------------------------------------------------------------------------------------------

/** Asks for everything anew: at the start, with a new key, when the server is back. */
export async function boot(): Promise<void> {
  try {
    s.info.value = await call<Info>('GET', 'ui/info');
    needKey.value = false;
    if (!s.conv.value) s.startFresh();
    await Promise.all([loadList(), s.conv.value ? refresh(s.conv.value.id) : route()]);
  } catch (e) {
    if (!(e instanceof ApiError && (e.status === 401 || !online.value))) fail(e);
  }
}

export function idInAddress(): string | null {
  const m = /^#\/c\/([^/?#]+)$/.exec(location.hash);
  try { return m ? decodeURIComponent(m[1]!) : null; } catch { return null; }
}

/** Shows what the address says. */
export async function route(): Promise<void> {
  const id = idInAddress();
  if (id === (s.conv.value?.id ?? null)) return;
  if (id === null) { newConversation(); return; }
  await open(id);
}

// --- the list --------------------------------------------------------------------------------------------------------

let listCall: AbortController | null = null;

export async function loadList(more = false): Promise<void> {
  listCall?.abort();
  listCall = new AbortController();
  const mine = listCall;
  s.listLoading.value = true;
  try {
    const q = s.query.value.trim();
    const old = more ? s.list.value : [];
    const last = old[old.length - 1];
    // Several can have the same second; asking from the next one brings them again, and those we have are left out.
    for (const slack of last ? [1, 0] : [0]) {
      let address = `ui/conversations?limit=${more ? PAGE : Math.max(PAGE, Math.min(s.list.value.length, 200))}`;
      if (q) address += `&q=${encodeURIComponent(q)}`;
      if (last) address += `&before=${last.updated + slack}`;
      const got = await call<{ conversations: ConversationHead[]; more: boolean }>('GET', address, undefined, mine.signal);
      const have = new Set(old.map((c) => c.id));
      const added = got.conversations.filter((c) => !have.has(c.id));
      s.list.value = [...old, ...added];
      s.listMore.value = got.more;
      if (added.length || !got.more) break;
    }
  } catch (e) {
    if (!mine.signal.aborted) throw e;
  } finally {
    if (listCall === mine) s.listLoading.value = false;
  }
}

export function reloadList(): void { loadList().catch(quiet); }

/** Of what goes on behind the person's back only what the banner does not say anyway. */
function quiet(e: unknown): void {
  if (online.value && !needKey.value) fail(e);
}

export async function rename(id: string, title: string): Promise<void> {
  const wanted = title.trim();
  if (!wanted) return;
  await call('PATCH', `ui/conversations/${id}`, { title: wanted });
  s.list.value = s.list.value.map((c) => (c.id === id ? { ...c, title: wanted } : c));
  if (s.conv.value?.id === id) s.conv.value = { ...s.conv.value, title: wanted };
}

export async function remove(id: string): Promise<void> {
  const head = s.list.value.find((c) => c.id === id);
  if (!(await s.ask('Delete this chat?', `“${head?.title || 'Untitled'}” and all its branches will be deleted. This cannot be undone.`, 'Delete'))) return;
  await call('DELETE', `ui/conversations/${id}`);
  s.list.value = s.list.value.filter((c) => c.id !== id);
  saveDraft(id, { text: '', files: [] });
  forgetPair(id);
  if (s.conv.value?.id === id) newConversation();
  say('Chat deleted');
}

// --- opening ---------------------------------------------------------------------------------------------------------

export function newConversation(): void {
  unfollowAll();
  s.opening.value = null;
  s.conv.value = null;
  s.comparing.value = false;
  s.startFresh();
  s.drawer.value = false;
  if (location.hash && location.hash !== '#/') location.hash = '#/';
}

export async function open(id: string): Promise<void> {
  s.opening.value = id;
  s.drawer.value = false;
  unfollowAll();
  if (s.conv.value?.id !== id) s.conv.value = null;
  try {
    const c = await call<Conversation>('GET', `ui/conversations/${encodeURIComponent(id)}`);
    if (s.opening.value !== id) return; // somebody clicked on
    s.opening.value = null;
    show(c);
  } catch (e) {
    if (s.opening.value !== id) return;
    if (e instanceof ApiError && e.status === 404) {
      s.opening.value = null;
      toast('This chat does not exist any more.');
      newConversation();
    } else if (online.value && !needKey.value) {
      fail(e);
      newConversation();
    } // else it is opened when the server is back, or has its key
  }
}

function show(c: Conversation): void {
  s.conv.value = { ...c, settings: c.settings ?? {}, system: c.system ?? '' };
  const pair = pairs.value[c.id];
  s.comparing.value = Boolean(pair);
  if (pair) s.second.value = c.messages.find((m) => m.id === pair.right)?.model ?? s.second.value;
  for (const m of c.messages) if (m.status === 'generating') follow(m);
  const hash = '#/c/' + encodeURIComponent(c.id);
  if (location.hash !== hash) location.hash = hash;
}

/** The same conversation again, without losing what is being written into the page. */
async function refresh(id: string): Promise<void> {
  const c = await call<Conversation>('GET', `ui/conversations/${encodeURIComponent(id)}`);
  if (s.conv.value?.id !== id) return;
  const messages = c.messages.map((m) => (lives.has(m.id) ? s.tree.value.byId.get(m.id) ?? m : m));
  s.conv.value = { ...c, messages, settings: c.settings ?? {}, system: c.system ?? '' };
  for (const m of messages) if (m.status === 'generating') follow(m);
}

let lookedAt = Date.now();

/** Back at this page: the same chats may have been used elsewhere, in the terminal or on the phone. */
export function lookAgain(): void {
  if (document.visibilityState !== 'visible' || Date.now() - lookedAt < 5000 || !s.info.value || !online.value || needKey.value) return;
  lookedAt = Date.now();
  flushChange();
  reloadList();
  const c = s.conv.value;
  if (c && !s.sending.value) refresh(c.id).catch(quiet);
}

// --- talking ---------------------------------------------------------------------------------------------------------

async function ensure(): Promise<Conversation> {
  const have = s.conv.value;
  if (have) return have;
  const c = await call<Conversation>('POST', 'ui/conversations', {
    model: s.model.value?.id ?? '', system: s.fresh.value.system, settings: s.fresh.value.settings,
  });
  const full: Conversation = { ...c, leaf: c.leaf ?? null, messages: c.messages ?? [], settings: c.settings ?? {}, system: c.system ?? '' };
  s.conv.value = full;
  location.hash = '#/c/' + encodeURIComponent(full.id);
  return full;
}

function setLeaf(id: string | null): void {
  if (s.conv.value) s.conv.value = { ...s.conv.value, leaf: id };
}

/** Sends `content` below `parent`; gives the chat's id when the server has it. The answers may still fail, and say so in their place. */
async function post(parent: string | null, content: string): Promise<string | null> {
  if (s.sending.value) return null;
  s.sending.value = true;
  try {
    const c = await ensure();
    const m = await call<Message>('POST', `ui/conversations/${c.id}/messages`, { parent, content });
    if (s.conv.value?.id !== c.id) return c.id;
    s.putMessage({ ...m, status: m.status ?? 'done' });
    setLeaf(m.id);
    if (!s.conv.value.title || c.messages.length === 0) {
      s.conv.value = { ...s.conv.value, title: content.split('\n').find((l) => l.trim())?.trim().slice(0, 80) ?? '' };
    }
    try { await answer(m.id, false); } catch (e) { quiet(e); }
    reloadList();
    return c.id;
  } finally {
    s.sending.value = false;
  }
}

export function send(content: string): Promise<string | null> { return post(s.leaf.value, content); }
export function edit(m: Message, content: string): Promise<string | null> { return post(m.parent, content); }

async function start(parent: string, model: string, settings: Settings): Promise<Message> {
  const id = s.conv.value!.id;
  const m = await call<Message>('POST', `ui/conversations/${id}/answers`, { parent, model, settings });
  if (s.conv.value?.id === id) {
    s.putMessage(m);
    follow(m);
  }
  return m;
}

/** An answer below a message of the person; two when comparing. `anew`: another one than the last, so with another seed. */
async function answer(parent: string, anew: boolean): Promise<void> {
  const c = s.conv.value!;
  const settings = anew ? { ...c.settings, seed: null } : c.settings;
  const first = s.model.value?.id ?? '';
  const a = await start(parent, first, settings);
  if (s.conv.value?.id !== c.id) return;
  if (s.comparing.value) {
    const b = await start(parent, s.second.value || first, settings);
    setPair({ parent, left: a.id, right: b.id });
  } else forgetPair(c.id);
  setLeaf(a.id);
  say(s.comparing.value ? 'Two answers are being written' : 'Answer is being written');
}

export async function regenerate(parent: string): Promise<void> {
  if (s.sending.value) return;
  s.sending.value = true;
  try { await answer(parent, true); } finally { s.sending.value = false; }
}

export async function goOn(m: Message): Promise<void> {
  const back = await call<Message>('POST', `ui/answers/${m.id}/continue`, { settings: s.settings.value });
  const now = { ...m, ...back, status: 'generating' as const, error: undefined };
  if (!now.content) now.content = m.content;
  s.putMessage(now);
  follow(now);
  say('Answer goes on');
}

export async function stop(): Promise<void> {
  await Promise.all(s.generating.value.map((id) => call('POST', `ui/answers/${id}/stop`)));
}

// --- branches and comparing ------------------------------------------------------------------------------------------

export async function look(id: string): Promise<void> {
  const c = s.conv.value;
  if (!c) return;
  const end = deepest(s.tree.value, id)!;
  setLeaf(end);
  await call('PATCH', `ui/conversations/${c.id}`, { leaf: end });
}

export async function turn(m: Message, by: number): Promise<void> {
  const all = siblings(s.tree.value, m);
  const next = all[all.findIndex((x) => x.id === m.id) + by];
  if (next) { forgetPair(s.conv.value!.id); await look(next.id); }
}

function setPair(p: Pair): void { pairs.value = { ...pairs.value, [s.conv.value!.id]: p }; }

export function forgetPair(id: string): void {
  if (!(id in pairs.value)) return;
  const { [id]: _, ...rest } = pairs.value;
  pairs.value = rest;
}

/** Two answers that are there already, beside each other. */
export function sideBySide(m: Message): void {
  const all = siblings(s.tree.value, m);
  const at = all.findIndex((x) => x.id === m.id);
  const other = all[at - 1] ?? all[at + 1];
  if (!other || m.parent === null) return;
  const [left, right] = at > 0 ? [other, m] : [m, other];
  setPair({ parent: m.parent, left: left.id, right: right.id });
}

export async function keep(m: Message): Promise<void> {
  forgetPair(s.conv.value!.id);
  s.comparing.value = false;
  await look(m.id);
  say('Kept this answer');
}

export function toggleCompare(): void {
  s.comparing.value = !s.comparing.value;
  if (!s.comparing.value) { if (s.conv.value) forgetPair(s.conv.value.id); return; }
  const models = s.info.value?.models ?? [];
  if (!models.some((m) => m.id === s.second.value)) {
    s.second.value = (models.find((m) => m.id !== s.model.value?.id) ?? models[0])?.id ?? '';
  }
}

// --- what belongs to the conversation --------------------------------------------------------------------------------

type Change = Partial<Pick<Conversation, 'model' | 'system' | 'settings'>>;
let unsaved: { id: string; change: Change } | null = null;
let timer = 0;

/** Shown at once, written a moment later: a slider moves in many steps. */
export function change(what: Change): void {
  const c = s.conv.value;
  if (!c) {
    s.fresh.value = { ...s.fresh.value, ...what };
    if (what.model) newChat.value = { ...newChat.value, model: what.model };
    return;
  }
  s.conv.value = { ...c, ...what };
  if (unsaved && unsaved.id !== c.id) flushChange();
  unsaved = { id: c.id, change: { ...unsaved?.change, ...what } };
  clearTimeout(timer);
  timer = window.setTimeout(flushChange, 400);
}

export function flushChange(): void {
  clearTimeout(timer);
  const u = unsaved;
  unsaved = null;
  if (u) call('PATCH', `ui/conversations/${u.id}`, u.change).catch(fail);
}
