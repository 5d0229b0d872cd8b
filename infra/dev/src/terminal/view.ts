import type { DemoState, EdgeState } from '../demo/demo.ts';
import type { DemoEvent } from '../demo/event-log.ts';
import { bar, chart, spark } from './bars.ts';
import { clock, count, faults, figure } from './figures.ts';
import {
  fit,
  harmless,
  type Line,
  pad,
  type Span,
  type Style,
  span,
  widthOf,
} from './styled-text.ts';

/** The size of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Where `npx tradewind` finds an edge without being told. */
const DEFAULT_EDGE_URL = 'ws://127.0.0.1:8080/ws';

/** From this width on channels and events stand side by side, the first in `CHANNEL_COLUMNS` columns. */
const WIDE_COLUMNS = 110;
const CHANNEL_COLUMNS = 46;

/** A line of fewer seconds shows nothing but a block. */
const LEAST_SPARK_COLUMNS = 8;

/** Events that are shown whatever else must go. */
const LEAST_EVENTS = 2;

/** A table that is wider than this is hard to read along. */
const MOST_TABLE_COLUMNS = 200;

/** The lines of the chart of deliveries, which is shown from `CHART_FROM_ROWS` free lines on. */
const LEAST_CHART_ROWS = 8;
const MOST_CHART_ROWS = 16;
const CHART_FROM_ROWS = 24;

/** Lines that the chart leaves for channels and events. */
const BESIDE_CHART_ROWS = 14;

const EMPTY: Line = [];

/** The keys that do something, as the last line shows them. */
const KEYS = [
  ['k', 'kill'],
  ['d', 'drain'],
  ['f', 'freeze Redis'],
  ['b', 'burst'],
  ['q', 'quit'],
] as const;

/**
 * The live view: at most `rows` lines of at most `columns` columns. What matters least is left out where there is no room.
 *
 * @param hasKeys whether keys are read.
 */
export function renderView(state: DemoState, { columns, rows }: Size, hasKeys: boolean): Line[] {
  const top = [
    title(state),
    EMPTY,
    ...verdict(state, columns),
    EMPTY,
    ...nodes(state, Math.min(columns, MOST_TABLE_COLUMNS)),
    EMPTY,
  ];
  const bottom = [links(state), footer(hasKeys)];
  const commands = tryingOut(state).filter((line) => widthOf(line) <= columns);
  const problem: Line[] =
    state.problem === undefined ? [] : [[span(`! ${harmless(state.problem)}`, 'bad')]];
  const room = rows - top.length - bottom.length - problem.length - 1;
  const middle =
    columns >= WIDE_COLUMNS
      ? sideBySide(state, columns, room, commands)
      : oneBelowTheOther(state, room, commands);
  const above = [...top, ...middle, ...problem];
  const free = Math.max(1, rows - above.length - bottom.length);
  const lines = [...above, ...Array.from({ length: free }, () => EMPTY), ...bottom];
  const shown = lines.length > rows ? [...lines.slice(0, rows - 1), ...bottom.slice(-1)] : lines;
  return shown.map((line) => fit(line, columns));
}

function title({ seconds, trades }: DemoState): Line {
  return [span('Tradewind', 'bold'), span(`   ${clock(seconds)}   `), span(trades, 'dim')];
}

function verdict(state: DemoState, columns: number): Line[] {
  const { published, delivered, clients, moves, recovered, deliveryRates } = state;
  const isWhole = faults(state) === 0;
  const style: Style = delivered === 0 ? 'dim' : isWhole ? 'good' : 'bad';
  const mark = delivered === 0 ? '…' : isWhole ? '✓' : '✗';
  const counts = [
    `${mark} ${count(published)} published`,
    `${count(state.missing)} lost`,
    `${count(state.duplicates)} doubled`,
    `${count(state.outOfOrder)} out of order`,
  ].join('   ');
  const moved = moves === 0 ? '' : `, ${count(recovered)} recovered in ${count(moves)} moves`;
  const text = `  ${count(delivered)} delivered to ${clients} clients${moved}`;
  const rate = deliveryRates.at(-1);
  const known = rate === undefined ? '' : `  ${count(rate)}/s`;
  const rateText = text.length + known.length <= columns ? known : '';
  const room = Math.min(columns, MOST_TABLE_COLUMNS) - text.length - rateText.length - 3;
  const rates = room < LEAST_SPARK_COLUMNS ? '' : `   ${spark(deliveryRates, room)}`;
  return [[span(counts, style)], [span(text), span(rates, 'accent'), span(rateText, 'dim')]];
}

