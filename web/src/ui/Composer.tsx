import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import * as actions from '../actions';
import { call, online } from '../api';
import { bytes, compose, LONG_PASTE, readFiles } from '../attach';
import { ended } from '../live';
import { fail, say } from '../notices';
import { enterSends, loadDraft, saveDraft, type Attachment, type Draft } from '../prefs';
import { comparing, conv, generating, info, leaf, model, sending, settings, system } from '../state';
import type { Count } from '../types';
import { Icon } from './icons';
import { followBottom } from './Thread';
import { focusPrompt } from './shortcuts';

const draft = signal<Draft>({ text: '', files: [] });

/** An example into the box: the person may change it before it is sent. */
export function putPrompt(text: string): void {
  draft.value = { ...draft.value, text };
  requestAnimationFrame(focusPrompt);
}

function add(files: Attachment[]): void {
  if (!files.length) return;
  const names = new Set(draft.value.files.map((f) => f.name));
  const fresh = files.map((f) => {
    let name = f.name;
    for (let n = 2; names.has(name); n++) name = f.name.replace(/(\.[^.]*)?$/, (ending) => `-${n}${ending}`);
    names.add(name);
    return { name, text: f.text };
  });
  draft.value = { ...draft.value, files: [...draft.value.files, ...fresh] };
  say(`${fresh.map((f) => f.name).join(', ')} attached`);
}

/** The draft belongs to the conversation; another one has another. */
function useDraft(): void {
  const id = conv.value?.id ?? null;
  const owner = useRef<string | null | undefined>(undefined);
  useLayoutEffect(() => {
    const before = owner.current;
    owner.current = id;
    if (before === null && sending.peek()) {
      // The new chat has just got its id: what is being sent moves with it, should it not arrive.
      saveDraft(null, { text: '', files: [] });
      return;
    }
    if (before !== undefined) saveDraft(before, draft.peek());
    draft.value = loadDraft(id);
  }, [id]);
  useEffect(() => {
    const write = () => { if (owner.current !== undefined) saveDraft(owner.current, draft.value); };
    const t = setTimeout(write, 250);
    const leave = () => { clearTimeout(t); write(); };
    addEventListener('pagehide', leave);
    return () => { clearTimeout(t); removeEventListener('pagehide', leave); };
  }, [draft.value]);
}

/** How full the context would be. Asked for a moment after the last change, and not while answers are written. */
function Meter() {
  const [count, setCount] = useState<Count | null>(null);
  const { text, files } = draft.value;
  const id = conv.value?.id ?? null, parent = leaf.value, m = model.value?.id, sys = system.value;
  const busy = generating.value.length > 0 || sending.value;
  useEffect(() => {
    if (busy || !m || !online.value) return;
    const stop = new AbortController();
    const t = setTimeout(() => {
      call<Count>('POST', 'ui/count', { conversation: id, parent, content: compose(text, files), system: sys, model: m }, stop.signal)
        .then(setCount, () => { if (!stop.signal.aborted) setCount(null); });
    }, 450);
    return () => { clearTimeout(t); stop.abort(); };
  }, [text, files, id, parent, m, sys, busy, ended.value, online.value]);
  if (!count || !count.context) return <span class="meter" />;
  const part = count.tokens / count.context;
  const room = count.context - count.tokens;
  const tight = room < (settings.value.max_tokens ?? info.value?.defaults.max_tokens ?? 512);
  const words = `${count.tokens.toLocaleString('en')} of ${count.context.toLocaleString('en')} tokens`;
  return (
    <span class={part >= 1 ? 'meter full' : tight ? 'meter tight' : 'meter'} title={part >= 1 ? 'This does not fit into the context' : tight ? 'Little room is left for the answer' : 'Tokens of the context that this message and its history take'}>
      <meter aria-label="Context used" min={0} max={1} high={0.8} value={Math.min(part, 1)}>{words}</meter>
      <span>{words}{part >= 1 && ': too long'}</span>
    </span>
  );
}

