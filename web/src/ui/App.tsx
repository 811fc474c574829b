import { useEffect } from 'preact/hooks';
import { dialog, drawer } from '../state';
import { dismiss, spoken, toasts } from '../notices';
import { Banner, Header } from './Header';
import { Composer } from './Composer';
import { Dialogs } from './Dialogs';
import { Icon } from './icons';
import { Sidebar } from './Sidebar';
import { Thread } from './Thread';
import { installShortcuts } from './shortcuts';

function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map((t) => (
        <div class="toast" key={t.id}>
          <span>{t.text}</span>
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => dismiss(t.id)}><Icon name="close" /></button>
        </div>
      ))}
    </div>
  );
}

function Speech() {
  return <div class="offscreen" aria-live="polite" role="status">{spoken.value}</div>;
}

/** Anywhere on the page a file may be dropped; the composer takes it. */
function useDrop(): void {
  useEffect(() => {
    const carries = (e: DragEvent) => [...(e.dataTransfer?.types ?? [])].includes('Files');
    let depth = 0;
    const mark = () => document.body.classList.toggle('dropping', depth > 0);
    const over = (e: DragEvent) => { if (carries(e)) e.preventDefault(); };
    const enter = (e: DragEvent) => { if (carries(e)) { depth++; mark(); } };
    const leave = (e: DragEvent) => { if (carries(e)) { depth = Math.max(0, depth - 1); mark(); } };
    const drop = (e: DragEvent) => {
      if (!carries(e)) return;
      e.preventDefault();
      depth = 0;
      mark();
      document.dispatchEvent(new CustomEvent('starchat-files', { detail: [...(e.dataTransfer?.files ?? [])] }));
    };
    addEventListener('dragover', over);
    addEventListener('dragenter', enter);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragenter', enter);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
}

export function App() {
  useDrop();
  useEffect(installShortcuts, []);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('prompt')?.focus()}>Skip to the message box</button>
      <Sidebar />
      {drawer.value && <div class="shade" onClick={() => { drawer.value = false; }} />}
      <div class="stage" inert={drawer.value}>
        <Header />
        <main>
          <Banner />
          <Thread />
          <Composer />
        </main>
      </div>
      {dialog.value !== undefined && <Dialogs />}
      <Toasts />
      <Speech />
    </>
  );
}
