import hljs from 'highlight.js/lib/common';

// The library's own tree of tokens becomes spans; its way through strings of HTML is not used.

interface Branch { scope?: string; language?: string; children: (Branch | string)[] }

const GUESSES = ['python', 'javascript', 'bash', 'c', 'json', 'rust', 'sql'];
const SURE = 6;

function classOf(scope: string): string {
  // "title.function" -> "hl-title hl-function"; names come from the library's grammars, not from the text.
  return scope.split('.').map((s) => 'hl-' + s).join(' ');
}

function grow(branch: Branch, into: Node): void {
  const stack: { branch: Branch; into: Node; at: number }[] = [{ branch, into, at: 0 }];
  while (stack.length) {
    const top = stack[stack.length - 1]!;
    const child = top.branch.children[top.at++];
    if (child === undefined) { stack.pop(); continue; }
    if (typeof child === 'string') top.into.appendChild(document.createTextNode(child));
    else {
      let next = top.into;
      if (child.scope) {
        const span = document.createElement('span');
        span.className = classOf(child.scope);
        next = top.into.appendChild(span);
      }
      stack.push({ branch: child, into: next, at: 0 });
    }
  }
}

/** Null: no language known, the text stays as it is. A guess is only made of what is complete and short. */
export function colour(text: string, lang: string, growing: boolean): DocumentFragment | null {
  let result;
  if (lang && hljs.getLanguage(lang)) result = hljs.highlight(text, { language: lang, ignoreIllegals: true });
  else if (!lang && !growing && text.length < 4000) {
    result = hljs.highlightAuto(text, GUESSES);
    if (result.relevance < SURE) return null;
  } else return null;
  const root = (result as unknown as { _emitter: { root: Branch } })._emitter.root;
  const out = document.createDocumentFragment();
  grow(root, out);
  // What the tree says must be what was given; anything else is a fault of a grammar, and plain text is better.
  return out.textContent === text ? out : null;
}
