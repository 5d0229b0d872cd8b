import { MAX_CHANNELS_PER_REQUEST } from '@tradewind/protocol';
import type { createRandom } from '../support/suite/random.ts';
import { CHANNELS, EPOCH } from './channels.ts';
import { clientFrame } from './frames.ts';

/** One input of a client: a message, or several that belong together. */
export interface Input {
  /** The production of the grammar that made it. */
  readonly kind: string;
  /** Frames, ready to be sent. */
  readonly bytes: Buffer;
  readonly messages: number;
}

/**
 * The inputs of a client: valid messages, these and junk, or only requests that make an edge send history again and
 * again; `odd` does the latter for channels with wrong values in Redis.
 */
export type Appetite = 'messages' | 'everything' | 'past' | 'odd';

/** The result of a production before it is cut into frames. */
type Message = Readonly<Record<string, unknown>>;

/** Names that every object of JavaScript has, and similar ones. */
const INHERITED = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype', 'length'];

const RESERVED = ['tw:probe:x', 'tw:heartbeat', 'tw:'];

const BAD_NAMES = ['', ' ', 'a b', '{x}', '*', 'x'.repeat(129), 'ä', '\u0000', '"', '-x'];

/** The largest payload of a frame that edges accept, in bytes: 32 KiB by default. */
const LARGEST_FRAME = 32 * 1024;

const FROM_THE_START: Message = { since: { epoch: EPOCH, offset: 0 } };

/** How often one message is repeated. */
const REPEATS = [2, 3, 5, 10, 30, 100];

/** One in this many inputs is not a message of the protocol. */
const JUNK_EVERY = 8;

/**
 * Makes random inputs, the same ones from the same seed. Most are valid messages. Others are those of a hostile client:
 * repeated, as large as possible, and again.
 */
export class InputGrammar {
  readonly #random: ReturnType<typeof createRandom>;
  readonly #appetite: Appetite;
  #invented = 0;

  constructor(random: ReturnType<typeof createRandom>, appetite: Appetite) {
    this.#random = random;
    this.#appetite = appetite;
  }

