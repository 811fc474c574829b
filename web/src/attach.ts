import { toast } from './notices';
import type { Attachment } from './prefs';
import { info } from './state';

// Text files beside a message. They are put into it as blocks of code that carry the file's name.

export const LONG_PASTE = 2000;

const LANGS: Record<string, string> = {
  py: 'python', js: 'javascript', mjs: 'javascript', ts: 'typescript', tsx: 'tsx', jsx: 'jsx', c: 'c', h: 'c', cc: 'cpp', cpp: 'cpp', hpp: 'cpp',
  rs: 'rust', go: 'go', java: 'java', kt: 'kotlin', rb: 'ruby', php: 'php', sh: 'bash', bash: 'bash', sql: 'sql', json: 'json', yml: 'yaml',
  yaml: 'yaml', toml: 'toml', ini: 'ini', xml: 'xml', html: 'html', css: 'css', md: 'markdown', tex: 'latex', r: 'r', lua: 'lua', pl: 'perl',
  cs: 'csharp', swift: 'swift', diff: 'diff', patch: 'diff', csv: 'csv', f90: 'fortran', m: 'matlab', jl: 'julia', hs: 'haskell',
};

function fenced(a: Attachment): string {
  // Longer than any run in the text, so that the text cannot end it.
  const longest = Math.max(2, ...(a.text.match(/`+/g) ?? []).map((r) => r.length));
  const marks = '`'.repeat(longest + 1);
  const name = a.name.replace(/[\s`\u0000-\u001f]+/g, ' ').trim();
  const lang = LANGS[/\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? ''] ?? 'text';
  return `${marks}${lang} ${name}\n${a.text}${a.text.endsWith('\n') ? '' : '\n'}${marks}`;
}

/** The message as it is sent: what was typed first, for it gives the title. */
export function compose(text: string, files: Attachment[]): string {
  return [text.trim(), ...files.map(fenced)].filter(Boolean).join('\n\n');
}

export type Piece = { kind: 'text'; text: string } | { kind: 'code'; info: string; text: string };

/** A message of a person: text as typed, blocks of code as blocks. Everything else stays as it is: people type code as it comes. */
export function pieces(content: string): Piece[] {
  const out: Piece[] = [];
  const lines = content.split('\n');
  let text: string[] = [];
  const put = () => {
    const t = text.join('\n').replace(/^\n+|\s+$/g, '');
    if (t) out.push({ kind: 'text', text: t });
    text = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const open = /^(`{3,}|~{3,})([^`]*)$/.exec(lines[i]!);
    if (!open) { text.push(lines[i]!); continue; }
    const marks = open[1]!;
    const end = lines.findIndex((l, j) => j > i && l.startsWith(marks) && /^[`~]+\s*$/.test(l) && l[0] === marks[0]);
    if (end < 0) { text.push(lines[i]!); continue; }
    put();
    out.push({ kind: 'code', info: open[2]!.trim(), text: lines.slice(i + 1, end).join('\n') + '\n' });
    i = end;
  }
  put();
  return out;
}

export async function readFiles(files: Iterable<File>): Promise<Attachment[]> {
  const limit = (info.value?.limits.body_bytes || 8 << 20) / 2;
  const out: Attachment[] = [];
  for (const file of files) {
    if (file.size > limit) { toast(`${file.name} is too large (${bytes(file.size)}, at most ${bytes(limit)}).`); continue; }
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
      if (text.includes('\0')) throw new Error('binary');
      out.push({ name: file.name, text: text.replace(/\r\n?/g, '\n') });
    } catch {
      toast(`${file.name} is not a text file (UTF-8).`);
    }
  }
  return out;
}

export function bytes(n: number): string {
  return n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}
