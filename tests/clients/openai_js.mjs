// The openai package for JavaScript, unmodified, against the server.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { collect, metric, model, onlyTiny, rejects, run, settings, url, until, version } from './checks.mjs';

const client = new OpenAI({ baseURL: url + '/v1', apiKey: 'none', maxRetries: 0, timeout: 120_000 });
const messages = [{ role: 'system', content: 'You are brief.' }, { role: 'user', content: [{ type: 'text', text: 'Say hello.' }] }];
const common = { model, messages, max_tokens: 12, seed: 5, temperature: 0.8 };
const paint = {
  type: 'function',
  function: {
    name: 'paint', parameters: {
      type: 'object', properties: { colour: { type: 'string', enum: ['red', 'green', 'blue'] }, coats: { type: 'integer', minimum: 1, maximum: 9 } },
      required: ['colour', 'coats'], additionalProperties: false,
    },
  },
};
const Wall = z.object({ colour: z.enum(['red', 'green', 'blue']), coats: z.number().int().min(1).max(9), isDry: z.boolean() });
const chat = (more = {}) => client.chat.completions.create({ ...common, ...more });
const keyed = (more) => new OpenAI({ baseURL: settings.keyed + '/v1', apiKey: settings.key, maxRetries: 0, ...more });

await run(`openai ${version('openai')} (JavaScript)`, {
  async models() {
    assert((await collect(client.models.list())).some((m) => m.id === model));
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  async chat() {
    const a = await chat();
    assert.equal(a.object, 'chat.completion');
    assert.equal(typeof a.choices[0].message.content, 'string');
    assert.equal(a.usage.total_tokens, a.usage.prompt_tokens + a.usage.completion_tokens);
    assert.equal((await chat()).choices[0].message.content, a.choices[0].message.content);
  },
  async 'stream'() {
    const whole = (await chat()).choices[0], chunks = await collect(await chat({ stream: true }));
    assert.equal(chunks.map((c) => c.choices[0].delta.content ?? '').join(''), whole.message.content);
    assert.equal(chunks.at(-1).choices[0].finish_reason, whole.finish_reason);
    assert(chunks.every((c) => c.id === chunks[0].id && !c.usage));
  },
  async 'stream with usage'() {
    const { usage } = await chat(), chunks = await collect(await chat({ stream: true, stream_options: { include_usage: true } }));
    const last = chunks.pop();
    assert.deepEqual([last.choices, last.usage.completion_tokens, last.usage.prompt_tokens], [[], usage.completion_tokens, usage.prompt_tokens]);
    assert(chunks.every((c) => c.usage === null));
  },
  async 'stream helper'() {
    onlyTiny();
    const runner = client.chat.completions.stream({ ...common, stream_options: { include_usage: true } });
    let text = '';
    runner.on('content', (piece) => { text += piece; });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].message.content, text);
    assert.equal(text, (await chat()).choices[0].message.content);
    assert((await runner.totalUsage()).total_tokens > 0);
  },
  async logprobs() {
    onlyTiny();
    const { logprobs } = (await chat({ logprobs: true, top_logprobs: 2 })).choices[0];
    assert(logprobs.content.length && logprobs.content.every((t) => t.logprob <= 0 && t.top_logprobs.length === 2));
  },
  async completions() {
    const ask = (more) => client.completions.create({ model, prompt: 'def fib(n):', max_tokens: 8, temperature: 0, ...more });
    const a = await ask();
    assert.equal((await collect(await ask({ stream: true }))).map((c) => c.choices[0].text).join(''), a.choices[0].text);
    const { text, logprobs } = (await ask({ echo: true, logprobs: 1 })).choices[0];
    assert(text.startsWith('def fib(n):') && logprobs.token_logprobs[0] === null && logprobs.token_logprobs.length === logprobs.tokens.length);
    if (settings.infill) assert((await ask({ suffix: '\nprint(fib(3))' })).choices[0].text);
    else assert.equal((await rejects(OpenAI.BadRequestError, ask({ suffix: '\nprint(fib(3))' }))).code, 'no_infill');
  },
  async embeddings() {
    const base64 = await client.embeddings.create({ model, input: ['a', 'b'] }), floats = await client.embeddings.create({ model, input: 'a', encoding_format: 'float' });
    assert.equal(base64.data.length, 2);
    assert.equal(base64.data[0].embedding.length, floats.data[0].embedding.length);
    assert(base64.data[0].embedding.every((x, i) => Math.abs(x - floats.data[0].embedding[i]) < 1e-6));
  },
  async 'tools required'() {
    const { message, finish_reason } = (await chat({ tools: [paint], tool_choice: 'required', max_tokens: 100 })).choices[0];
    assert.equal(finish_reason, 'tool_calls');
    assert(['red', 'green', 'blue'].includes(JSON.parse(message.tool_calls[0].function.arguments).colour));
  },
  async 'tools streamed'() {
    const runner = client.chat.completions.stream({ ...common, tools: [paint], tool_choice: { type: 'function', function: { name: 'paint' } }, max_tokens: 100 });
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    assert.deepEqual([finish_reason, message.tool_calls[0].function.name], ['tool_calls', 'paint']);
    assert(JSON.parse(message.tool_calls[0].function.arguments).coats >= 1);
  },
  async 'tool runner'() {
    onlyTiny();
    // The package calls the function itself and sends the result back; then the model may say what it likes.
    const calls = [];
    const runner = client.chat.completions.runTools({
      ...common, max_tokens: 100, tool_choice: { type: 'function', function: { name: 'paint' } },
      tools: [{ type: 'function', function: { ...paint.function, parse: JSON.parse, function: (args) => { calls.push(args); return 'done'; } } }],
    });
    await runner.done();
    assert.equal(calls.length, 1);
    assert(runner.messages.some((m) => m.role === 'tool' && m.content === 'done'));
  },
  async parse() {
    const a = await client.chat.completions.parse({ ...common, max_tokens: 100, response_format: zodResponseFormat(Wall, 'wall') });
    assert(Wall.safeParse(a.choices[0].message.parsed).success);
  },
  async errors() {
    onlyTiny();
    const bad = await rejects(OpenAI.BadRequestError, chat({ temperature: 5 }));
    assert.deepEqual([bad.status, bad.param, bad.type], [400, 'temperature', 'invalid_request_error']);
    assert.equal((await rejects(OpenAI.NotFoundError, client.models.retrieve('none'))).code, 'model_not_found');
    assert.equal((await rejects(OpenAI.AuthenticationError, keyed({ apiKey: 'wrong' }).models.list())).code, 'invalid_api_key');
  },
  async 'error 429 and retries'() {
    onlyTiny();
    const long = { model: 'any', prompt: 'a', max_tokens: 8000, ignore_eos: true, stream: true, temperature: 1 };
    const running = await keyed().completions.create(long);
    const [waits, goes] = [await keyed().completions.create(long), running[Symbol.asyncIterator]()];
    await goes.next();
    const e = await rejects(OpenAI.RateLimitError, keyed().completions.create({ model: 'any', prompt: 'a', max_tokens: 1 }));
    assert.deepEqual([e.status, e.code], [429, 'queue_full']);
    const refused = () => metric('http_requests_total{status="429"}', settings.keyed), before = await refused();
    until(async () => (await refused()) > before, 60).then(() => { running.controller.abort(); waits.controller.abort(); });
    assert((await keyed({ maxRetries: 5 }).completions.create({ model: 'any', prompt: 'a', max_tokens: 1 })).choices.length);
  },
  async 'cancel by leaving the loop'() {
    onlyTiny();
    const before = await metric('requests_cancelled_total');
    let n = 0;
    for await (const _ of await client.completions.create({ model, prompt: 'a', max_tokens: 8000, ignore_eos: true, stream: true, temperature: 1 })) if (++n === 3) break;
    await until(async () => (await metric('requests_cancelled_total')) === before + 1 && (await metric('requests_running')) === 0);
  },
});
