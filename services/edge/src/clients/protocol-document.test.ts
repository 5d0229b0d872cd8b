import { readFileSync } from 'node:fs';
import type {
  Gap,
  PublicationMessage,
  Resync,
  ServerMessage,
  SubscribedChannel,
} from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { RULES } from '../../../../test/support/clients/document-client-rules.ts';
import { DEFAULTS } from './testing/fan-out-server.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8');

type Named<Value> = { readonly [Field in keyof Required<Value>]: true };

/** Every field of every message: the compiler asks for those that are missing here. */
const FIELDS: {
  readonly [Type in ServerMessage['type']]: Named<
    Omit<Extract<ServerMessage, { type: Type }>, 'type'>
  >;
} = {
  welcome: {
    ...{ session: true, node: true, serverTime: true, protocol: true },
    ...{ auth: true, heartbeat: true, limits: true, reconnect: true },
  },
  subscribed: { id: true, channels: true, rejected: true, done: true },
  reference: { ref: true, id: true, data: true },
  unsubscribed: { id: true, channels: true, reason: true },
  authenticated: { id: true, subject: true, expiresInMs: true },
  expiring: { expiresInMs: true, graceMs: true },
  gap: { channel: true, epoch: true, from: true, to: true, lost: true, reason: true },
  resync: { channel: true, epoch: true, offset: true, reason: true },
  degraded: { since: true, channels: true },
  restored: {},
  reconnect: { afterMs: true, deadlineMs: true, reason: true },
  pong: { id: true, serverTime: true },
  error: { id: true, code: true, message: true, retryable: true, retryAfterMs: true },
};
const PUBLICATION: Named<PublicationMessage> = {
  ...{ seq: true, channel: true, offset: true, ts: true, skipped: true, data: true },
};
const SUBSCRIBED_CHANNEL: Named<SubscribedChannel> = {
  ...{ channel: true, ref: true, ts: true, epoch: true, offset: true },
  ...{ recovered: true, replayed: true, reason: true, latest: true, skipped: true },
};
const GAP_REASONS: { readonly [Reason in Gap['reason']]: true } = {
  ...{ slow: true, trimmed: true, link: true, unreadable: true, too_large: true },
};

const RESYNC_REASONS: { readonly [Reason in Resync['reason']]: true } = {
  ...{ started: true, history_lost: true },
};

/** The cells of the table that follows a text, without its head. */
function tableAfter(text: string): string[][] {
  const [, after] = DOCUMENT.split(text);
  const lines = (after ?? '').split('\n');
  const first = lines.findIndex((line) => line.startsWith('|'));
  const end = lines.findIndex((line, i) => i > first && !line.startsWith('|'));
  return lines.slice(first + 2, end).map((line) => line.split('|').slice(1, -1));
}

/** What stands in code in a cell. */
function namesIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
}

function firstNames(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap(([cell]) => namesIn(cell));
}

/** The sentences of the numbered rules, each on one line. */
function numberedRules(): { readonly number: number; readonly sentence: string }[] {
  const [, rules = ''] = DOCUMENT.split('\n## Rules for a client\n');
  return [...rules.matchAll(/^(\d+)\. (.*)$/gm)].map(([, number, sentence]) => ({
    number: Number(number),
    sentence: sentence!,
  }));
}

describe('docs/protocol.md', () => {
  it('lists exactly the messages of the protocol and their fields', () => {
    const rows = tableAfter('Every other frame has a `type`:');
    const listed = rows.map(([type, fields]) => [namesIn(type)[0], namesIn(fields)]);
    expect(Object.fromEntries(listed)).toEqual(
      Object.fromEntries(Object.entries(FIELDS).map(([type, of]) => [type, Object.keys(of)])),
    );
  });

  it('lists exactly the fields of a publication and of a channel in an answer', () => {
    expect(firstNames(tableAfter('A frame without `type` is a publication:'))).toEqual(
      Object.keys(PUBLICATION),
    );
    expect(firstNames(tableAfter('Of `subscribed`, each of `channels` has'))).toEqual(
      Object.keys(SUBSCRIBED_CHANNEL),
    );
  });

  it('lists exactly the reasons of a gap and of a resync', () => {
    const rows = tableAfter('without it nobody knows. Its `reason`:');
    expect(firstNames(rows)).toEqual(Object.keys(GAP_REASONS));
    expect(firstNames(tableAfter('The `reason` of a `resync`:'))).toEqual(
      Object.keys(RESYNC_REASONS),
    );
  });

  it('lists exactly the fields of `welcome`, those of its objects included', () => {
    const { heartbeat, limits, ...rest } = DEFAULTS.welcome;
    const nested = (name: string, value: object) =>
      Object.keys(value).map((field) => `${name}.${field}`);
    const documented = tableAfter('Of `welcome`:').flatMap(([cell]) => namesIn(cell));
    expect(documented.toSorted()).toEqual(
      [
        ...['session', 'serverTime', 'protocol', 'reconnect.spreadMs', ...Object.keys(rest)],
        ...[...nested('heartbeat', heartbeat), ...nested('limits', limits)],
      ].toSorted(),
    );
  });

  it('has the rules that the document client is made of, word for word, and no other', () => {
    const sentences = Object.values(RULES).map(({ sentence }) => sentence);
    expect(numberedRules()).toEqual(sentences.map((sentence, i) => ({ number: i + 1, sentence })));
  });

  it('refers to rules by their present numbers', () => {
    const numberOf = (text: string) =>
      numberedRules().find(({ sentence }) => sentence.includes(text))?.number;
    expect(DOCUMENT).toContain(`larger after rule ${numberOf('the reason `offset_ahead`')}.`);
    expect(DOCUMENT).toContain(`that rule ${numberOf('the replay moves you on')} does not cover`);
    expect(DOCUMENT).toContain(`it is as in rule ${numberOf('from 0 to a bound')}, with`);
  });
});