const CONDITIONS: Readonly<Record<EdgeState['condition'] | 'degraded' | 'frozen', Span>> = {
  ready: span('● ready', 'good'),
  degraded: span('▲ degraded', 'warn'),
  draining: span('▲ draining', 'warn'),
  down: span('■ down', 'bad'),
  starting: span('◌ starting', 'warn'),
  frozen: span('■ frozen', 'bad'),
};

/** The widths of the columns of the node table; the bar takes what is left. */
const NAME = 8;
const CONDITION = 11;
const NUMBER = 8;

function nodes(state: DemoState, columns: number): Line[] {
  const barColumns = Math.max(0, columns - NAME - CONDITION - 4 * NUMBER - 1);
  const most = Math.max(...state.edges.map(({ messagesPerSecond = 0 }) => messagesPerSecond), 1);
  const heading = [
    'NODE'.padEnd(NAME),
    'STATE'.padEnd(CONDITION),
    ...['CLIENTS', 'SENT/S'].map((text) => text.padStart(NUMBER)),
    ' '.repeat(barColumns + 1),
    ...['P50 MS', 'P99 MS'].map((text) => text.padStart(NUMBER)),
  ].join('');
  const { redis } = state;
  const where = redis.origin === 'environment' ? 'of REDIS_URL' : `port ${new URL(redis.url).port}`;
  return [
    [span(heading, 'dim')],
    ...state.edges.map((edge): Line => {
      const { messagesPerSecond } = edge;
      return [
        span(edge.name.padEnd(NAME), 'bold'),
        ...pad([CONDITIONS[shownCondition(edge)]], CONDITION),
        span(figure(edge.clients).padStart(NUMBER)),
        span(figure(messagesPerSecond).padStart(NUMBER)),
        span(` ${bar(messagesPerSecond ?? 0, most, barColumns).padEnd(barColumns)}`, 'accent'),
        span(figure(edge.p50, 1).padStart(NUMBER)),
        span(figure(edge.p99, 1).padStart(NUMBER)),
      ];
    }),
    [
      span('redis'.padEnd(NAME), 'bold'),
      ...pad([CONDITIONS[redis.isFrozen ? 'frozen' : 'ready']], CONDITION),
      span(` ${where}`, 'dim'),
    ],
  ];
}

/** A node that is cut off from Redis keeps its clients and stays ready. */
function shownCondition({ condition, isDegraded }: EdgeState): keyof typeof CONDITIONS {
  return condition === 'ready' && isDegraded ? 'degraded' : condition;
}

/** Channels, then what happened, then commands, each with as many lines as there is room for. */
function oneBelowTheOther(state: DemoState, room: number, commands: readonly Line[]): Line[] {
  const all = channelRows(state, Number.POSITIVE_INFINITY).length;
  const forChannels = Math.min(all, Math.max(0, room - LEAST_EVENTS - 1));
  const forRest = Math.max(0, room - forChannels - 1);
  const forCommands = Math.max(0, Math.min(commands.length, forRest - LEAST_EVENTS));
  const forEvents = Math.max(0, forRest - forCommands);
  return [
    ...channelRows(state, forChannels),
    EMPTY,
    ...eventRows(state.events, forEvents),
    ...block(commands, forCommands),
  ].slice(0, Math.max(0, room));
}

function sideBySide(
  state: DemoState,
  columns: number,
  room: number,
  commands: readonly Line[],
): Line[] {
  const forCommands = Math.max(0, Math.min(commands.length, room - 8));
  const chartRows = Math.min(MOST_CHART_ROWS, room - forCommands - BESIDE_CHART_ROWS);
  const figures =
    room >= CHART_FROM_ROWS
      ? deliveries(state, columns, Math.max(LEAST_CHART_ROWS, chartRows))
      : [];
  const height = Math.max(0, room - forCommands - figures.length - 1);
  const left = channelRows(state, height);
  const right = eventRows(state.events, Math.max(left.length, height - 1));
  const both = Array.from({ length: Math.max(left.length, right.length) }, (_, at) => [
    ...pad(left[at] ?? EMPTY, CHANNEL_COLUMNS),
    ...fit(right[at] ?? EMPTY, columns - CHANNEL_COLUMNS),
  ]);
  return [...figures, ...both.slice(0, height), EMPTY, ...block(commands, forCommands)];
}

