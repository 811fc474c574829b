import { useEffect, useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import * as actions from '../actions';
import { needKey } from '../api';
import { apiKey } from '../prefs';
import { dialog, question } from '../state';
import { Icon } from './icons';
import { SettingsForm } from './Settings';
import { SHORTCUTS } from './shortcuts';

/** The browser's own modal dialog: it holds the focus, Esc closes it, the rest of the page is out of reach. */
export function Modal({ title, name, onClose, children }: { title: string; name: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const d = box.current!;
    d.showModal();
    return () => { d.close(); if (before?.isConnected) before.focus(); };
  }, []);
  return (
    <dialog ref={box} class={`modal ${name}`} aria-labelledby={`${name}-title`}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onClick={(e) => { if (e.target === e.currentTarget) onClose(); }}>
      <div class="modal-inner">
        <div class="modal-head">
          <h2 id={`${name}-title`}>{title}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

function Confirm() {
  const q = question.value!;
  const end = (ok: boolean) => { question.value = null; q.resolve(ok); };
  return (
    <Modal title={q.title} name="confirm" onClose={() => end(false)}>
      <p>{q.text}</p>
      <div class="modal-foot">
        <button type="button" class="button" onClick={() => end(false)}>Cancel</button>
        <button type="button" class="button danger" autofocus onClick={() => end(true)}>{q.yes}</button>
      </div>
    </Modal>
  );
}

function KeyDialog() {
  const [key, setKey] = useState(apiKey.value);
  const [wrong, setWrong] = useState('');
  const save = async () => {
    apiKey.value = key.trim();
    needKey.value = false;
    await actions.boot();
    if (needKey.value) setWrong('The server does not accept this key.');
    else dialog.value = null;
  };
  return (
    <Modal title="API key" name="key" onClose={() => { dialog.value = null; }}>
      <form onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <p>This server asks for a key. It is kept in this browser and sent to this server only.</p>
        <label class="field"><span>Key</span>
          <input type="password" autocomplete="current-password" autofocus value={key} onInput={(e) => setKey(e.currentTarget.value)} aria-describedby="key-wrong" />
        </label>
        <p id="key-wrong" class="state warn" role="alert">{wrong}</p>
        <div class="modal-foot">
          {apiKey.value && <button type="button" class="button" onClick={() => { setKey(''); apiKey.value = ''; }}>Forget key</button>}
          <button type="submit" class="button primary">Use key</button>
        </div>
      </form>
    </Modal>
  );
}

function Keys({ text }: { text: string }) {
  return <>{text.split('+').map((k, i) => <span key={i}>{i > 0 && ' + '}<kbd>{k}</kbd></span>)}</>;
}

function Shortcuts() {
  return (
    <Modal title="Keyboard shortcuts" name="shortcuts" onClose={() => { dialog.value = null; }}>
      <dl class="shortcut-list">
        {SHORTCUTS.map(([keys, what]) => <div key={keys}><dt><Keys text={keys} /></dt><dd>{what}</dd></div>)}
      </dl>
      <p class="muted">In the list of chats: F2 renames, Del deletes.</p>
    </Modal>
  );
}

export function Dialogs() {
  // The server's question opens the dialog once; who closes it finds it again in the banner.
  useEffect(() => { if (needKey.value && dialog.value === null) dialog.value = 'key'; }, [needKey.value]);
  return (
    <>
      {dialog.value === 'settings' && (
        <Modal title="Settings" name="settings" onClose={() => { actions.flushChange(); dialog.value = null; }}><SettingsForm /></Modal>
      )}
      {dialog.value === 'shortcuts' && <Shortcuts />}
      {dialog.value === 'key' && <KeyDialog />}
      {question.value && <Confirm />}
    </>
  );
}
