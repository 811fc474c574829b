import { useState } from 'preact/hooks';
import * as actions from '../actions';
import { say } from '../notices';
import { apiKey, enterSends, newChat, theme, type Theme } from '../prefs';
import { conv, defaults, dialog, info, model, settings, system } from '../state';
import type { Settings } from '../types';

type Numeric = Exclude<keyof Settings, 'stop' | 'seed'>;
interface Row { key: Numeric; name: string; min: number; max: number; step: number; help: string }

const ROWS: Row[] = [
  { key: 'temperature', name: 'Temperature', min: 0, max: 2, step: 0.05, help: 'How freely words are chosen; 0 always takes the likeliest.' },
  { key: 'top_p', name: 'Top-p', min: 0, max: 1, step: 0.01, help: 'Only the likeliest words that together reach this probability.' },
  { key: 'top_k', name: 'Top-k', min: 0, max: 200, step: 1, help: 'Only this many of the likeliest words; 0 takes all.' },
  { key: 'min_p', name: 'Min-p', min: 0, max: 1, step: 0.01, help: 'Only words at least this likely, measured by the likeliest.' },
  { key: 'repeat_penalty', name: 'Repetition penalty', min: 0.5, max: 2, step: 0.05, help: 'Above 1, words that were said become less likely.' },
  { key: 'presence_penalty', name: 'Presence penalty', min: -2, max: 2, step: 0.1, help: 'Against words that were said at all.' },
  { key: 'frequency_penalty', name: 'Frequency penalty', min: -2, max: 2, step: 0.1, help: 'Against words by how often they were said.' },
  { key: 'max_tokens', name: 'New tokens', min: 1, max: 4096, step: 1, help: 'The longest answer; a cut one can be continued.' },
];

function set(key: keyof Settings, value: unknown): void {
  const next: Record<string, unknown> = { ...settings.value };
  if (value === undefined || JSON.stringify(value) === JSON.stringify(defaults.value[key])) delete next[key];
  else next[key] = value;
  actions.change({ settings: next as Settings });
}

function Slider({ row }: { row: Row }) {
  const value = (settings.value[row.key] ?? defaults.value[row.key]) as number;
  const max = row.key === 'max_tokens' ? Math.max(row.max, Math.min(model.value?.context ?? 0, 32768)) : row.max;
  const put = (text: string) => {
    const n = Number(text);
    if (text.trim() !== '' && Number.isFinite(n)) set(row.key, Math.min(max, Math.max(row.min, n)));
  };
  return (
    <div class="slider">
      <label for={`set-${row.key}`}>{row.name}</label>
      <input class="number" type="number" aria-label={`${row.name}, number`} min={row.min} max={max} step={row.step} value={value} onChange={(e) => { put(e.currentTarget.value); e.currentTarget.value = String(settings.value[row.key] ?? defaults.value[row.key]); }} />
      <input id={`set-${row.key}`} type="range" min={row.min} max={max} step={row.step} value={value} aria-describedby={`help-${row.key}`} onInput={(e) => put(e.currentTarget.value)} />
      <p id={`help-${row.key}`} class="help">{row.help}</p>
    </div>
  );
}

/** One per line; \n, \t and \\ are written as in code, so that a newline itself can be one. */
const SIGNS: Record<string, string> = { n: '\n', t: '\t', '\\': '\\' };
const readStops = (text: string) => text.split('\n').filter((l) => l !== '').map((l) => l.replace(/\\([nt\\])/g, (_, c: string) => SIGNS[c]!)).slice(0, 16);
const writeStops = (list: string[]) => list.map((l) => l.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/\t/g, '\\t')).join('\n');

export function SettingsForm() {
  const s = settings.value;
  const seed = s.seed === undefined ? defaults.value.seed : s.seed;
  const [stops, setStops] = useState(writeStops(s.stop ?? defaults.value.stop));
  const [kept, setKept] = useState(false);
  const reset = () => {
    actions.change({ settings: {} });
    newChat.value = { ...newChat.value, settings: undefined };
    setStops(writeStops(defaults.value.stop));
    say('Settings reset to defaults');
  };
  return (
    <form class="settings-form" onSubmit={(e) => e.preventDefault()}>
      <h3>{conv.value ? 'This chat' : 'The new chat'}</h3>
      <label class="field"><span>System prompt</span>
        <textarea rows={4} value={system.value} placeholder="Below is a conversation between a human user and a helpful AI coding assistant."
          onInput={(e) => actions.change({ system: e.currentTarget.value })} />
      </label>
      <h3>Sampling</h3>
      {ROWS.map((r) => <Slider key={r.key} row={r} />)}
      <label class="field"><span>Seed</span>
        <input type="number" step={1} min={0} placeholder="random" value={seed ?? ''} aria-describedby="help-seed"
          onInput={(e) => { const t = e.currentTarget.value; set('seed', t === '' || !Number.isSafeInteger(Number(t)) ? null : Number(t)); }} />
      </label>
      <p id="help-seed" class="help">The same seed gives the same answer. Empty: random. “Regenerate” always takes another.</p>
      <label class="field"><span>Stop strings</span>
        <textarea rows={2} value={stops} aria-describedby="help-stop" spellcheck={false}
          onInput={(e) => { setStops(e.currentTarget.value); set('stop', readStops(e.currentTarget.value)); }} />
      </label>
      <p id="help-stop" class="help">One per line; write \n for a new line.</p>
      <div class="settings-row">
        <button type="button" class="button" onClick={reset}>Reset to defaults</button>
        <button type="button" class="button" onClick={() => {
          newChat.value = { model: model.value?.id, system: system.value, settings: { ...settings.value } };
          setKept(true);
          say('Kept for new chats');
        }}>{kept ? 'Kept for new chats' : 'Use for new chats'}</button>
      </div>
      <h3>This browser</h3>
      <label class="field"><span>Theme</span>
        <select value={theme.value} onChange={(e) => { theme.value = e.currentTarget.value as Theme; }}>
          <option value="system">As the system</option><option value="light">Light</option><option value="dark">Dark</option>
        </select>
      </label>
      <label class="check"><input type="checkbox" checked={enterSends.value} onChange={(e) => { enterSends.value = e.currentTarget.checked; }} /><span>Enter sends, Shift+Enter makes a new line</span></label>
      {!enterSends.value && <p class="help">Enter makes a new line, Ctrl+Enter sends.</p>}
      <div class="settings-row">
        <button type="button" class="button" onClick={() => { dialog.value = 'key'; }}>{apiKey.value ? 'Change API key' : 'Enter API key'}</button>
      </div>
      <p class="help">starchat {info.value?.version ?? ''}</p>
    </form>
  );
}
