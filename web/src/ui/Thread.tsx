import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { pairs } from '../prefs';
import { conv, info, model, opening, path, tree } from '../state';
import type { Message } from '../types';
import { Icon, Star } from './icons';
import { AnswerColumn, MessageView, NoAnswer } from './Message';
import { putPrompt } from './Composer';

/** How many messages are drawn at first, and with each step upward. */
const STEP = 40;

const EXAMPLES: { title: string; text: string }[] = [
  { title: 'Plot a bar chart', text: "Given the data {'Name': ['Tom', 'Brad', 'Kyle', 'Jerry'], 'Age': [20, 21, 19, 18], 'Height': [6.1, 5.9, 6.0, 6.1]}, plot one graph with two subplots as columns: a bar graph of the height and a bar graph of the age of each person. Use seaborn." },
  { title: 'Plot a function', text: 'Write Python code that plots sin(x) and its derivative between 0 and 2π with matplotlib, with a legend and a grid.' },
  { title: 'Fibonacci', text: 'Write a Python function that returns the n-th Fibonacci number, and explain its running time.' },
  { title: 'Reverse the words', text: 'Write a function in JavaScript that reverses the words of a given string.' },
  { title: 'Dates in a log', text: 'Create a regular expression that extracts dates such as 2023-05-09 from a log file, and show how to use it with grep.' },
  { title: 'Explain a command', text: 'How do I get the current date in a shell script, as YYYY-MM-DD? Explain how the command works.' },
];

function Empty() {
  const m = model.value;
  return (
    <div class="empty">
      <Star />
      <h2>What shall we write?</h2>
      {m?.notice && <p class="notice">{m.notice}</p>}
      {m && !m.has_chat && <p class="notice">{m.id} is a base model: it continues text rather than answering.</p>}
      <ul class="examples">
        {EXAMPLES.map((x) => (
          <li key={x.title}>
            <button type="button" onClick={() => putPrompt(x.text)}>
              <strong>{x.title}</strong><span>{x.text}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

const away = signal(false); // from the bottom
let stick = true;
let toBottom: (() => void) | null = null;

/** After sending, the new message is looked at. */
export function followBottom(): void { stick = true; away.value = false; toBottom?.(); }

/** Stays at the bottom as long as the person does not scroll up. */
function useBottom(key: string | null) {
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const b = box.current!;
    let last = b.scrollTop;
    const gap = () => b.scrollHeight - b.scrollTop - b.clientHeight;
    const down = () => { b.scrollTop = b.scrollHeight; last = b.scrollTop; };
    toBottom = down;
    const onScroll = () => {
      const g = gap();
      if (g < 32) stick = true;
      else if (b.scrollTop < last - 2) stick = false;
      last = b.scrollTop;
      away.value = g > 120;
    };
    // A wheel or finger says it before the place has moved; growing text must not win the race.
    const onWheel = (e: WheelEvent) => { if (e.deltaY < 0 && b.scrollHeight > b.clientHeight) stick = false; };
    const watch = new ResizeObserver(() => { if (stick) down(); else away.value = gap() > 120; });
    watch.observe(inner.current!);
    watch.observe(b);
    b.addEventListener('scroll', onScroll, { passive: true });
    b.addEventListener('wheel', onWheel, { passive: true });
    return () => {
      watch.disconnect();
      b.removeEventListener('scroll', onScroll);
      b.removeEventListener('wheel', onWheel);
      toBottom = null;
    };
  }, []);
  useLayoutEffect(() => {
    if (key !== null) { followBottom(); return; }
    stick = false;
    box.current!.scrollTop = 0;
  }, [key]);
  return { box, inner };
}

/** Draws earlier messages when their place comes into sight, without moving what is being read. */
function Earlier({ count, box, show }: { count: number; box: { current: HTMLElement | null }; show: () => void }) {
  const mark = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) show(); }, { root: box.current, rootMargin: '300px' });
    watch.observe(mark.current!);
    return () => watch.disconnect();
  }, [count]);
  return <div ref={mark} class="earlier"><button type="button" class="button small" onClick={show}>Show {count} earlier messages</button></div>;
}

function Columns({ left, right }: { left: Message; right: Message }) {
  return (
    <section class="pair" aria-label="Two answers side by side">
      <AnswerColumn m={left} />
      <AnswerColumn m={right} />
    </section>
  );
}

export function Thread() {
  const c = conv.value;
  const { box, inner } = useBottom(c?.id ?? null);
  const [shown, setShown] = useState({ id: '', n: STEP });
  const height = useRef(0);
  const id = c?.id ?? '';
  const n = shown.id === id ? shown.n : STEP;

  const all = path.value;
  const pair = c ? pairs.value[c.id] : undefined;
  const left = pair && tree.value.byId.get(pair.left), right = pair && tree.value.byId.get(pair.right);
  const at = pair && left && right ? all.findIndex((m) => m.id === pair.left || m.id === pair.right) : -1;
  // Beside each other only while nothing follows: then the person has gone on with one of them.
  const beside = at >= 0 && at === all.length - 1;
  const seen = beside ? all.slice(0, at) : all;
  const hidden = Math.max(0, seen.length - n);

  useLayoutEffect(() => {
    const b = box.current;
    if (b && height.current) { b.scrollTop += b.scrollHeight - height.current; height.current = 0; }
  }, [n]);
  const showMore = () => {
    // Where nothing has been scrolled the browser does not hold the place by itself.
    height.current = box.current && box.current.scrollTop < 2 ? box.current.scrollHeight : 0;
    setShown({ id, n: n + STEP });
  };

  const last = seen[seen.length - 1];
  return (
    <div class="thread-frame">
      <div ref={box} class="thread" tabIndex={0} role="region" aria-label="Conversation">
        <div ref={inner} class={beside ? 'thread-inner broad' : 'thread-inner'}>
          {!c && !opening.value && info.value && <Empty />}
          {opening.value && !c && <p class="none" role="status">Loading…</p>}
          {hidden > 0 && <Earlier count={hidden} box={box} show={showMore} />}
          {seen.slice(hidden).map((m) => <MessageView key={m.id} m={m} last={m === last} />)}
          {beside && <Columns left={left!} right={right!} />}
          {!beside && last?.role === 'user' && <NoAnswer parent={last.id} />}
        </div>
      </div>
      {away.value && c && (
        <button type="button" class="to-bottom" aria-label="To the bottom" title="To the bottom" onClick={followBottom}><Icon name="down" /></button>
      )}
    </div>
  );
}

