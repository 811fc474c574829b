import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import * as actions from '../actions';
import { pieces } from '../attach';
import { lives } from '../live';
import { CodeView, copyText } from '../md/code';
import { visible } from '../md/dom';
import { MarkdownView } from '../md/view';
import { fail } from '../notices';
import { info, leaf, sending, tree } from '../state';
import { siblings } from '../tree';
import { errorText, type Message } from '../types';
import { Icon, type IconName } from './icons';
import { followBottom } from './Thread';

/** The text of an answer: follows it while it is being written, shows it whole otherwise. */
function Body({ m }: { m: Message }) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<MarkdownView | null>(null);
  const shown = useRef<string | null>(null);
  const writing = m.status === 'generating';
  useLayoutEffect(() => {
    const root = box.current!;
    const live = writing ? lives.get(m.id) : undefined;
    if (live) {
      root.replaceChildren();
      const v = view.current = new MarkdownView(root);
      if (live.text) v.push(live.text);
      const off = live.listen((piece) => v.push(piece));
      return () => { off(); v.stop(); };
    }
    if (view.current) {
      // The end of what was followed: what is drawn already stays.
      view.current.finish(m.content);
      view.current = null;
    } else if (shown.current !== m.content) MarkdownView.show(root, m.content);
    shown.current = m.content;
    return undefined;
  }, [m.id, writing, writing ? '' : m.content]);
  return <div ref={box} class={writing ? 'prose writing' : 'prose'} />;
}

function CodePiece({ lang, text }: { lang: string; text: string }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const view = new CodeView(lang, false);
    view.set(text);
    view.colour();
    box.current!.replaceChildren(view.element);
  }, [lang, text]);
  return <div ref={box} />;
}

/** What a person wrote, as written; files folded away when they are long. */
function Written({ text }: { text: string }) {
  return (
    <div class="written">
      {pieces(text).map((p, i) => {
        if (p.kind === 'text') return <p key={i}>{visible(p.text)}</p>;
        const lines = p.text.split('\n').length - 1;
        const name = p.info.split(/\s+/).slice(1).join(' ');
        if (lines <= 12) return <CodePiece key={i} lang={p.info} text={p.text} />;
        return (
          <details key={i} class="folded-file">
            <summary><Icon name="file" />{visible(name || p.info || 'Code')}<span class="muted"> {lines} lines</span></summary>
            <CodePiece lang={p.info} text={p.text} />
          </details>
        );
      })}
    </div>
  );
}

function Tool({ icon, text, run, disabled }: { icon: IconName; text: string; run: () => unknown; disabled?: boolean }) {
  return <button type="button" class="quiet tool" aria-label={text} title={text} disabled={disabled} onClick={() => { Promise.resolve(run()).catch(fail); }}><Icon name={icon} /></button>;
}

function CopyTool({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  return <Tool icon={done ? 'check' : 'copy'} text="Copy message" run={async () => {
    await copyText(text, 'Message');
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  }} />;
}

function Branches({ m }: { m: Message }) {
  const all = siblings(tree.value, m);
  if (all.length < 2) return null;
  const at = all.findIndex((x) => x.id === m.id);
  return (
    <span class="branches" role="group" aria-label={`Version ${at + 1} of ${all.length}`}>
      <Tool icon="left" text="Previous version" disabled={at === 0} run={() => actions.turn(m, -1)} />
      <span class="of">{at + 1}/{all.length}</span>
      <Tool icon="right" text="Next version" disabled={at === all.length - 1} run={() => actions.turn(m, 1)} />
    </span>
  );
}

const number = (n: number) => n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 });

function Progress({ m }: { m: Message }) {
  const live = lives.get(m.id);
  const p = live?.prompt.value;
  const speed = live?.speed.value;
  return (
    <span class="progress">
      {p && p.tokens > 0 && p.done < p.tokens
        ? <>Reading {number(p.done)} of {number(p.tokens)} tokens <progress aria-label="Reading the prompt" max={p.tokens} value={p.done} /></>
        : <><span class="dots" aria-hidden="true"><i /><i /><i /></span>{speed ? `${number(speed)} tokens/s` : 'Writing'}</>}
    </span>
  );
}

function Numbers({ m }: { m: Message }) {
  const s = m.stats;
  if (!s || s.tokens === undefined) return null;
  const speed = s.tokens_per_second ?? (s.seconds ? s.tokens / s.seconds : undefined);
  const more = [
    s.prompt_tokens !== undefined && `${number(s.prompt_tokens)} prompt tokens${s.cached_tokens ? ` (${number(s.cached_tokens)} kept)` : ''}`,
    s.first_seconds !== undefined && `first word after ${number(s.first_seconds)} s`,
    s.seconds !== undefined && `${number(s.seconds)} s in all`,
    s.context !== undefined && s.prompt_tokens !== undefined && `${number(s.prompt_tokens + s.tokens)} of ${number(s.context)} tokens of context`,
  ].filter(Boolean).join(', ');
  return <span class="numbers" title={more}>{number(s.tokens)} tokens{speed !== undefined && ` · ${number(speed)} tokens/s`}</span>;
}

