import type { Message } from './types';

// A conversation is a tree; what is seen is one path through it. Nothing here knows of the page or the server.

export interface Tree {
  byId: Map<string, Message>;
  /** Children in the order they were made; the key null holds the roots. */
  children: Map<string | null, Message[]>;
}

export function treeOf(messages: Message[]): Tree {
  const byId = new Map<string, Message>();
  for (const m of messages) byId.set(m.id, m);
  const children = new Map<string | null, Message[]>();
  for (const m of messages) {
    // A message whose parent is gone is shown as a beginning rather than lost.
    const key = m.parent !== null && byId.has(m.parent) ? m.parent : null;
    const list = children.get(key);
    if (list) list.push(m); else children.set(key, [m]);
  }
  return { byId, children };
}

/** From the root to `leaf`, both included. */
export function pathTo(tree: Tree, leaf: string | null): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  for (let m = leaf === null ? undefined : tree.byId.get(leaf); m && !seen.has(m.id); m = m.parent === null ? undefined : tree.byId.get(m.parent)) {
    seen.add(m.id);
    path.push(m);
  }
  return path.reverse();
}

/** The newest end below `id` (null: of the whole conversation): where one lands who switches to a branch. */
export function deepest(tree: Tree, id: string | null): string | null {
  const seen = new Set<string>();
  for (;;) {
    const kids = tree.children.get(id);
    const last = kids?.[kids.length - 1];
    if (!last || seen.has(last.id)) return id;
    seen.add(last.id);
    id = last.id;
  }
}

export function siblings(tree: Tree, m: Message): Message[] {
  const key = m.parent !== null && tree.byId.has(m.parent) ? m.parent : null;
  return tree.children.get(key) ?? [m];
}
