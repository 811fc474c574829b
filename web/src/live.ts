import { signal, type Signal } from '@preact/signals';
import { ApiError, events, online } from './api';
import { conv, putMessage } from './state';
import { say } from './notices';
import type { AnswerEvent, Message, PromptProgress } from './types';

// Answers that are being written. Their text grows here, outside of the message, so that a piece costs what the piece is long;
// the message gets it when it is complete. A connection that breaks is taken up where it broke: the server goes on without us.

const utf8 = new TextEncoder();

export class Live {
  readonly prompt: Signal<PromptProgress | null> = signal(null);
  readonly speed: Signal<number | null> = signal(null);
  text: string;
  bytes: number;
  private listeners = new Set<(piece: string) => void>();
  private readonly stop = new AbortController();
  private firstAt = 0;
  private firstTokens = 0;

  constructor(readonly id: string, start: string) {
    this.text = start;
    this.bytes = utf8.encode(start).length;
  }

  listen(f: (piece: string) => void): () => void {
    this.listeners.add(f);
    return () => { this.listeners.delete(f); };
  }

  close(): void { this.stop.abort(); }

  async run(): Promise<void> {
    for (let wait = 500; !this.stop.signal.aborted; wait = Math.min(wait * 2, 8000)) {
      let ended = false;
      const had = this.bytes;
      try {
        await events(`ui/answers/${this.id}/events?from=${this.bytes}`, this.stop.signal, (e) => { if (this.take(e)) ended = true; });
        if (ended) return;
      } catch (e) {
        if (this.stop.signal.aborted) return;
        if (e instanceof ApiError && e.status >= 400 && e.status < 500 && e.status !== 408 && e.status !== 429) {
          this.end({ status: 'error', error: e.message });
          return;
        }
      }
      if (this.bytes > had) wait = 500;
      await pause(wait, this.stop.signal);
    }
  }

  /** True at the last event. */
  private take(e: AnswerEvent): boolean {
    if (e.prompt) this.prompt.value = e.prompt;
    if (e.text) {
      let piece = e.text;
      const at = e.at ?? this.bytes;
      if (at < this.bytes) {
        // Sent again after a reconnection: what we have is cut off, by bytes as the server counts.
        const all = utf8.encode(piece);
        if (at + all.length <= this.bytes) return false;
        piece = new TextDecoder().decode(all.slice(this.bytes - at));
      }
      this.bytes += utf8.encode(piece).length;
      this.text += piece;
      this.prompt.value = null;
      if (e.tokens !== undefined) {
        const now = performance.now();
        if (!this.firstAt) { this.firstAt = now; this.firstTokens = e.tokens; }
        else if (now - this.firstAt > 300) this.speed.value = ((e.tokens - this.firstTokens) * 1000) / (now - this.firstAt);
      }
      for (const f of this.listeners) f(piece);
    }
    if (e.done) { this.end(e.done); return true; }
    return false;
  }

  private end(done: NonNullable<AnswerEvent['done']>): void {
    lives.delete(this.id);
    const m = conv.value?.messages.find((x) => x.id === this.id);
    if (!m) return;
    putMessage({ ...m, content: this.text, status: done.status, stats: done.stats ?? m.stats, error: done.error });
    say({ done: 'Answer complete', stopped: 'Answer stopped', length: 'Answer cut at the token limit', error: 'Answer failed',
      filtered: 'Answer withheld by the filter', generating: '' }[done.status] ?? 'Answer ended');
    ended.value++;
  }
}

export const lives = new Map<string, Live>();
/** Counts answers that came to their end: who shows the list or the context meter looks again. */
export const ended = signal(0);

export function follow(m: Message): void {
  if (lives.has(m.id)) return;
  const live = new Live(m.id, m.content);
  lives.set(m.id, live);
  void live.run();
}

export function unfollowAll(): void {
  for (const live of lives.values()) live.close();
  lives.clear();
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => { clearTimeout(timer); unsubscribe(); stop.removeEventListener('abort', done); resolve(); };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done);
    let was = online.peek();
    // Back before the time is over: go on at once.
    const unsubscribe = online.subscribe((now) => { if (now && !was) queueMicrotask(done); was = now; });
  });
}
