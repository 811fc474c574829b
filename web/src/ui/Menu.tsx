import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icons';

export interface MenuItem { text: string; icon: IconName; danger?: boolean; run: () => void }

/** A button with three dots and what it opens: arrow keys move, Esc and a click elsewhere close. */
export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const close = (back: boolean) => { setOpen(false); if (back) button.current?.focus(); };

  useLayoutEffect(() => {
    if (!open || !box.current || !button.current) return;
    const at = button.current.getBoundingClientRect();
    const { offsetWidth: w, offsetHeight: h } = box.current;
    // Beside the button, but on the page.
    box.current.style.left = `${Math.max(8, Math.min(at.right - w, innerWidth - w - 8))}px`;
    box.current.style.top = `${at.bottom + h + 8 > innerHeight ? Math.max(8, at.top - h - 4) : at.bottom + 4}px`;
    box.current.querySelector<HTMLElement>('[role=menuitem]')?.focus();
  }, [open]);

  useEffect(() => {
    if (!open) return;
    const away = (e: Event) => {
      if (e.target instanceof Node && (box.current?.contains(e.target) || button.current?.contains(e.target))) return;
      setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    addEventListener('resize', away);
    return () => { document.removeEventListener('pointerdown', away); removeEventListener('resize', away); };
  }, [open]);

  const onKey = (e: KeyboardEvent) => {
    const all = [...box.current!.querySelectorAll<HTMLElement>('[role=menuitem]')];
    const at = all.indexOf(document.activeElement as HTMLElement);
    let to: number;
    if (e.key === 'ArrowDown') to = (at + 1) % all.length;
    else if (e.key === 'ArrowUp') to = (at - 1 + all.length) % all.length;
    else if (e.key === 'Home') to = 0;
    else if (e.key === 'End') to = all.length - 1;
    else if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); close(true); return; }
    else if (e.key === 'Tab') { close(true); return; }
    else return;
    e.preventDefault();
    all[to]?.focus();
  };

  return (
    <>
      <button ref={button} type="button" class="quiet more" aria-label={label} aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="more" />
      </button>
      {open && (
        <div ref={box} class="menu" role="menu" aria-label={label} onKeyDown={onKey}>
          {items.map((i) => (
            <button type="button" role="menuitem" tabIndex={-1} key={i.text} class={i.danger ? 'danger' : ''} onClick={() => { close(true); i.run(); }}>
              <Icon name={i.icon} />{i.text}
            </button>
          ))}
        </div>
      )}
    </>
  );
}
