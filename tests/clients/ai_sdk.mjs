// Vercel's AI SDK with its provider for compatible servers, unmodified, against the server.
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateObject, generateText, Output, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';
import { collect, metric, model as name, rejects, run, settings, url, until, version } from './checks.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const provider = createOpenAICompatible({ name: 'starchat', baseURL: url + '/v1', includeUsage: true, supportsStructuredOutputs: true });
const model = provider(name);
const common = { model, system: 'You are brief.', prompt: 'Say hello.', maxOutputTokens: 12, seed: 5, temperature: 0.8, maxRetries: 0 };
const Wall = z.object({ colour: z.enum(['red', 'green', 'blue']), coats: z.number().int().min(1).max(9), isDry: z.boolean() });

await run(`ai ${version('ai')} with @ai-sdk/openai-compatible ${version('@ai-sdk/openai-compatible')}`, {
  async generateText() {
    const a = await generateText(common);
    assert.equal(typeof a.text, 'string');
    assert(['stop', 'length'].includes(a.finishReason) && a.usage.inputTokens > 0 && a.usage.outputTokens > 0);
    assert.equal(a.response.modelId, name);
  },
  async streamText() {
    const a = streamText(common), text = (await collect(a.textStream)).join('');
    assert.equal(text, (await generateText(common)).text);
    assert((await a.usage).outputTokens > 0 && ['stop', 'length'].includes(await a.finishReason));
  },
  async generateObject() {
    const { object, usage } = await generateObject({ ...common, maxOutputTokens: 100, schema: Wall });
    assert(Wall.safeParse(object).success && usage.outputTokens > 0);
  },
  async 'output of an object'() {
    assert(Wall.safeParse((await generateText({ ...common, maxOutputTokens: 100, output: Output.object({ schema: Wall }) })).output).success);
  },
  async streamObject() {
    const a = streamObject({ ...common, maxOutputTokens: 100, schema: Wall });
    assert((await collect(a.partialObjectStream)).length);
    assert(Wall.safeParse(await a.object).success);
  },
  async 'tools'() {
    const calls = [];
    const paint = tool({ description: 'Paints a wall', inputSchema: Wall, execute: async (wall) => { calls.push(wall); return 'done'; } });
    const a = await generateText({ ...common, maxOutputTokens: 100, tools: { paint }, toolChoice: 'required' });
    assert.deepEqual([a.finishReason, a.toolCalls[0].toolName, calls.length, a.toolResults[0].output], ['tool-calls', 'paint', 1, 'done']);
  },
  async 'tools streamed'() {
    const a = streamText({ ...common, maxOutputTokens: 100, tools: { paint: tool({ inputSchema: Wall }) }, toolChoice: { type: 'tool', toolName: 'paint' } });
    const kinds = (await collect(a.fullStream)).map((part) => part.type);
    assert(kinds.includes('tool-input-delta') && kinds.includes('tool-call'), kinds.join(' '));
    assert(Wall.safeParse((await a.toolCalls)[0].input).success);
  },
  async 'completions'() {
    assert.equal(typeof (await generateText({ model: provider.completionModel(name), prompt: 'def fib(n):', maxOutputTokens: 8, maxRetries: 0 })).text, 'string');
  },
  async embedMany() {
    const { embeddings } = await embedMany({ model: provider.embeddingModel(name), values: ['a', 'b', 'c'], maxRetries: 0 });
    assert(embeddings.length === 3 && embeddings.every((e) => Math.abs(Math.hypot(...e) - 1) < 1e-3));
  },
  async errors() {
    const e = await rejects(APICallError, generateText({ ...common, temperature: 5 }));
    assert(e.statusCode === 400 && !e.isRetryable && /temperature/.test(e.message));
    const keyed = createOpenAICompatible({ name: 'starchat', baseURL: settings.keyed + '/v1', apiKey: 'wrong' });
    assert.equal((await rejects(APICallError, generateText({ ...common, model: keyed('any') }))).statusCode, 401);
  },
  async 'abort'() {
    const before = await metric('requests_cancelled_total'), controller = new AbortController();
    const endless = createOpenAICompatible({ name: 'starchat', baseURL: url + '/v1', transformRequestBody: (body) => ({ ...body, ignore_eos: true }) });
    const a = streamText({ ...common, model: endless(name), maxOutputTokens: 7000, abortSignal: controller.signal, onError() {} });
    let n = 0;
    try { for await (const _ of a.textStream) if (++n === 3) controller.abort(); } catch (e) { assert.equal(e.name, 'AbortError'); }
    await until(async () => (await metric('requests_cancelled_total')) === before + 1 && (await metric('requests_running')) === 0);
  },
});