  next(): Input {
    if (this.#appetite === 'odd') return inputOf(this.#glut(CHANNELS.odd, [FROM_THE_START]), 1);
    if (this.#appetite === 'past') return inputOf(this.#glutOfAny(), 1);
    if (this.#appetite === 'everything' && this.#isOneIn(JUNK_EVERY)) return this.#junk();
    const messages = this.#messages();
    const times = this.#isOneIn(6) ? Math.ceil(this.#pick(REPEATS) / messages.length) : 1;
    return inputOf(messages, times);
  }

  #messages(): readonly Message[] {
    switch (this.#random.below(10)) {
      case 0:
        return [{ type: 'ping', ...this.#id() }];
      case 1:
        if (this.#appetite === 'messages') return [this.#unsubscribe()];
        return [{ type: 'auth', token: 'x'.repeat(this.#between(0, 400)), ...this.#id() }];
      case 2:
        return [this.#unsubscribe()];
      case 3:
        return [this.#withUnknownFields({ type: 'subscribe', channels: this.#mentions() })];
      case 4:
      case 5:
        return this.#churn(this.#between(1, 8));
      default:
        return [{ type: 'subscribe', channels: this.#mentions(), ...this.#id() }];
    }
  }

  /** Leaves and joins again for the history: the highest cost for the smallest input. */
  #churn(count: number): readonly Message[] {
    const names = this.#names(count);
    return [
      { type: 'unsubscribe', channels: names },
      { type: 'subscribe', channels: names.map((channel) => this.#withPast(channel)) },
    ];
  }

  #glutOfAny(): readonly Message[] {
    if (this.#isOneIn(4)) return this.#churn(this.#between(1, 3));
    const { long, tooLong, broken, odd } = CHANNELS;
    return this.#glut(this.#pick([long, long, tooLong, tooLong, broken, odd]));
  }

  /** Leaves some of these channels, and joins them again for their whole history. */
  #glut(
    kind: readonly string[],
    pasts: readonly Message[] = [{ history: 1_000 }, FROM_THE_START],
  ): readonly Message[] {
    const names = kind.slice(0, this.#between(1, kind.length));
    const past = this.#pick(pasts);
    return [
      { type: 'unsubscribe', channels: names },
      { type: 'subscribe', channels: names.map((channel) => ({ channel, ...past })) },
    ];
  }

  #unsubscribe(): Message {
    return { type: 'unsubscribe', channels: this.#names(this.#howMany()), ...this.#id() };
  }

  #mentions(): readonly unknown[] {
    const share = this.#random.below(3);
    return this.#names(this.#howMany()).map((channel) =>
      share > 0 && this.#random.below(3) < share ? this.#withPast(channel) : channel,
    );
  }

  #withPast(channel: string): Message {
    const offset = this.#pick([0, 1, 19, 20, 21, 50, 100, 199, 999, 1_000, 1_001, 2 ** 53 - 1]);
    const since = this.#pick<unknown>([
      { epoch: EPOCH, offset },
      { epoch: EPOCH, offset: this.#between(0, 1_000) },
      { epoch: 'other', offset },
      { epoch: EPOCH, offset: -1 },
      undefined,
    ]);
    const history = this.#pick<unknown>([0, 1, 100, 1_000, 1_000, 1_001, -1, '5', undefined]);
    const latest = this.#pick<unknown>([
      ...[undefined, undefined, undefined, { everyMs: 100 }, { everyMs: 250 }],
      ...[{ everyMs: 2_000 }, { everyMs: 1 }, '250'],
    ]);
    return { channel, latest, ...(this.#isOneIn(2) ? { history } : { since }) };
  }

  /** One name, the same name several times, or distinct names: of channels that are held, pending, or never were. */
  #names(count: number): string[] {
    const kinds = Object.values(CHANNELS);
    switch (this.#random.below(6)) {
      case 0: {
        const name = this.#pick(this.#pick(kinds));
        return Array.from({ length: count }, () => name);
      }
      case 1:
        return Array.from({ length: count }, () => this.#invent());
      case 2: {
        const names = this.#pick(kinds);
        return Array.from({ length: count }, () => this.#pick(names));
      }
      case 3:
        return Array.from({ length: count }, () => this.#pick([...INHERITED, ...BAD_NAMES]));
      default:
        return Array.from({ length: count }, () => this.#name());
    }
  }

  #name(): string {
    const kind = this.#random.below(16);
    if (kind === 0) return this.#pick(RESERVED);
    if (kind === 1) return this.#pick(BAD_NAMES);
    if (kind === 2) return this.#pick(INHERITED);
    if (kind < 6) return this.#invent();
    return this.#pick(this.#pick(Object.values(CHANNELS)));
  }

  #invent(): string {
    this.#invented += 1;
    return `new.${this.#invented}`;
  }

  #howMany(): number {
    switch (this.#random.below(4)) {
      case 0:
        return 1;
      case 1:
        return this.#between(2, 10);
      case 2:
        return MAX_CHANNELS_PER_REQUEST;
      default:
        return this.#between(1, MAX_CHANNELS_PER_REQUEST);
    }
  }

  #id(): Message {
    switch (this.#random.below(5)) {
      case 0:
        return { id: this.#between(-10, 1_000) };
      case 1:
        return { id: 'x'.repeat(this.#between(0, 64)) };
      case 2:
        return { id: 'é'.repeat(32) };
      case 3:
        return { id: Number.MAX_SAFE_INTEGER };
      default:
        return {};
    }
  }

  #withUnknownFields(message: Message): Message {
    const fields: Record<string, unknown> = { ...message };
    const count = this.#between(1, 20);
    for (let i = 0; i < count; i += 1) fields[`field${i}`] = 'x'.repeat(this.#between(0, 200));
    return fields;
  }

  #junk(): Input {
    const [kind, bytes, messages] = this.#junkFrames();
    return { kind: `junk: ${kind}`, bytes, messages };
  }

  #junkFrames(): readonly [string, Buffer, number] {
    const text = (body: string): Buffer => clientFrame('text', body);
    const size = this.#pick([0, 1, 125, 126, 1_000, 16_000]);
    switch (this.#random.below(13)) {
      case 0:
        return ['binary', clientFrame('binary', Buffer.alloc(size, 0xff)), 1];
      case 1:
        return ['no JSON', text('{"type":'.repeat(this.#between(1, 200))), 1];
      case 2:
        return [
          'deep lists',
          text('['.repeat(LARGEST_FRAME / 2) + ']'.repeat(LARGEST_FRAME / 2)),
          1,
        ];
      case 3:
        return ['deep objects', text(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`), 1];
      case 4: {
        const [one, other] = [this.#pick(INHERITED), this.#pick(INHERITED)];
        return ['inherited names', text(`{"${one}":{"${other}":1},"type":"${other}"}`), 1];
      }
      case 5:
        return ['a huge number', text(`{"type":"ping","id":${'9'.repeat(size + 1)}}`), 1];
      case 6:
        return ['a huge id', text(`{"type":"ping","id":"${'x'.repeat(size)}"}`), 1];
      case 7:
        return ['escapes', text(`{"type":"${'\\u0041'.repeat(Math.floor(size / 6))}"}`), 1];
      case 8:
        return [
          'many fields',
          text(
            `{${numbers(4_000)
              .map((n) => `"${n}":0`)
              .join()}}`,
          ),
          1,
        ];
      case 9:
        return [
          '129 channels',
          text(`{"type":"subscribe","channels":[${numbers(129).map(() => '"a"')}]}`),
          1,
        ];
      case 10: {
        const pieces = this.#between(2, 20);
        const first = clientFrame('text', '{', false);
        const rest = numbers(pieces).map((n) => clientFrame('continuation', ' ', n === pieces - 1));
        return ['fragments', Buffer.concat([first, ...rest]), 1];
      }
      case 11: {
        const count = this.#between(1, 40);
        const frame = clientFrame(this.#pick(['ping', 'pong']), 'x'.repeat(this.#between(0, 125)));
        return ['control frames', Buffer.concat(numbers(count).map(() => frame)), count];
      }
      default:
        return this.#isOneIn(4)
          ? ['not UTF-8', clientFrame('text', Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1]
          : ['tiny frames', Buffer.concat(numbers(40).map(() => text('1'))), 40];
    }
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }

  /** Bounds included. */
  #between(least: number, most: number): number {
    return least + this.#random.below(most - least + 1);
  }

  #isOneIn(count: number): boolean {
    return this.#random.below(count) === 0;
  }
}

function inputOf(messages: readonly Message[], times: number): Input {
  const frames = messages.map((message) => clientFrame('text', JSON.stringify(message)));
  return {
    kind: messages.map(({ type }) => String(type)).join('+') + (times > 1 ? ' repeated' : ''),
    bytes: Buffer.concat(Array.from({ length: times }, () => frames).flat()),
    messages: times * frames.length,
  };
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}
