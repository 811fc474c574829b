import { signal } from '@preact/signals';

// Short messages: spoken ones for screen readers (few: the start and the end of an answer, not its words), and shown ones.

export const spoken = signal('');
export function say(text: string): void {
  // The same text twice would not be read twice.
  spoken.value = spoken.value === text ? text + '\u00a0' : text;
}

export interface Toast { id: number; text: string }
export const toasts = signal<Toast[]>([]);
let nextId = 1;

export function toast(text: string): void {
  const id = nextId++;
  toasts.value = [...toasts.value.slice(-3), { id, text }];
  setTimeout(() => dismiss(id), 8000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((t) => t.id !== id);
}

export function fail(e: unknown): void {
  if (e instanceof DOMException && e.name === 'AbortError') return;
  // The banner says already that nobody is there.
  if (e instanceof Error && 'status' in e && e.status === 0) return;
  toast(e instanceof Error ? e.message : String(e));
}
