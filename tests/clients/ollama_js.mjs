// The ollama package for JavaScript, unmodified, against the server.
import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { collect, metric, model, run, settings, url, until, version } from './checks.mjs';

const client = new Ollama({ host: url });
const messages = [{ role: 'user', content: 'Say hello.' }];
const options = { num_predict: 12, seed: 5, temperature: 0.8 };

await run(`ollama ${version('ollama')} (JavaScript)`, {
  async 'list, show, ps and version'() {
    assert((await client.list()).models.some((m) => m.name === model && m.details.parameter_size));
    assert((await client.show({ model })).capabilities.includes('completion'));
    assert((await client.ps()).models.some((m) => m.model === model));
    assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
  },
  async chat() {
    const whole = await client.chat({ model, messages, options });
    assert(whole.done && whole.message.role === 'assistant' && whole.eval_count > 0 && whole.prompt_eval_count > 0);
    const pieces = await collect(await client.chat({ model, messages, options, stream: true }));
    assert.equal(pieces.map((p) => p.message.content).join(''), whole.message.content);
    assert(pieces.at(-1).done && pieces.slice(0, -1).every((p) => !p.done));
  },
  async generate() {
    const whole = await client.generate({ model, prompt: 'def fib(n):', raw: true, options });
    const pieces = await collect(await client.generate({ model, prompt: 'def fib(n):', raw: true, options, stream: true }));
    assert.equal(pieces.map((p) => p.response).join(''), whole.response);
    if (settings.infill) assert.equal(typeof (await client.generate({ model, prompt: 'def fib(n):', suffix: 'return n', options })).response, 'string');
  },
  async format() {
    const format = { type: 'object', properties: { colour: { enum: ['red', 'green'] } }, required: ['colour'], additionalProperties: false };
    assert(['red', 'green'].includes(JSON.parse((await client.chat({ model, messages, format, options: { ...options, num_predict: 60 } })).message.content).colour));
  },
  async embed() {
    const { embeddings } = await client.embed({ model, input: ['a', 'b'] });
    assert(embeddings.length === 2 && Math.abs(Math.hypot(...embeddings[0]) - 1) < 1e-3);
  },
  async errors() {
    await assert.rejects(client.chat({ model, messages, options: { temperature: 7 } }), (e) => e.name === 'ResponseError' && e.status_code === 400 && /temperature/.test(e.message));
  },
  async abort() {
    const before = await metric('requests_cancelled_total');
    const stream = await client.generate({ model, prompt: 'a', raw: true, stream: true, options: { num_predict: 8000, ignore_eos: true } });
    let n = 0;
    await assert.rejects(async () => { for await (const _ of stream) if (++n === 3) stream.abort(); }, { name: 'AbortError' });
    await until(async () => (await metric('requests_cancelled_total')) === before + 1 && (await metric('requests_running')) === 0);
  },
});