/** What the demo's clients were given in each of the last seconds. */
function deliveries({ deliveryRates }: DemoState, columns: number, rows: number): Line[] {
  const width = Math.min(columns, MOST_TABLE_COLUMNS);
  const most = count(Math.max(0, ...deliveryRates.slice(-width)));
  return [
    [span(`DELIVERIES IN EACH SECOND, AT MOST ${most}`, 'dim')],
    ...chart(deliveryRates, width, rows).map((row): Line => [span(row, 'accent')]),
    EMPTY,
  ];
}

/** The channels of the user first to stay, because they look for them; at most `most` lines with the heading. */
function channelRows({ channels, ownChannels }: DemoState, most: number): Line[] {
  if (most < 2) return [];
  const own = ownChannels.slice(0, Math.max(0, most - 2));
  const room = most - 1 - own.length;
  const shown = channels.slice(0, channels.length > room ? Math.max(0, room - 1) : room);
  const more = channels.length - shown.length;
  return [
    [span('CHANNEL          LAST PRICE', 'dim')],
    ...shown.map(({ name, price }): Line => {
      return [span(name.padEnd(12)), span((price ?? '–').padStart(15), 'bold')];
    }),
    ...(more > 0 ? [[span(`and ${more} more`, 'dim')]] : []),
    ...own.map(({ name, text }): Line => {
      return [span(`${name} `), span(harmless(text ?? '–'), 'bold'), span('  yours', 'good')];
    }),
  ];
}

const TONES: Readonly<Record<DemoEvent['tone'], Span>> = {
  good: span('✓ ', 'good'),
  bad: span('■ ', 'bad'),
  plain: span('→ ', 'dim'),
};

/** The latest events, the last one lowest. */
function eventRows(events: readonly DemoEvent[], most: number): Line[] {
  if (most <= 0) return [];
  if (events.length === 0) return [[span('Press k, and watch the clients move.', 'dim')]];
  return events
    .slice(-most)
    .map(({ seconds, tone, text }) => [
      span(`${clock(seconds).padStart(5)} `, 'dim'),
      TONES[tone],
      span(harmless(text)),
    ]);
}

/** The first commands; none if there is no room for two, since one of them needs the other. */
function block(commands: readonly Line[], most: number): readonly Line[] {
  return most < 2 ? [] : commands.slice(0, most);
}

/** Commands for another terminal: whole lines, because they are for copying. */
function tryingOut({ channels, edges, redis, ingestUrl }: DemoState): Line[] {
  const wsUrl = edges[0]?.wsUrl;
  const edge = wsUrl === DEFAULT_EDGE_URL ? '' : ` --edge ${wsUrl}`;
  return [
    // A Redis that REDIS_URL names has it there as well, and its URL may hold a password.
    ...(redis.origin === 'environment' ? [] : [`export REDIS_URL=${redis.url}`]),
    `npx tradewind pub hello '{"price":"1"}'`,
    `npx tradewind sub ${channels[0]?.name}${edge}`,
    'npx tradewind channel hello',
    `curl -d '{"price":"1"}' ${ingestUrl}/v1/channels/hello`,
  ].map((text) => [span('$ ', 'dim'), span(text)]);
}

function links({ demoUrl, consoleUrl }: DemoState): Line {
  const demo = demoUrl === undefined ? [] : [span('demo ', 'dim'), span(`${demoUrl}  `, 'accent')];
  return [...demo, span('console ', 'dim'), span(consoleUrl, 'accent')];
}

function footer(hasKeys: boolean): Line {
  if (!hasKeys) return [span('Ctrl-C ends everything', 'dim')];
  return KEYS.flatMap(([key, what]) => [span(` ${key} `, 'key'), span(` ${what}  `)]);
}