function State({ m }: { m: Message }) {
  switch (m.status) {
    case 'stopped': return <p class="state">Stopped.</p>;
    case 'length': return <p class="state">Cut: the limit of new tokens, or of the context, was reached.</p>;
    case 'filtered': return <p class="state warn">The filter of this server withheld {m.content ? 'the rest of ' : ''}this answer.{errorText(m.error) && ` ${errorText(m.error)}`}</p>;
    case 'error': return <p class="state warn">{errorText(m.error) || 'The answer failed.'}</p>;
    default: return null;
  }
}

function AnswerTools({ m, children }: { m: Message; children?: preact.ComponentChildren }) {
  const many = siblings(tree.value, m).length > 1;
  if (m.status === 'generating') return <div class="tools"><Progress m={m} />{children}</div>;
  return (
    <div class="tools">
      {!children && <Branches m={m} />}
      <CopyTool text={m.content} />
      {m.parent !== null && !children && <Tool icon="again" text="Regenerate" disabled={sending.value} run={() => { followBottom(); return actions.regenerate(m.parent!); }} />}
      {many && !children && leaf.value === m.id && <Tool icon="columns" text="Side by side with the other version" run={() => actions.sideBySide(m)} />}
      {(m.status === 'length' || m.status === 'stopped') && m.content && (
        <button type="button" class="button small" onClick={() => { actions.goOn(m).catch(fail); }}><Icon name="play" />Continue</button>
      )}
      <Numbers m={m} />
      {children}
    </div>
  );
}

function Editor({ m, close }: { m: Message; close: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(m.content);
  useEffect(() => {
    const a = area.current!;
    a.focus();
    a.setSelectionRange(a.value.length, a.value.length);
  }, []);
  const send = () => {
    if (!text.trim() || sending.value) return;
    followBottom();
    actions.edit(m, text.trim()).then((ok) => { if (ok) close(); }).catch(fail);
  };
  return (
    <form class="editor" onSubmit={(e) => { e.preventDefault(); send(); }}>
      <textarea ref={area} aria-label="Edit your message" value={text} rows={Math.min(12, text.split('\n').length + 1)} onInput={(e) => setText(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === 'Escape') { e.preventDefault(); close(); }
          if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); send(); }
        }} />
      <div class="editor-tools">
        <button type="button" class="button small" onClick={close}>Cancel</button>
        <button type="submit" class="button small primary" disabled={!text.trim() || sending.value}>Send as a new branch</button>
      </div>
    </form>
  );
}

function UserMessage({ m }: { m: Message }) {
  const [editing, setEditing] = useState(false);
  return (
    <article class="message user" data-id={m.id}>
      <h2 class="offscreen">You</h2>
      {editing ? <Editor m={m} close={() => setEditing(false)} /> : <Written text={m.content} />}
      {!editing && (
        <div class="tools">
          <Branches m={m} />
          <CopyTool text={m.content} />
          <Tool icon="edit" text="Edit message" run={() => setEditing(true)} />
        </div>
      )}
    </article>
  );
}

export function MessageView({ m, last }: { m: Message; last: boolean }) {
  if (m.role === 'user') return <UserMessage m={m} />;
  return (
    <article class={last ? 'message answer last' : 'message answer'} data-id={m.id} data-status={m.status} aria-busy={m.status === 'generating'}>
      <h2 class="who">{m.model || 'Assistant'}</h2>
      <Body m={m} />
      <State m={m} />
      <AnswerTools m={m} />
    </article>
  );
}

export function AnswerColumn({ m }: { m: Message }) {
  return (
    <article class="message answer column" data-id={m.id} data-status={m.status} aria-busy={m.status === 'generating'}>
      <h2 class="who">{m.model || 'Assistant'}</h2>
      <Body m={m} />
      <State m={m} />
      <AnswerTools m={m}>
        <button type="button" class="button small primary keep" onClick={() => { actions.keep(m).catch(fail); }}>Keep this one</button>
      </AnswerTools>
    </article>
  );
}

/** A message that nobody answered: the server was away, or it was restarted. */
export function NoAnswer({ parent }: { parent: string }) {
  if (sending.value) return <p class="state" role="status">Sending…</p>;
  return (
    <p class="state">No answer yet. <button type="button" class="button small" disabled={!info.value?.models.length} onClick={() => { actions.regenerate(parent).catch(fail); }}>Answer</button></p>
  );
}
