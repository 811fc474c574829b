// The wire: who asks, what is asked, and the queue of what is to be told: changes, and when an item was first seen. It is kept in this browser before it is sent and until the server has said that it is saved, so
// that neither a lost connection nor a closed tab loses any; a change carries an id, so that one that is sent twice is saved once. What is kept belongs to a rater of a study,
// not to a link: a new link finds what the old one could not send.

const TOKEN_KEY = 'starchat-rank-token';

function stored(storage, key, value) {
  try {
    if (value === undefined) return storage.getItem(key);
    if (value === null) storage.removeItem(key); else storage.setItem(key, value);
    return true;
  } catch { return value === undefined ? null : false; }
}

/** The invitation: from the link's last part, which no server sees, else as this tab or this browser last had it. */
export function takeToken() {
  const given = location.hash.slice(1);
  if (/^rater-[0-9a-f]{48}$/.test(given)) {
    stored(sessionStorage, TOKEN_KEY, given);
    stored(localStorage, TOKEN_KEY, given);
    history.replaceState(null, '', location.pathname);
    return given;
  }
  return stored(sessionStorage, TOKEN_KEY) ?? stored(localStorage, TOKEN_KEY);
}

export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

export class Refused extends Error {
  /** isOurs: this server said so, not a proxy or a portal on the way. */
  constructor(status, message, isOurs) { super(message); this.status = status; this.isOurs = isOurs; }
}

export class Server {
  constructor(token) { this.token = token; }

  async ask(path, body) {
    const r = await fetch(path, {
      method: body === undefined ? 'GET' : 'PUT', cache: 'no-store', credentials: 'omit', keepalive: body !== undefined && body.length < 60000,
      headers: { Authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) }, body,
    });
    let answer = null;
    try { answer = await r.json(); } catch { /* a proxy's page, perhaps */ }
    const said = answer?.error?.message;
    if (!r.ok) throw new Refused(r.status, said ?? `the server answered ${r.status}`, typeof said === 'string');
    return answer;
  }
}

const WAITS = [500, 1000, 2000, 4000, 8000, 15000];
const QUEUE_MAX = 400, AGO_MAX_MS = 30 * 24 * 3600 * 1000;

export class Queue {
  /** on({ state: 'saved'|'saving'|'waiting'|'refused', message, answer, position }) */
  constructor(server, study, on) {
    this.server = server;
    this.on = on;
    this.prefix = `starchat-rank-queue-${study.study}-${study.number}-`;
    this.key = this.prefix + newId().slice(0, 8);              // each tab has its own, so that none writes over another's
    this.failures = 0;
    this.isSending = false;
    this.timer = 0;
    this.list = this.takeLeft();
    this.isKept = this.keep();
    addEventListener('online', () => { this.failures = 0; this.send(); });
  }

  /** What tabs that were closed could not send any more. One that still lives sends it too, which the ids make harmless. */
  takeLeft() {
    const list = [];
    try {
      for (const key of Object.keys(localStorage).filter((k) => k.startsWith(this.prefix))) {
        list.push(...JSON.parse(localStorage.getItem(key)).filter((e) => e && Number.isInteger(e.position) && (Number.isInteger(e.shown) || (e.body && typeof e.body === 'object'))));
        localStorage.removeItem(key);
      }
    } catch { /* a browser that keeps nothing */ }
    return list;
  }

  /** The newest unsent rating of an item. */
  pending(position) { return this.list.findLast((e) => e.position === position && e.body)?.body ?? null; }

  put(position, rating) { this.add({ position, body: { ...rating, id: newId(), made: Date.now() } }); }

  /** The rater sees the item now; the server hears how long ago that was. */
  putShown(position) { this.add({ position, shown: Date.now() }); }

  add(entry) {
    this.list.push(entry);
    // Offline for hours: of one item the newest matter, and when it was first seen.
    if (this.list.length > QUEUE_MAX) this.list = this.list.filter((e, i) => i > QUEUE_MAX / 2 || e.shown || this.list.findLast((o) => o.position === e.position && o.body) === e);
    this.isKept = this.keep();
    this.send();
  }

  keep() { return stored(localStorage, this.key, this.list.length ? JSON.stringify(this.list) : null); }

  async send() {
    clearTimeout(this.timer);
    if (this.isSending) return;
    this.isSending = true;
    while (this.list.length) {
      const first = this.list[0];
      this.on({ state: 'saving' });
      try {
        const answer = first.body ? await this.server.ask(`/api/items/${first.position}`, JSON.stringify(first.body))
          : await this.server.ask(`/api/items/${first.position}/shown`, JSON.stringify({ ago: Math.min(AGO_MAX_MS, Math.max(0, Date.now() - first.shown)) }));
        this.failures = 0;
        this.drop(first);
        this.on({ state: this.list.length ? 'saving' : 'saved', answer, position: first.position });
      } catch (e) {
        // What nobody here has said may be otherwise later; only what this server says of the rating itself ends it.
        const isFinal = e instanceof Refused && e.isOurs && [400, 404, 409, 413].includes(e.status);
        if (isFinal) { this.drop(first); this.on({ state: 'refused', message: e.message, position: first.position }); continue; }
        this.on({ state: e instanceof Refused && e.status === 401 ? 'out' : 'waiting', message: e.message, isKept: this.isKept });
        this.timer = setTimeout(() => this.send(), WAITS[Math.min(this.failures++, WAITS.length - 1)]);
        break;
      }
    }
    this.isSending = false;
  }

  drop(entry) {
    this.list = this.list.filter((e) => e !== entry);
    this.keep();
  }
}
