/**
 * What pages of a console ask of all edges, and what an edge answers (docs/adr/0068-a-console-asks-through-one-key.md). Nobody
 * answers while nobody asks.
 */

import type { CloseReason } from '@tradewind/protocol';
import { NODES_TAG } from './node-state.ts';

/** The key of what pages ask: a string, the JSON of {@link ConsoleWatch}. */
export const CONSOLE_WATCH_KEY = 'tw:console:watch';

/** How long a question stands after the console last wrote it, in ms: edges stop soon after the last page has gone. */
export const CONSOLE_WATCH_EXPIRY_MS = 5_000;

/** How long an answer is kept, in ms: an edge that is gone must not seem to answer. */
export const NODE_ANSWER_EXPIRY_MS = 3_000;

/** The most lists, channels and searches that are asked for at a time. They bound what an edge does for pages. */
export const MAX_WATCHED_LISTS = 4;
export const MAX_WATCHED_CHANNELS = 8;
export const MAX_CLIENT_SEARCHES = 8;

/** The most rows of a list of channels, and of the clients that one search finds on an edge. */
export const MAX_LISTED_CHANNELS = 100;
export const MAX_FOUND_CLIENTS = 20;

/** The longest text that is searched for, in characters. */
const MAX_SEARCH_CHARACTERS = 200;

/** The most bytes of an answer: 100 edges then write 6.4 MB a second at worst, and some 500 KB as a rule. */
export const MAX_NODE_ANSWER_BYTES = 65_536;

/** The key of what a node answers: a string, the JSON of {@link NodeAnswer}. */
export function nodeAnswerKey(node: string, isCluster = false): string {
  return `tw:node:${isCluster ? NODES_TAG : ''}${node}:answer`;
}

/** What a list of channels begins with: the busiest, those with the most subscribers, or the most silent ones. */
export const CHANNEL_ORDERS = ['rate', 'subscribers', 'quiet'] as const;
export type ChannelOrder = (typeof CHANNEL_ORDERS)[number];

/** A list of channels that pages ask for. */
export interface WatchedList {
  readonly order: ChannelOrder;
  /** The text that a name must contain. Empty: every name is meant. */
  readonly text: string;
}

/** All that pages ask for. */
export interface ConsoleWatch {
  readonly lists: readonly WatchedList[];
  readonly channels: readonly string[];
  /** A session, a subject or a network in full; empty for the clients that are furthest behind and those that ended last. */
  readonly clients: readonly string[];
}

/** A channel on one edge. */
export interface ChannelReading {
  readonly channel: string;
  /** Publications a second. */
  readonly rate: number;
  /** Clients of this edge. */
  readonly subscribers: number;
  /** Since the last publication, in ms; -1 where none has come. */
  readonly ageMs: number;
  /** What binary frames save these clients, in bytes a second. Missing from an edge of an earlier release. */
  readonly saved?: number;
}

/** What one edge knows of a channel that a page looks at. */
export interface ChannelPosition extends ChannelReading {
  /** Missing for a channel without offsets, and until they are known. */
  readonly epoch?: string;
  readonly offset?: number;
  /** `lost`: the edge is cut off from Redis. `starting`: Redis has not confirmed the subscription yet. */
  readonly state: 'live' | 'starting' | 'lost';
}

/** A client of an edge, or one that was. */
export interface FoundClient {
  readonly session: string;
  /** Missing where the edge does not ask, or the client has not said it. */
  readonly subject?: string;
  /** Its network (/24, or /64 of IPv6); empty where the edge does not know it. */
  readonly network: string;
  /** ms of the edge's clock. */
  readonly openedAt: number;
  /** Channels that it holds. */
  readonly channels: number;
  /** Publications that wait for it. */
  readonly queue: number;
  /** Its socket has taken no byte for this long, in ms; 0 while it does. */
  readonly stalledMs: number;
  /** It was refused publications that it has not been given or told of yet. */
  readonly isBehind: boolean;
  /** Requests that were refused because it asked too fast. */
  readonly ignoredRequests: number;
  /** Missing while it is connected. */
  readonly endedAt?: number;
  readonly reason?: CloseReason;
}

