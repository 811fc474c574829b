// Formulas. The converter is a chunk of its own, loaded with the first formula; until then, and when it fails, the TeX is shown.

type Converter = typeof import('./tex');
let converter: Converter | null = null;
let loading: Promise<void> | null = null;
const waiting = new Map<HTMLElement, () => void>();

export function mathNode(tex: string, display: boolean, markup: string): HTMLElement {
  const box = document.createElement('span');
  box.className = display ? 'math display' : 'math';
  const close = markup === '\\(' ? '\\)' : markup === '\\[' ? '\\]' : markup;
  const draw = (): void => {
    const node = converter!.toMathML(tex, display);
    if (node) box.replaceChildren(node);
  };
  const code = document.createElement('code');
  code.className = 'tex';
  code.textContent = markup + tex + close;
  box.appendChild(code);
  if (converter) draw();
  else {
    waiting.set(box, draw);
    loading ??= import('./tex').then((m) => {
      converter = m;
      for (const f of waiting.values()) f();
      waiting.clear();
    }, () => { loading = null; });
  }
  return box;
}
