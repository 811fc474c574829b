import { effect, signal } from '@preact/signals';
import type { Settings } from './types';

// What belongs to this browser and not to the conversation: look, keys, drafts. A browser that forbids storage loses nothing
// but memory, so every access may fail silently.

const PREFIX = 'starchat.';

export function recall<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** Returns false if it could not be kept (no storage, or full). */
export function remember(name: string, value: unknown): boolean {
  try {
    if (value === undefined || value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function kept<T>(name: string, otherwise: T) {
  const s = signal<T>(recall(name, otherwise));
  effect(() => { remember(name, s.value); });
  return s;
}

export type Theme = 'system' | 'light' | 'dark';

export const theme = kept<Theme>('theme', 'system');
export const enterSends = kept('enterSends', true);
export const apiKey = kept('apiKey', '');
export const sidebarOpen = kept('sidebar', true);
/** What a new chat starts with; empty: the server's defaults. */
export const newChat = kept<{ model?: string; system?: string; settings?: Settings }>('newChat', {});

/** The two answers shown side by side, by conversation. */
export interface Pair { parent: string; left: string; right: string }
export const pairs = kept<Record<string, Pair>>('pairs', {});

const dark = matchMedia('(prefers-color-scheme: dark)');
function applyTheme(): void {
  const isDark = theme.value === 'dark' || (theme.value === 'system' && dark.matches);
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
}
effect(applyTheme);
dark.addEventListener('change', applyTheme);

export interface Attachment { name: string; text: string }
export interface Draft { text: string; files: Attachment[] }

export function loadDraft(id: string | null): Draft {
  const d = recall<Partial<Draft>>('draft.' + (id ?? 'new'), {});
  return { text: d.text ?? '', files: d.files ?? [] };
}

export function saveDraft(id: string | null, d: Draft): void {
  const name = 'draft.' + (id ?? 'new');
  if (!d.text && !d.files.length) remember(name, null);
  // Attachments can be larger than what a browser keeps; then the typed text is still kept.
  else if (!remember(name, d)) remember(name, { text: d.text, files: [] });
}