function Files() {
  if (!draft.value.files.length) return null;
  return (
    <ul class="files" aria-label="Attached">
      {draft.value.files.map((f) => (
        <li key={f.name} class="file">
          <Icon name="file" /><span class="file-name">{f.name}</span><span class="muted">{bytes(new Blob([f.text]).size)}</span>
          <button type="button" class="quiet" aria-label={`Remove ${f.name}`} onClick={() => {
            draft.value = { ...draft.value, files: draft.value.files.filter((x) => x !== f) };
            focusPrompt();
          }}><Icon name="close" /></button>
        </li>
      ))}
    </ul>
  );
}

export function Composer() {
  useDraft();
  const area = useRef<HTMLTextAreaElement>(null);
  const pick = useRef<HTMLInputElement>(null);
  const busy = generating.value.length > 0;
  const { text, files } = draft.value;
  const empty = !text.trim() && !files.length;

  useEffect(() => {
    const take = (e: Event) => { readFiles((e as CustomEvent<File[]>).detail).then(add).catch(fail); };
    document.addEventListener('starchat-files', take);
    return () => document.removeEventListener('starchat-files', take);
  }, []);

  // As high as its text, up to a part of the window.
  useLayoutEffect(() => {
    const a = area.current!;
    a.style.height = 'auto';
    a.style.height = `${Math.min(a.scrollHeight, Math.max(120, innerHeight * 0.35))}px`;
  }, [text]);

  const send = () => {
    if (empty || busy || sending.value || !model.value) return;
    const was = draft.value;
    const content = compose(was.text, was.files);
    followBottom();
    actions.send(content).then((id) => {
      if (id === null) return;
      saveDraft(id, { text: '', files: [] });
      if (draft.value === was) draft.value = { text: '', files: [] }; // otherwise another chat is shown by now
    }).catch(fail);
  };

  const onKey = (e: KeyboardEvent) => {
    if (e.isComposing) return;
    if (e.key === 'Enter') {
      const sends = enterSends.value ? !e.shiftKey && !e.altKey : e.ctrlKey || e.metaKey;
      if (sends) { e.preventDefault(); send(); }
    } else if (e.key === 'ArrowUp' && !text && !e.shiftKey && !e.ctrlKey) {
      const all = document.querySelectorAll<HTMLButtonElement>('.message.user [aria-label="Edit message"]');
      const last = all[all.length - 1];
      if (last) { e.preventDefault(); last.click(); }
    }
  };

  const onPaste = (e: ClipboardEvent) => {
    const got = e.clipboardData;
    if (!got) return;
    if (got.files.length) { e.preventDefault(); readFiles([...got.files]).then(add).catch(fail); return; }
    const pasted = got.getData('text/plain');
    if (pasted.length > LONG_PASTE) { e.preventDefault(); add([{ name: 'pasted.txt', text: pasted.replace(/\r\n?/g, '\n') }]); }
  };

  return (
    <form class="composer" onSubmit={(e) => { e.preventDefault(); send(); }}>
      <div class="box">
        <Files />
        <textarea ref={area} id="prompt" rows={1} aria-label="Message" placeholder={comparing.value ? 'Ask both models…' : 'Ask for code…'} value={text} readOnly={sending.value}
          onInput={(e) => { draft.value = { ...draft.value, text: e.currentTarget.value }; }} onKeyDown={onKey} onPaste={onPaste} />
        <div class="row">
          <button type="button" class="quiet" aria-label="Attach text files" title="Attach text files" onClick={() => pick.current?.click()}><Icon name="clip" /></button>
          <input ref={pick} id="attach" class="offscreen" tabIndex={-1} aria-hidden="true" type="file" multiple onChange={(e) => {
            const input = e.currentTarget;
            readFiles([...(input.files ?? [])]).then(add).catch(fail).finally(() => { input.value = ''; focusPrompt(); });
          }} />
          <Meter />
          <span class="grow" />
          {busy
            ? <button type="button" class="round" aria-label="Stop" title="Stop (Esc)" onClick={() => { actions.stop().catch(fail); }}><Icon name="stop" /></button>
            : <button type="submit" class="round" aria-label="Send" title={enterSends.value ? 'Send (Enter)' : 'Send (Ctrl+Enter)'} disabled={empty || sending.value || !model.value}><Icon name="send" /></button>}
        </div>
      </div>
      <p class="hint">{info.value?.filter ? 'Answers pass a filter. ' : ''}Answers can be wrong: read code before you run it.</p>
    </form>
  );
}
