import * as actions from '../actions';
import { fail } from '../notices';
import { sidebarOpen } from '../prefs';
import { dialog, drawer, generating, question } from '../state';

export const SHORTCUTS: [string, string][] = [
  ['Ctrl+Shift+O', 'New chat'],
  ['Ctrl+K', 'Search chats'],
  ['Ctrl+.', 'Settings'],
  ['Ctrl+/', 'This list'],
  ['Ctrl+Shift+S', 'Show or hide the list of chats'],
  ['Shift+Esc', 'Go to the message box'],
  ['Ctrl+Shift+;', 'Copy the last block of code'],
  ['Esc', 'Stop the answer'],
  ['Enter', 'Send (or a new line, see settings)'],
  ['Shift+Enter', 'A new line'],
  ['Arrow up', 'In an empty message box: edit the last message'],
];

export const narrow = () => matchMedia('(max-width: 820px)').matches;

export function toggleSidebar(): void {
  if (narrow()) drawer.value = !drawer.value;
  else sidebarOpen.value = !sidebarOpen.value;
}

export function focusPrompt(): void {
  document.getElementById('prompt')?.focus();
}

function search(): void {
  if (narrow()) drawer.value = true; else sidebarOpen.value = true;
  // Once it is there.
  requestAnimationFrame(() => (document.getElementById('search') as HTMLInputElement | null)?.select());
}

export function installShortcuts(): () => void {
  const onKey = (e: KeyboardEvent) => {
    if (e.isComposing) return;
    const ctrl = (e.ctrlKey || e.metaKey) && !e.altKey;
    const modal = document.querySelector('dialog[open]') !== null;
    let did = true;
    if (ctrl && e.shiftKey && e.code === 'KeyO') { dialog.value = null; actions.newConversation(); requestAnimationFrame(focusPrompt); }
    else if (ctrl && !e.shiftKey && e.code === 'KeyK') { dialog.value = null; search(); }
    else if (ctrl && e.key === '.') dialog.value = dialog.value === 'settings' ? null : 'settings';
    else if (ctrl && e.key === '/') dialog.value = dialog.value === 'shortcuts' ? null : 'shortcuts';
    else if (ctrl && e.shiftKey && e.code === 'KeyS') toggleSidebar();
    else if (ctrl && e.shiftKey && (e.code === 'Semicolon' || e.key === ';' || e.key === ':')) {
      const all = document.querySelectorAll<HTMLButtonElement>('.thread .code-copy');
      all[all.length - 1]?.click();
    } else if (e.key === 'Escape' && e.shiftKey) { drawer.value = false; focusPrompt(); }
    else if (e.key === 'Escape' && !modal && !e.defaultPrevented && drawer.value) drawer.value = false;
    else if (e.key === 'Escape' && !modal && !e.defaultPrevented && !question.value && generating.value.length) actions.stop().catch(fail);
    else did = false;
    if (did) e.preventDefault();
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}
