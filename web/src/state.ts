import { computed, signal } from '@preact/signals';
import { apiKey, newChat } from './prefs';
import { deepest, pathTo, treeOf } from './tree';
import type { Conversation, ConversationHead, Info, Message, Settings } from './types';

// Everything the page shows, as signals. Only actions.ts and live.ts write here.

export const info = signal<Info | null>(null);

export const list = signal<ConversationHead[]>([]);
export const listMore = signal(false);
export const listLoading = signal(false);
export const query = signal('');

export const conv = signal<Conversation | null>(null);
/** What is being opened, before it is there. */
export const opening = signal<string | null>(null);
/** Settings of a chat that does not exist yet. */
export const fresh = signal<{ model: string; system: string; settings: Settings }>({ model: '', system: '', settings: {} });

export const tree = computed(() => treeOf(conv.value?.messages ?? []));
export const leaf = computed(() => {
  const c = conv.value;
  if (!c) return null;
  const known = c.leaf !== null && tree.value.byId.has(c.leaf) ? c.leaf : null;
  return deepest(tree.value, known);
});
export const path = computed(() => pathTo(tree.value, leaf.value));

export const model = computed(() => {
  const wanted = conv.value?.model || fresh.value.model;
  const models = info.value?.models ?? [];
  return models.find((m) => m.id === wanted) ?? models[0] ?? null;
});
export const system = computed(() => conv.value?.system ?? fresh.value.system);
export const settings = computed<Settings>(() => conv.value?.settings ?? fresh.value.settings);

/** Two models at once. */
export const comparing = signal(false);
export const second = signal('');

/** Ids of the answers of this conversation that are being written. */
export const generating = computed(() => (conv.value?.messages ?? []).filter((m) => m.status === 'generating').map((m) => m.id));
/** Between Enter and the server's word. */
export const sending = signal(false);

export const drawer = signal(false);
export type DialogName = 'settings' | 'shortcuts' | 'key' | null;
export const dialog = signal<DialogName>(null);
export interface Question { title: string; text: string; yes: string; resolve: (ok: boolean) => void }
export const question = signal<Question | null>(null);

/** The playground's, where the server names none. */
const PLAYGROUND: Required<Settings> = {
  temperature: 0.2, top_p: 0.95, top_k: 50, min_p: 0, repeat_penalty: 1.2, presence_penalty: 0, frequency_penalty: 0,
  max_tokens: 512, seed: null, stop: [],
};

export const defaults = computed<Required<Settings>>(() => {
  const d: Record<string, unknown> = { ...PLAYGROUND };
  for (const [k, v] of Object.entries(info.value?.defaults ?? {})) if (k in PLAYGROUND && v !== undefined && v !== null) d[k] = v;
  return d as unknown as Required<Settings>;
});

export function startFresh(): void {
  const kept = newChat.value;
  fresh.value = { model: kept.model ?? fresh.value.model, system: kept.system ?? info.value?.defaults.system ?? '', settings: { ...(kept.settings ?? {}) } };
}

/** Changes one message, or adds it. */
export function putMessage(m: Message): void {
  const c = conv.value;
  if (!c) return;
  const at = c.messages.findIndex((x) => x.id === m.id);
  const messages = at < 0 ? [...c.messages, m] : c.messages.map((x) => (x.id === m.id ? m : x));
  conv.value = { ...c, messages };
}

export function ask(title: string, text: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => { question.value = { title, text, yes, resolve }; });
}

export { apiKey };
