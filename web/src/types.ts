// What goes over the wire, as docs/page-api.md says it.

export interface Settings {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repeat_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  max_tokens?: number;
  seed?: number | null;
  stop?: string[];
}

export interface Model {
  id: string;
  kind: 'model' | 'adapter';
  context: number;
  has_chat: boolean;
  notice?: string;
}

export interface Info {
  version: string;
  models: Model[];
  defaults: Settings & { system?: string };
  limits: { body_bytes: number };
  filter: boolean;
}

export interface ConversationHead {
  id: string;
  title: string;
  created: number;
  updated: number;
  model: string;
  messages: number;
  snippet?: string;
}

export interface Stats {
  prompt_tokens?: number;
  cached_tokens?: number;
  tokens?: number;
  seconds?: number;
  first_seconds?: number;
  tokens_per_second?: number;
  context?: number;
}

export type Status = 'done' | 'generating' | 'stopped' | 'length' | 'error' | 'filtered';

export interface Message {
  id: string;
  parent: string | null;
  role: 'user' | 'assistant';
  content: string;
  created: number;
  model?: string;
  status: Status;
  stats?: Stats;
  error?: string | { message?: string };
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  model: string;
  system: string;
  settings: Settings;
  leaf: string | null;
  messages: Message[];
}

export interface PromptProgress { tokens: number; done: number; cached?: number }

export interface AnswerEvent {
  prompt?: PromptProgress;
  text?: string;
  at?: number;
  tokens?: number;
  done?: { status: Status; stats?: Stats; error?: string | { message?: string } };
}

export interface Count { tokens: number; context: number }

/** The text of an error however the server dressed it. */
export function errorText(error: string | { message?: string } | undefined): string {
  if (!error) return '';
  return typeof error === 'string' ? error : error.message ?? 'unknown error';
}
