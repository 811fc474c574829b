import { useEffect, useState } from 'preact/hooks';
import * as actions from '../actions';
import { needKey, online } from '../api';
import { theme, type Theme } from '../prefs';
import { comparing, conv, dialog, drawer, info, model, second } from '../state';
import { Icon, type IconName } from './icons';
import { toggleSidebar } from './shortcuts';

const NEXT: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' };
const LOOKS: Record<Theme, IconName> = { system: 'auto', dark: 'moon', light: 'sun' };

function Picker({ label, value, onPick }: { label: string; value: string; onPick: (id: string) => void }) {
  const models = info.value?.models ?? [];
  return (
    <select class="picker" aria-label={label} value={value} onChange={(e) => onPick(e.currentTarget.value)} title={value}>
      {models.map((m) => <option key={m.id} value={m.id}>{m.kind === 'adapter' ? `${m.id} (adapter)` : m.id}</option>)}
      {!models.length && <option value="">no model</option>}
    </select>
  );
}

export function Header() {
  const twice = comparing.value;
  return (
    <header class="top">
      <button type="button" class="quiet" aria-label="Chats" aria-expanded={drawer.value} onClick={toggleSidebar}><Icon name="menu" /></button>
      <div class="pickers">
        <Picker label={twice ? 'First model' : 'Model'} value={model.value?.id ?? ''} onPick={(id) => actions.change({ model: id })} />
        {twice && <span class="versus" aria-hidden="true">and</span>}
        {twice && <Picker label="Second model" value={second.value} onPick={(id) => { second.value = id; }} />}
      </div>
      <h1 class="offscreen">{conv.value?.title || 'New chat'} – StarChat</h1>
      <button type="button" class="quiet labelled" aria-pressed={twice} aria-label="Compare" title="Two answers side by side" onClick={actions.toggleCompare}>
        <Icon name="columns" /><span>Compare</span>
      </button>
      <button type="button" class="quiet" aria-label={`Theme: ${theme.value}`} title={`Theme: ${theme.value}`} onClick={() => { theme.value = NEXT[theme.value]; }}>
        <Icon name={LOOKS[theme.value]} />
      </button>
      <button type="button" class="quiet" aria-label="Settings" title="Settings (Ctrl+.)" onClick={() => { dialog.value = 'settings'; }}><Icon name="gear" /></button>
    </header>
  );
}

/** Says that the server is gone, and looks for it less and less often, but at least twice a minute. */
function Down() {
  const [left, setLeft] = useState(2);
  const [tries, setTries] = useState(1);
  useEffect(() => {
    if (left > 0) {
      const t = setTimeout(() => setLeft(left - 1), 1000);
      return () => clearTimeout(t);
    }
    void actions.boot().finally(() => { setTries(tries + 1); setLeft(Math.min(2 ** (tries + 1), 30)); });
    return undefined;
  }, [left]);
  return (
    <div class="banner" role="alert">
      <span>The server cannot be reached. Your text is safe.</span>
      <span class="muted" aria-hidden="true">{left > 0 ? `Next try in ${left} s` : 'Trying…'}</span>
      <button type="button" class="button small" onClick={() => { setLeft(0); }}>Retry now</button>
    </div>
  );
}

export function Banner() {
  useEffect(() => { document.title = conv.value?.title ? `${conv.value.title} – StarChat` : 'StarChat'; }, [conv.value?.title]);
  if (!online.value) return <Down />;
  if (needKey.value && dialog.value !== 'key') {
    return (
      <div class="banner" role="alert">
        <span>This server asks for a key.</span>
        <button type="button" class="button small" onClick={() => { dialog.value = 'key'; }}>Enter key</button>
      </div>
    );
  }
  if (info.value && !info.value.models.length) return <div class="banner" role="alert">The server has no model to talk to.</div>;
  return null;
}
