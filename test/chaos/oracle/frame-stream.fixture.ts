import type { Position } from '@tradewind/protocol';
import { Ledger } from './ledger.ts';
import { Oracle } from './oracle.ts';
import type { ServerFrame } from './server-frame.ts';

/** One event in the life of a client. */
export type Step =
  | { readonly kind: 'publish'; readonly channel: number; readonly answeredLate: boolean }
  | { readonly kind: 'lose'; readonly channel: number; readonly count: number }
  | { readonly kind: 'refuse'; readonly channel: number; readonly count: number }
  | { readonly kind: 'new-epoch'; readonly channel: number }
  | { readonly kind: 'reconnect'; readonly missed: number; readonly recovered: boolean };

/** An input of an oracle. */
export type Event =
  | { readonly kind: 'frame'; readonly frame: ServerFrame }
  | { readonly kind: 'connected' }
  | { readonly kind: 'asked'; readonly channel: string }
  | {
      readonly kind: 'answered';
      readonly channel: string;
      readonly position: Position;
      readonly payload: string;
    }
  | { readonly kind: 'found'; readonly channel: string; readonly position: Position };

export const CHANNELS = ['BTC.trade', 'ETH.trade'];

/** The events of a client of an edge that makes no mistake. */
export function correctStream(steps: readonly Step[]): Event[] {
  const events: Event[] = [];
  const states = CHANNELS.map((channel) => {
    // An answer may come after the delivery, but the answers of a channel come in order.
    const late: Event[] = [];
    return { channel, epoch: 1, offset: 0, number: 0, late };
  });
  let seq = 0;
  const frame = (value: ServerFrame): void => void events.push({ kind: 'frame', frame: value });
  const nameOf = (state: (typeof states)[0]): string =>
    `${state.channel.slice(0, 3)}${state.epoch}`;
  const next = (state: (typeof states)[0], answeredLate: boolean) => {
    state.offset += 1;
    state.number += 1;
    const payload = `{"n":${state.number}}`;
    const position = { epoch: nameOf(state), offset: state.offset };
    const answered = { kind: 'answered', channel: state.channel, position, payload } as const;
    events.push(...state.late.splice(0));
    (answeredLate ? state.late : events).push(answered);
    return { channel: state.channel, offset: state.offset, data: payload };
  };
  const subscribe = (): void => {
    seq = 0;
    events.push({ kind: 'connected' });
    for (const { channel } of states) events.push({ kind: 'asked', channel });
  };

  subscribe();
  frame({
    type: 'subscribed',
    channels: states.map((state, ref) => ({
      ...{ channel: state.channel, ref, epoch: nameOf(state), offset: 0 },
    })),
    done: true,
  });
  for (const step of steps) {
    if (step.kind === 'reconnect') {
      const behind = states.map((state) => ({
        ...{ state, from: state.offset },
        missed: Array.from({ length: step.missed }, () => next(state, false)),
      }));
      subscribe();
      frame({
        type: 'subscribed',
        channels: behind.map(({ state }, ref) => ({
          ...{ channel: state.channel, ref, epoch: nameOf(state), offset: state.offset },
          ...(step.recovered
            ? { recovered: true, replayed: step.missed }
            : { recovered: false, replayed: 0, reason: 'unavailable' as const }),
        })),
        done: true,
      });
      if (!step.recovered) continue;
      for (const publication of behind.flatMap(({ missed }) => missed))
        frame({ type: undefined, seq: ++seq, ...publication });
      continue;
    }
    const state = states[step.channel]!;
    const { channel } = state;
    if (step.kind === 'publish') {
      frame({ type: undefined, seq: ++seq, ...next(state, step.answeredLate) });
    } else if (step.kind === 'new-epoch') {
      state.epoch += 1;
      state.offset = 0;
      frame({ type: 'resync', channel, epoch: nameOf(state), offset: 0, reason: 'history_lost' });
    } else {
      const from = state.offset + 1;
      for (let i = 0; i < step.count; i += 1) next(state, false);
      if (step.kind === 'refuse') seq += step.count;
      const told = { epoch: nameOf(state), from, to: state.offset, lost: step.count };
      const reason = step.kind === 'refuse' ? 'slow' : 'link';
      frame({ type: 'gap', channel, ...told, reason });
    }
  }
  const found = states.map((state): Event => {
    const position = { epoch: nameOf(state), offset: state.offset };
    return { kind: 'found', channel: state.channel, position };
  });
  return [...events, ...states.flatMap(({ late }) => late), ...found];
}

/** Feeds events to an oracle, which supplies the client's `since`, and returns it. */
export function feed(events: readonly Event[]): Oracle {
  const ledger = new Ledger();
  const oracle = new Oracle('client', ledger);
  for (const event of events) {
    if (event.kind === 'frame') oracle.take(event.frame);
    else if (event.kind === 'connected') oracle.connected();
    else if (event.kind === 'asked') oracle.asked(event.channel, oracle.position(event.channel));
    else if (event.kind === 'found') ledger.found(event.channel, event.position);
    else ledger.acknowledged(event.channel, event.position, event.payload);
  }
  oracle.finish();
  return oracle;
}
