import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { documentedCommands } from '../../test/support/documents/document-commands.ts';
import { ASSUMED, MEASURED } from './measured.ts';
import {
  bytesOfClient,
  coverage,
  cpuOfClient,
  type Load,
  sizeOf,
  writeMicros,
  writesPerSecond,
} from './model.ts';
import { readSizingCommand } from './settings.ts';
import {
  CHECKS,
  checkTable,
  FULL,
  fullTable,
  loadTable,
  modelMicros,
  roundsFor,
  savingTable,
  sizeTable,
  sourceTable,
  unitTable,
  WORKLOADS,
  type Workload,
} from './tables.ts';

const document = (name: string): string =>
  readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

const V1 = { wire: 'v1', isConflated: false } as const;
const LOAD: Load = { clients: 100_000, channels: 100, channelsPerClient: 10, ratePerChannel: 5 };

it('has the tables in docs/sizing.md as they are computed', () => {
  const sizing = document('sizing.md');
  for (const table of [sourceTable(), unitTable(), checkTable(), fullTable(), savingTable()])
    expect(sizing).toContain(table);
  for (const workload of Object.keys(WORKLOADS) as Workload[])
    expect(sizing).toContain(sizeTable(workload));
});

it('begins with what docs/performance.md says', () => {
  const performance = document('performance.md');
  for (const { quote } of [...Object.values(MEASURED), ...CHECKS, ...FULL])
    expect(performance).toContain(quote);
});

it.each(CHECKS)('says of $load no less than three quarters of what was measured', (check) => {
  const { clients, deliveriesPerSecond, measured } = check;
  const ratio = modelMicros(clients, deliveriesPerSecond) / measured;
  expect(ratio).toBeGreaterThan(0.75);
  expect(ratio).toBeLessThan(2.5);
});

it.each(FULL)('fits $load into its core with rounds that are no longer than the p99', (full) => {
  const { clients, deliveriesPerSecond, measured, roundMs } = full;
  const rounds = 1_000 * roundsFor(clients, deliveriesPerSecond, measured);
  expect(rounds).toBeGreaterThan(20);
  expect(rounds).toBeLessThan(roundMs);
});

it('writes what comes within a round in one write', () => {
  expect(writesPerSecond(1)).toBeCloseTo(0.98, 2);
  expect(writesPerSecond(1e9)).toBeCloseTo(1 / ASSUMED.flushSeconds, 3);
  expect(writeMicros(0.1)).toBe(MEASURED.coldWriteMicros.value);
  expect(writeMicros(4.3)).toBeCloseTo(MEASURED.warmWriteMicros.value, 6);
  expect(writeMicros(1e6)).toBeLessThan(MEASURED.warmWriteMicros.value);
  expect(cpuOfClient(200) / cpuOfClient(1)).toBeLessThan(50);
});

it('knows how much of the channels a node needs', () => {
  expect(coverage(LOAD, 1)).toBeCloseTo(0.1, 6);
  expect(coverage(LOAD, 10_000)).toBeCloseTo(1, 6);
  expect(coverage({ ...LOAD, channelsPerClient: 200 }, 1)).toBe(1);
});

it('needs more edges and shards for a larger load, and says what asks for them', () => {
  const few = sizeOf({ ...LOAD, ratePerChannel: 0.01 }, V1);
  expect(few).toMatchObject({ edges: 3, edgesBy: 'connections', shards: 1 });
  const many = sizeOf({ ...LOAD, ratePerChannel: 20 }, V1);
  expect(many.edgesBy).toBe('workers');
  expect(many.edges).toBeGreaterThan(few.edges);
  const busy = sizeOf({ ...LOAD, channels: 20_000, channelsPerClient: 10, ratePerChannel: 5 }, V1);
  expect(busy.edgesBy).toBe('hub');
  expect(busy.shards).toBeGreaterThan(many.shards);
  const large = sizeOf({ ...LOAD, payloadBytes: 20_000 }, V1);
  expect(large.edgesBy).toBe('network');
});

it('sends less with v2 and with the latest alone', () => {
  const v2 = { wire: 'v2', isConflated: false } as const;
  const latest = { wire: 'v2', isConflated: true } as const;
  const busy = { ...LOAD, ratePerChannel: 40 };
  expect(bytesOfClient(busy, v2)).toBeLessThan(0.5 * bytesOfClient(busy, V1));
  expect(bytesOfClient(busy, latest)).toBeLessThan(0.2 * bytesOfClient(busy, v2));
  expect(sizeOf(busy, latest).deliveriesPerSecond).toBe(100_000 * 10 * 4);
});

it.each(documentedCommands('npm run sizing'))('reads what $document says: $text', ({ args }) => {
  expect(['help', 'mistake']).not.toContain(readSizingCommand(args).kind);
});

it('reads its commands, and shows its help when asked', () => {
  expect(readSizingCommand(['--help'])).toEqual({ kind: 'help' });
  expect(readSizingCommand(['shards'])).toEqual({ kind: 'shards' });
  expect(readSizingCommand([])).toEqual({ kind: 'tables' });
});

it('sizes a load of the caller’s own', () => {
  const own = readSizingCommand(['--clients', '50000', '--each=2000', '--rate', '2.5']);
  const load = { clients: 50_000, channelsPerClient: 2_000, channels: 2_000, ratePerChannel: 2.5 };
  expect(own).toEqual({ kind: 'own', load: { ...load, payloadBytes: ASSUMED.payloadBytes } });
  const clients = { ...WORKLOADS['ten channels each'], clients: 100_000 };
  for (const row of loadTable(clients).split('\n'))
    expect(sizeTable('ten channels each').split('\n')).toContain(row);
});

it.each([
  [['redish'], /redish/],
  [['--each', '3'], /--clients is missing/],
  [['--clients', 'many'], /--clients must be a number above 0/],
  [['--clients', '1.5'], /--clients must be a whole number/],
  [['--clients', '1', '--rate', '0'], /--rate must be a number above 0/],
  [['--clients', '1', '--each', '9', '--channels', '3'], /--channels must not be fewer/],
  [['--clients', '1', '--payload'], /payload/],
  [['--client', '1'], /--client/],
])('names the mistake in %j', (args, message) => {
  expect(readSizingCommand(args)).toEqual({
    kind: 'mistake',
    message: expect.stringMatching(message),
  });
});
