import type { DemoState } from './demo.ts';

/** Channels that the table shows; a recorded file may hold more. */
const MAX_CHANNEL_ROWS = 5;

/** What the view is drawn for: the size that every terminal has. */
const WIDTH = 80;

/** Where `npx tradewind` finds an edge without being told. */
const DEFAULT_EDGE_URL = 'ws://127.0.0.1:8080/ws';

/** The live view as lines of at most 80 characters, at most 24 of them. */
export function renderView(state: DemoState): string[] {
  return [
    `Tradewind   ${clock(state.seconds)}   Redis ${redisLabel(state)}   Ctrl-C ends everything`,
    `console     ${state.consoleUrl}`,
    `trades      ${state.trades}`,
    `published   ${count(state.published)}   delivered ${count(state.delivered)}`,
    `checked     ${verdict(state)}`,
    '',
    'edge     clients  channels  messages/s  p50 ms  p99 ms  address',
    ...state.edges.map((edge) =>
      [
        edge.name.padEnd(8),
        cell(edge.clients, 7),
        cell(edge.channels, 9),
        cell(edge.messagesPerSecond, 11),
        cell(edge.p50, 7, 1),
        cell(edge.p99, 7, 1),
        ` ${edge.wsUrl}`,
      ].join(' '),
    ),
    '',
    'channel                last price',
    ...channelRows(state),
    '',
    ...tryingOut(state),
    ...(state.problem === undefined ? [] : [`! ${state.problem}`]),
  ].map((line) => line.slice(0, WIDTH));
}

/** Commands for another terminal: whole lines of at most {@link WIDTH} characters, because they are for copying. */
function tryingOut({ channels, edges, redis, ingestUrl }: DemoState): string[] {
  const channel = channels[0]?.name;
  const wsUrl = edges[0]?.wsUrl;
  const edge = wsUrl === DEFAULT_EDGE_URL ? '' : ` --edge ${wsUrl}`;
  return [
    'In another terminal:',
    // A Redis that REDIS_URL names has it there as well, and its URL may hold a password.
    ...(redis.origin === 'environment' ? [] : [`  export REDIS_URL=${redis.url}`]),
    `  npx tradewind sub ${channel}${edge}`,
    `  npx tradewind pub ${channel} '{"price":"1"}'`,
    `  npx tradewind channel ${channel}`,
    `  curl -d '{"price":"1"}' ${ingestUrl}/v1/channels/${channel}`,
  ];
}

/** The same in one line, for where nothing can be redrawn. */
export function renderLine(state: DemoState): string {
  const edges = state.edges.map(
    ({ name, clients, messagesPerSecond, p50, p99 }) =>
      `${name} ${figure(clients)} clients ${figure(messagesPerSecond)}/s p50 ${figure(p50, 1)} p99 ${figure(p99, 1)} ms`,
  );
  const problem = state.problem === undefined ? [] : [`! ${state.problem}`];
  return [
    clock(state.seconds),
    `published ${state.published}`,
    `delivered ${state.delivered}`,
    verdict(state),
    ...edges,
    ...problem,
  ].join(' | ');
}

function channelRows({ channels }: DemoState): string[] {
  const shown = channels.slice(0, MAX_CHANNEL_ROWS - (channels.length > MAX_CHANNEL_ROWS ? 1 : 0));
  const more = channels.length - shown.length;
  return [
    ...shown.map(({ name, price }) => `${name.padEnd(14)} ${(price ?? '-').padStart(18)}`),
    ...(more > 0 ? [`… and ${more} more`] : []),
  ];
}

function verdict({ delivered, outOfOrder, duplicates, missing }: DemoState): string {
  if (delivered === 0) return 'nothing delivered yet';
  return outOfOrder + duplicates + missing === 0
    ? 'each once and in order'
    : `out of order ${outOfOrder}, duplicates ${duplicates}, missing ${missing}`;
}

function redisLabel({ redis }: DemoState): string {
  return redis.origin === 'environment' ? 'from REDIS_URL' : `on port ${new URL(redis.url).port}`;
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function figure(value: number | undefined, decimals = 0): string {
  return value === undefined ? '-' : value.toFixed(decimals);
}

function cell(value: number | undefined, width: number, decimals = 0): string {
  return figure(value, decimals).padStart(width);
}
