// Nodes, one by one. A string only ever becomes text: there is nothing in this page that a browser would read as markup.

/** Characters that turn what is read around (bidi overrides) or are invisible letters (tags) are shown by name. */
export function visible(text) {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]|\udb40[\udc00-\udc7f]/g, (c) => `\u27e8U+${c.codePointAt(0).toString(16).toUpperCase()}\u27e9`);
}

/** An element with attributes (only those named by this page's own code), listeners (on...) and children (nodes or text). */
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') e.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'max' || name === 'selected' || name === 'disabled') e[name] = value;
    else e.setAttribute(name, value === true ? '' : String(value));
  }
  for (const c of children.flat()) if (c !== null && c !== undefined) e.append(typeof c === 'string' ? visible(c) : c);
  return e;
}
