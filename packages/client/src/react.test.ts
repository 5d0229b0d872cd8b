import { createElement, StrictMode } from 'react';
import { act, create, type ReactTestRenderer } from 'react-test-renderer';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TradewindContext, useChannel } from './react.ts';
import { Bench } from './testing/fake-socket.ts';

const CHANNEL = 'BTC.trade';

beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  // The renderer says that it is deprecated.
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

let renders = 0;

function Tape() {
  renders += 1;
  const { items, state } = useChannel(CHANNEL);
  return createElement('p', null, `${state.name} ${items.map(({ offset }) => offset).join(' ')}`);
}

it('shows every publication, in StrictMode too, and subscribes once', async () => {
  const frames: (() => void)[] = [];
  vi.stubGlobal('requestAnimationFrame', (frame: () => void) => frames.push(frame));
  vi.stubGlobal('cancelAnimationFrame', () => {});
  const bench = new Bench();
  const tree = createElement(
    StrictMode,
    null,
    createElement(TradewindContext.Provider, { value: bench.client }, createElement(Tape)),
  );
  let root!: ReactTestRenderer;
  await act(async () => {
    root = create(tree);
  });
  const socket = await bench.live(CHANNEL);
  await act(async () => {
    for (const frame of frames.splice(0)) frame();
  });
  renders = 0;
  for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
  await act(async () => {
    for (const frame of frames.splice(0)) frame();
  });
  expect(root.toJSON()).toMatchObject({ children: ['live 11 12 13'] });
  // StrictMode renders twice.
  expect(renders).toBe(2);
  expect(socket.requests('subscribe')).toHaveLength(1);
  await act(async () => root.unmount());
  await bench.runtime.pass(2_500);
  expect(socket.requests('unsubscribe')).toHaveLength(1);
  await bench.client.close();
});

const given: { client?: Bench['client'] } = {};

function Price() {
  const { state } = useChannel(CHANNEL, { ...given, latest: { everyMs: 250 } });
  return createElement('p', null, state.name);
}

it('asks for the latest, once for all renders', async () => {
  const bench = new Bench();
  given.client = bench.client;
  let root!: ReactTestRenderer;
  await act(async () => {
    root = create(createElement(Price));
  });
  const socket = await bench.live(CHANNEL);
  await act(async () => root.update(createElement(Price)));
  expect(socket.asked).toEqual([{ channel: CHANNEL, latest: { everyMs: 250 } }]);
  await act(async () => root.unmount());
  await bench.client.close();
});
