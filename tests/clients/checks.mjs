// What the JavaScript scripts of this folder share: settings of the run, and one line for each check.
import { readFileSync } from 'node:fs';

export const settings = JSON.parse(process.env.STARCHAT_CLIENTS);
export const { url, model, tiny } = settings;
export const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
export class Skip extends Error {}
export const onlyTiny = () => { if (!tiny) throw new Skip('needs the small random model'); };

/** A figure of the server; 0 if it has none of that name. */
export async function metric(name, of = url) {
  const text = await (await fetch(of + '/metrics', { headers: { Authorization: 'Bearer ' + settings.key } })).text();
  return Number(text.split('\n').find((line) => line.startsWith(`starchat_${name} `))?.split(' ').pop() ?? 0);
}

export async function until(condition, seconds = 10) {
  for (const end = Date.now() + seconds * 1000; !(await condition()); await new Promise((r) => setTimeout(r, 20)))
    if (Date.now() > end) throw new Error(`not within ${seconds} s`);
}

export async function rejects(kind, promise) {
  try { await promise; } catch (e) {
    if (!(e instanceof kind)) throw new Error(`expected ${kind.name}, got ${e?.constructor?.name}: ${e?.message}`);
    return e;
  }
  throw new Error(`no ${kind.name}`);
}

export async function collect(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}

export async function run(client, checks) {
  console.log(`client ${client}`);
  for (const [name, check] of Object.entries(checks)) {
    const begun = Date.now();
    try { await check(); console.log(`ok ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`); } catch (e) {
      if (e instanceof Skip) { console.log(`skipped ${name}: ${e.message}`); continue; }
      const where = /([a-z_]+\.mjs:\d+)/.exec((e?.stack ?? '').split('\n').filter((l) => !l.includes('checks.mjs')).join('\n'))?.[1] ?? '';
      console.log(`FAILED ${name}: ${where} ${String(e?.name)}: ${String(e?.message).replaceAll(/\s+/g, ' ').slice(0, 600)}`);
      process.exitCode = 1;
    }
  }
  process.exit();
}