/** What one search found on an edge. */
export interface ClientSearch {
  readonly text: string;
  readonly clients: readonly FoundClient[];
}

/** What an edge answers. */
export interface NodeAnswer {
  readonly node: string;
  readonly lists: readonly (WatchedList & { readonly channels: readonly ChannelReading[] })[];
  readonly channels: readonly ChannelPosition[];
  readonly searches: readonly ClientSearch[];
}

/** Parses what pages ask for. Undefined if no page asks, or if the text is invalid. Leaves out what exceeds a bound. */
export function readConsoleWatch(text: string | null): ConsoleWatch | undefined {
  const value = parse(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const { lists, channels, clients } = value as Record<string, unknown>;
  if (!Array.isArray(lists) || !Array.isArray(channels) || !Array.isArray(clients)) {
    return undefined;
  }
  return {
    lists: lists
      .filter(isWatchedList)
      .slice(0, MAX_WATCHED_LISTS)
      .map(({ order, text: wanted }) => ({ order, text: wanted })),
    channels: channels.filter(isSearchText).slice(0, MAX_WATCHED_CHANNELS),
    clients: clients.filter(isSearchText).slice(0, MAX_CLIENT_SEARCHES),
  };
}

/** The JSON of an answer. Of its longest list the last rows are left out until it fits. */
export function encodeNodeAnswer(answer: NodeAnswer): string {
  let share = 1;
  for (;;) {
    const part = <T>(rows: readonly T[]): readonly T[] =>
      rows.slice(0, Math.ceil(rows.length * share));
    const text = JSON.stringify({
      ...answer,
      lists: answer.lists.map((list) => ({ ...list, channels: part(list.channels) })),
      searches: answer.searches.map((search) => ({ ...search, clients: part(search.clients) })),
    });
    if (Buffer.byteLength(text) <= MAX_NODE_ANSWER_BYTES || share < 0.01) return text;
    share /= 2;
  }
}

/** Reads an answer. Undefined if it is none. */
export function readNodeAnswer(text: string | null): NodeAnswer | undefined {
  const value = parse(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const { node, lists, channels, searches } = value as Record<string, unknown>;
  const isAnswer =
    typeof node === 'string' &&
    Array.isArray(lists) &&
    lists.every((list) => isWatchedList(list) && isArrayOf(list, 'channels', isReading)) &&
    Array.isArray(channels) &&
    channels.every(isReading) &&
    Array.isArray(searches) &&
    searches.every((search) => isArrayOf(search, 'clients', isFoundClient));
  return isAnswer ? (value as NodeAnswer) : undefined;
}

function isWatchedList(value: unknown): value is WatchedList {
  if (typeof value !== 'object' || value === null) return false;
  const { order, text } = value as Record<string, unknown>;
  return CHANNEL_ORDERS.some((each) => each === order) && isSearchText(text);
}

/** Whether a value is a text that may be searched for. */
export function isSearchText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_SEARCH_CHARACTERS;
}

function isArrayOf(value: unknown, name: string, isOne: (each: unknown) => boolean): boolean {
  const rows = (value as Readonly<Record<string, unknown>> | null)?.[name];
  return Array.isArray(rows) && rows.every(isOne);
}

function isReading(value: unknown): boolean {
  const { channel, rate, subscribers, ageMs, saved = 0 } = (value ?? {}) as Record<string, unknown>;
  return typeof channel === 'string' && [rate, subscribers, ageMs, saved].every(Number.isFinite);
}

function isFoundClient(value: unknown): boolean {
  const { session, network, openedAt, queue } = (value ?? {}) as Record<string, unknown>;
  const hasNames = typeof session === 'string' && typeof network === 'string';
  return hasNames && Number.isFinite(openedAt) && Number.isFinite(queue);
}

function parse(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
