/** Characters that turn what is read around (bidi overrides) or are invisible letters (tags) are shown by name. */
export function visible(text: string): string {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]|\udb40[\udc00-\udc7f]/g,
    (c) => `\u27e8U+${c.codePointAt(0)!.toString(16).toUpperCase()}\u27e9`);
}

export function el(tag: string, className?: string, text?: string): HTMLElement {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = visible(text);
  return e;
}
