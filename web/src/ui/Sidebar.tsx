import { useEffect, useRef, useState } from 'preact/hooks';
import * as actions from '../actions';
import { fail } from '../notices';
import { sidebarOpen } from '../prefs';
import { conv, dialog, drawer, info, list, listLoading, listMore, opening, query } from '../state';
import { exportAll, exportOne, importFiles } from '../transfer';
import type { ConversationHead } from '../types';
import { Icon, Star } from './icons';
import { Menu, type MenuItem } from './Menu';

/** Today, yesterday, this week, this month, then by month. */
export function group(time: number, now = new Date()): string {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = (midnight - time * 1000) / 86_400_000;
  if (days <= 0) return 'Today';
  if (days <= 1) return 'Yesterday';
  if (days <= 7) return 'Last 7 days';
  if (days <= 30) return 'Last 30 days';
  return new Date(time * 1000).toLocaleDateString('en', { month: 'long', year: 'numeric' });
}

function Marked({ text, q }: { text: string; q: string }) {
  const at = q ? text.toLowerCase().indexOf(q.toLowerCase()) : -1;
  if (at < 0) return <>{text}</>;
  return <>{text.slice(0, at)}<mark>{text.slice(at, at + q.length)}</mark>{text.slice(at + q.length)}</>;
}

function Item({ c }: { c: ConversationHead }) {
  const [editing, setEditing] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => { if (editing) input.current?.select(); }, [editing]);
  const current = (opening.value ?? conv.value?.id) === c.id;
  const title = c.title || 'Untitled';
  const end = (save: boolean) => {
    if (!editing) return;
    const text = input.current?.value ?? '';
    setEditing(false);
    if (save && text.trim() !== c.title) actions.rename(c.id, text).catch(fail);
    requestAnimationFrame(() => link.current?.focus());
  };
  if (editing) {
    return (
      <li class="item editing">
        <input ref={input} aria-label="Title" value={title} maxLength={200} onBlur={() => end(true)}
          onKeyDown={(e) => {
            if (e.key === 'Enter') { e.preventDefault(); end(true); }
            if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); end(false); }
          }} />
      </li>
    );
  }
  const items: MenuItem[] = [
    { text: 'Rename', icon: 'edit', run: () => setEditing(true) },
    { text: 'Export as Markdown', icon: 'out', run: () => { exportOne(c.id, title, 'markdown').catch(fail); } },
    { text: 'Export as JSON', icon: 'out', run: () => { exportOne(c.id, title, 'json').catch(fail); } },
    { text: 'Delete', icon: 'close', danger: true, run: () => { actions.remove(c.id).catch(fail); } },
  ];
  return (
    <li class={current ? 'item current' : 'item'}>
      <a ref={link} href={'#/c/' + encodeURIComponent(c.id)} aria-current={current ? 'page' : undefined} title={title}
        onClick={() => { drawer.value = false; }}
        onKeyDown={(e) => {
          if (e.key === 'F2') { e.preventDefault(); setEditing(true); }
          if (e.key === 'Delete') { e.preventDefault(); actions.remove(c.id).catch(fail); }
        }}>
        <span class="item-title"><Marked text={title} q={query.value.trim()} /></span>
        {c.snippet && <span class="item-snippet"><Marked text={c.snippet} q={query.value.trim()} /></span>}
      </a>
      <Menu label={`More for “${title}”`} items={items} />
    </li>
  );
}

function List() {
  const groups: { name: string; items: ConversationHead[] }[] = [];
  const now = new Date();
  for (const c of list.value) {
    const name = group(c.updated, now);
    const last = groups[groups.length - 1];
    if (last?.name === name) last.items.push(c); else groups.push({ name, items: [c] });
  }
  return (
    <nav class="chats" aria-label="Chats">
      {groups.map((g) => (
        <section key={g.name}>
          <h2>{g.name}</h2>
          <ul>{g.items.map((c) => <Item key={c.id} c={c} />)}</ul>
        </section>
      ))}
      {!list.value.length && !listLoading.value && info.value && (
        <p class="none">{query.value ? 'Nothing found.' : 'Your chats will be listed here.'}</p>
      )}
      {listMore.value && (
        <button type="button" class="button wide" disabled={listLoading.value} onClick={() => { actions.loadList(true).catch(fail); }}>Load more</button>
      )}
    </nav>
  );
}

export function Sidebar() {
  const file = useRef<HTMLInputElement>(null);
  const timer = useRef(0);
  const type = (text: string) => {
    query.value = text;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(actions.reloadList, 200);
  };
  return (
    <aside class={`side${sidebarOpen.value ? '' : ' folded'}${drawer.value ? ' drawn' : ''}`} aria-label="Chats and files">
      <div class="brand">
        <Star /><span>StarChat</span>
        <button type="button" class="quiet only-narrow" aria-label="Close the list" onClick={() => { drawer.value = false; }}><Icon name="close" /></button>
      </div>
      <button type="button" class="button wide primary-soft" title="Ctrl+Shift+O"
        onClick={() => { actions.newConversation(); requestAnimationFrame(() => document.getElementById('prompt')?.focus()); }}>
        <Icon name="plus" />New chat
      </button>
      <div class="search" role="search">
        <Icon name="search" />
        <input id="search" type="search" placeholder="Search chats" aria-label="Search chats" title="Ctrl+K" autocomplete="off" value={query.value}
          onInput={(e) => type(e.currentTarget.value)}
          onKeyDown={(e) => { if (e.key === 'Escape' && query.value) { e.preventDefault(); e.stopPropagation(); type(''); } }} />
      </div>
      <List />
      <div class="foot">
        <button type="button" class="quiet labelled" title="JSON or Markdown of this page, or conversations.json of ChatGPT" onClick={() => file.current?.click()}><Icon name="in" /><span>Import</span></button>
        <button type="button" class="quiet labelled" title="All chats as JSON" onClick={() => { exportAll().catch(fail); }}><Icon name="out" /><span>Export all</span></button>
        <button type="button" class="quiet" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (Ctrl+/)" onClick={() => { dialog.value = 'shortcuts'; }}><Icon name="keys" /></button>
        <input ref={file} class="offscreen" tabIndex={-1} aria-hidden="true" id="import" type="file" multiple accept=".json,.md,.markdown,.txt,application/json,text/markdown"
          onChange={(e) => {
            const input = e.currentTarget;
            importFiles([...(input.files ?? [])]).catch(fail).finally(() => { input.value = ''; });
          }} />
      </div>
    </aside>
  );
}
