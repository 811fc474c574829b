import { signal } from '@preact/signals';
import { apiKey } from './prefs';
import type { AnswerEvent } from './types';

/** False from the first call that reached nobody until the next that did. */
export const online = signal(true);
/** True when the server asks for a key: the page shows the dialog. */
export const needKey = signal(false);

export class ApiError extends Error {
  constructor(readonly status: number, message: string) { super(message); }
}

// Relative to the page, so that it works behind a proxy that puts it in a folder.
const url = (path: string) => new URL(path, document.baseURI).href;

async function ask(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (apiKey.value) headers['Authorization'] = 'Bearer ' + apiKey.value;
  // Always said, also without a body: a foreign page cannot send this type without asking first.
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url(path), {
      method, headers, signal: signal ?? null, cache: 'no-store', redirect: 'error',
      body: method === 'GET' ? null : typeof body === 'string' ? body : JSON.stringify(body ?? {}),
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    online.value = false;
    throw new ApiError(0, 'The server cannot be reached.');
  }
  // A proxy answers for a server that is gone with one of these.
  if (response.status === 502 || response.status === 504) {
    online.value = false;
    throw new ApiError(response.status, 'The server cannot be reached.');
  }
  online.value = true;
  if (response.ok) return response;
  let message = `The server answered ${response.status}.`;
  try {
    const e = (await response.json()) as { error?: { message?: string } };
    if (e.error?.message) message = e.error.message;
  } catch { /* not JSON: the number has to do */ }
  if (response.status === 401) needKey.value = true;
  throw new ApiError(response.status, message);
}

/** A body that is a string is taken as JSON already. */
export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await (await ask(method, path, body, signal)).json()) as T;
}

export async function download(path: string): Promise<{ blob: Blob; name: string | null }> {
  const response = await ask('GET', path, undefined);
  const name = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '');
  return { blob: await response.blob(), name: name?.[1] ?? null };
}

/**
 * Reads a stream of events until it ends. EventSource cannot carry a key, so this is done by hand.
 * Returns when the other side closes; throws when there is none, or when `signal` says stop.
 */
export async function events(path: string, signal: AbortSignal, on: (e: AnswerEvent) => void): Promise<void> {
  const response = await ask('GET', path, undefined, signal);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let data = '';
  let rest = '';
  for (;;) {
    let chunk;
    try {
      chunk = await reader.read();
    } catch (e) {
      if (signal.aborted) throw e;
      throw new ApiError(0, 'The connection broke.');
    }
    if (chunk.done) return;
    const lines = (rest + chunk.value).split('\n');
    rest = lines.pop()!;
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (data && data !== '[DONE]') on(JSON.parse(data) as AnswerEvent);
        data = '';
      } else if (line.startsWith('data:')) {
        data += (data ? '\n' : '') + line.slice(line[5] === ' ' ? 6 : 5);
      } // comments and other fields say nothing to us
    }
  }
}
