import { encodeServerMessage } from '@tradewind/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestConnection, LIMITS, type TestConnection } from '../testing/test-connection.ts';
import type { Connection } from './connection.ts';
import { StateNotices } from './state-notices.ts';

const ONE_A_TURN = Number.NEGATIVE_INFINITY;

describe('StateNotices', () => {
  it('tell each client the state once, with one frame for all', () => {
    const { notices, clients } = start(3);
    notices.setDegraded(7);
    tellAll(notices);
    notices.setRestored();
    tellAll(notices);
    notices.setRestored();
    tellAll(notices);
    const told = [{ type: 'degraded', since: 7 }, { type: 'restored' }];
    expect(clients.map(({ sent }) => sent())).toEqual([told, told, told]);
  });

  it('tell each client which of its channels are cut off, and nothing to one that has none', () => {
    const { notices, clients } = start(2);
    const held = new Map(
      clients.map(({ connection }, i) => [connection, i === 0 ? ['a', 'b'] : ['c']]),
    );
    const channelsOf = (connection: Connection) => held.get(connection) ?? [];
    notices.setCutOff(7, ['b', 'x'], channelsOf);
    tellAll(notices);
    notices.setCutOff(7, ['a', 'b'], channelsOf);
    tellAll(notices);
    notices.setRestored();
    tellAll(notices);
    expect(clients.map(({ sent }) => sent())).toEqual([
      [
        { type: 'degraded', since: 7, channels: ['b'] },
        { type: 'degraded', since: 7, channels: ['a', 'b'] },
        { type: 'restored' },
      ],
      [],
    ]);
  });

  it('tell a client nothing again when other channels than its own are cut off, too', () => {
    const { notices, clients } = start(1);
    const channelsOf = () => ['a', 'b'];
    for (const channels of [['b'], ['b', 'x'], ['x', 'b', 'y']]) {
      notices.setCutOff(7, channels, channelsOf);
      tellAll(notices);
    }
    notices.setCutOff(8, ['b'], channelsOf);
    tellAll(notices);
    notices.setRestored();
    tellAll(notices);
    expect(clients[0]?.sent()).toEqual([
      { type: 'degraded', since: 7, channels: ['b'] },
      { type: 'degraded', since: 8, channels: ['b'] },
      { type: 'restored' },
    ]);
  });

  it('tell no client of a state that ended before its turn came', () => {
    const { notices, clients } = start(3);
    notices.setDegraded(7);
    notices.sendSome(ONE_A_TURN);
    notices.setRestored();
    tellAll(notices);
    expect(clients.map(({ sent }) => sent().map(({ type }) => type))).toEqual([
      ['degraded', 'restored'],
      [],
      [],
    ]);
  });

  it('leave every client with the last state, in order, whenever it changes and clients come and go', () => {
    const step = fc.constantFrom(
      ...(['degraded', 'restored', 'tell', 'tell', 'come', 'go', 'fill', 'drain'] as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const { notices, clients, connections } = start(4);
        const states: (number | undefined)[] = [undefined];
        for (const [n, what] of steps.entries()) {
          if (what === 'degraded') {
            states.push(n);
            notices.setDegraded(n);
          } else if (what === 'restored') {
            states.push(undefined);
            notices.setRestored();
          } else if (what === 'tell') {
            notices.sendSome(ONE_A_TURN);
          } else if (what === 'come') {
            const client = createClient();
            clients.push(client);
            connections.add(client.connection);
            notices.sendTo(client.connection);
          } else if (what === 'fill') {
            fill(clients[n % clients.length]!);
          } else if (what === 'drain') {
            clients[n % clients.length]!.sink.drain();
          } else {
            const [gone] = connections;
            if (gone !== undefined) connections.delete(gone);
          }
        }
        tellAll(notices);
        for (const { sink } of clients) sink.drain();
        for (const client of clients) {
          const told = stateChanges(client);
          expect(isSubsequence(told, states)).toBe(true);
          if (connections.has(client.connection)) {
            expect(told.at(-1)).toBe(states.at(-1));
          }
          for (const [i, state] of told.entries()) if (i > 0) expect(state).not.toBe(told[i - 1]);
        }
      }),
    );
  });
});

function start(count: number) {
  const clients: TestConnection[] = Array.from({ length: count }, createClient);
  const connections = new Set<Connection>(clients.map(({ connection }) => connection));
  return { clients, connections, notices: new StateNotices(connections) };
}

function createClient(): TestConnection {
  return createTestConnection({ limits: { ...LIMITS, controls: 4 } });
}

/** The client reads nothing until its sink is drained, and has no room for another frame. */
function fill({ connection, sink }: TestConnection): void {
  sink.stalled = true;
  const other = encodeServerMessage({ type: 'pong', serverTime: 0 });
  do connection.flush();
  while (connection.outbox.offerControl(other) !== 'slow');
}

function tellAll(notices: StateNotices): void {
  while (notices.sendSome(ONE_A_TURN));
}

/** Since when the node is degraded, notice by notice; undefined for a node that is not, as before the first. */
function stateChanges({ sent }: TestConnection): (number | undefined)[] {
  return [
    undefined,
    ...sent()
      .filter(({ type }) => type === 'degraded' || type === 'restored')
      .map((message) => (message.type === 'degraded' ? message.since : undefined)),
  ];
}

function isSubsequence<T>(part: readonly T[], whole: readonly T[]): boolean {
  let next = 0;
  for (const one of whole) if (next < part.length && part[next] === one) next += 1;
  return next === part.length;
}
