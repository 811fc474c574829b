import { call, download } from './api';
import { loadList } from './actions';
import { say, toast } from './notices';
import { info } from './state';

// In and out: exports are saved as files, imports are cut into bodies that the server takes.

function save(blob: Blob, name: string): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name;
  document.body.appendChild(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}

function fileName(title: string, ending: string): string {
  return (title.replace(/[^\p{L}\p{N} _.-]+/gu, ' ').replace(/\s+/g, ' ').trim().replace(/^\.+/, '').slice(0, 60) || 'chat') + ending;
}

export async function exportOne(id: string, title: string, format: 'json' | 'markdown'): Promise<void> {
  const { blob } = await download(`ui/conversations/${encodeURIComponent(id)}/export?format=${format}`);
  save(blob, fileName(title, format === 'json' ? '.json' : '.md'));
}

export async function exportAll(): Promise<void> {
  const { blob } = await download('ui/export');
  save(blob, `starchat-${new Date().toISOString().slice(0, 10)}.json`);
}

const utf8 = new TextEncoder();
const size = (text: string) => utf8.encode(text).length;

/** One file as one or more bodies, each below `limit` bytes. */
export function bodies(name: string, text: string, limit: number): string[] {
  if (/\.(md|markdown|txt)$/i.test(name)) return [JSON.stringify({ markdown: text })];
  if (size(text) <= limit) { JSON.parse(text); return [text]; }
  // ChatGPT's export is a list, ours has one: it is sent in parts.
  const whole = JSON.parse(text) as unknown;
  const wrapped = !Array.isArray(whole) && Array.isArray((whole as { conversations?: unknown[] }).conversations);
  const items = Array.isArray(whole) ? whole : wrapped ? (whole as { conversations: unknown[] }).conversations : null;
  if (!items) return [text];
  const wrap = (list: string[]) => wrapped
    ? JSON.stringify({ ...(whole as object), conversations: [] }).replace('"conversations":[]', () => `"conversations":[${list.join(',')}]`)
    : `[${list.join(',')}]`;
  const out: string[] = [];
  let part: string[] = [];
  let bytes = 1000;
  for (const item of items) {
    const one = JSON.stringify(item);
    const n = size(one) + 1;
    if (part.length && bytes + n > limit) { out.push(wrap(part)); part = []; bytes = 1000; }
    part.push(one);
    bytes += n;
  }
  if (part.length) out.push(wrap(part));
  return out;
}

export async function importFiles(files: Iterable<File>): Promise<void> {
  let imported = 0, skipped = 0;
  const limit = info.value?.limits.body_bytes || 8 << 20;
  for (const file of files) {
    let parts: string[];
    try {
      parts = bodies(file.name, await file.text(), limit);
    } catch {
      toast(`${file.name} is neither JSON nor Markdown.`);
      continue;
    }
    for (const part of parts) {
      try {
        const r = await call<{ imported: number; skipped: number }>('POST', 'ui/import', part);
        imported += r.imported;
        skipped += r.skipped;
      } catch (e) {
        toast(`${file.name}: ${e instanceof Error ? e.message : String(e)}`);
      }
    }
  }
  if (imported || skipped) {
    const text = `Imported ${imported} chat${imported === 1 ? '' : 's'}${skipped ? `, skipped ${skipped}` : ''}.`;
    toast(text);
    say(text);
    await loadList();
  }
}
