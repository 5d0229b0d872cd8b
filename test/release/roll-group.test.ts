import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/suite/wait.ts';
import { type BalancedTier, shippedSettings, startBalancedTier } from './balanced-tier.ts';
import {
  CHANNELS,
  CLIENTS,
  type ClientsUnderLoad,
  expectNothingMissed,
  judge,
  startClients,
  type Verdict,
} from './clients-under-load.ts';
import type { GcloudStandIn } from './gcloud-stand-in.ts';
import { InstanceGroup, PROJECT, REGION, TOKEN_SECRET } from './instance-group.ts';
import { startInstanceGroupGcloud } from './instance-group-gcloud.ts';
import { startNumberedLoad } from './numbered-load.ts';
import { type ReadyCounts, watchReady } from './ready-watch.ts';
import { startRollCommand, untilEnded } from './roll-command.ts';

/** A drain shorter than the shipped one, for a balancer that checks more often; in s. */
const DRAIN_SECONDS = 10;
const DRAIN = { DRAIN_SECONDS: String(DRAIN_SECONDS), DRAIN_ACCEPT_SECONDS: '2' };
const BALANCER = { checkEveryMs: 500, failures: 2 };

/** Options of the command for such machines. */
const QUICK = [
  ...['--drain-seconds', String(DRAIN_SECONDS), '--ready-timeout', '30'],
  ...['--health-window', '2', '--poll', '0.5'],
];

/** Longer than each of the commands takes, in ms: at most five drains, and as many machines. */
const ENDED_WITHIN_MS = 150_000;

/** How long clients without a connection may take to reconnect, in ms, also on a busy machine. */
const BACK_WITHIN_MS = 60_000;

const OLD_TOKEN = 'the-token-before';
const NEW_TOKEN = 'the-token-of-now';

let owned: AsyncDisposableStack;
let group: InstanceGroup;
let gcloud: GcloudStandIn;
beforeEach(() => {
  owned = new AsyncDisposableStack();
});
afterEach(async () => {
  await owned.disposeAsync();
});

describe(`a group of real edges, under ${CLIENTS} clients that resume`, () => {
  it('rolls with a surge: the configured number is always ready, and no client notices', async () => {
    const tier = await startGroup(3, { templates: ['edges-1', 'edges-2'] });
    group.addTemplate('edges-3');
    const { verdict, ready } = await underLoad(tier, async () => {
      const { code, lines } = await roll(['--iap', '--token-secret', TOKEN_SECRET, '--surge', '2']);
      expect(code).toBe(0);
      expect(lines.at(-1)).toMatch(/templates deleted that no node uses: edges-1, edges-2$/);
    });
    expectNothingMissed(verdict);
    expect({ least: ready.least, most: ready.most }).toEqual({ least: 3, most: 5 });
    expectDrainedFirst(3);
    expect(templatesOfMachines()).toEqual(['edges-3', 'edges-3', 'edges-3']);
    expect(group.targetSize).toBe(3);
    expect(verdict.moves).toBeGreaterThan(CLIENTS / 2);
  });

  it('disconnects clients if machines are replaced without a drain, and reports losses to those that miss something', async () => {
    // Less than is published while most clients are away.
    const tier = await startGroup(3, { settings: { EDGE_MAX_HISTORY: '2' } });
    const { verdict, ready } = await underLoad(tier, async ({ clients, ledger }) => {
      const [first] = group.machines;
      await runGcloud([
        ...['compute', 'instance-groups', 'managed', 'update-instances', group.name],
        ...[`--region=${REGION}`, `--project=${PROJECT}`, `--instances=${first?.name}`],
        ...['--minimal-action=replace', '--most-disruptive-allowed-action=replace'],
      ]);
      await group.untilAllReady();
      // A reconnected client must receive something new, because the last publications of its absence may be among the
      // losses.
      const { strandedAt, movedAt } = ledger;
      const areBack = () => strandedAt.length > 0 && movedAt.length === strandedAt.length;
      await eventually(areBack, { deadlineMs: BACK_WITHIN_MS });
      const seen = Math.max(...clients.map(({ last }) => last));
      const goesOn = () => clients.every(({ last }) => last > seen);
      await eventually(goesOn, { deadlineMs: BACK_WITHIN_MS });
    });
    expect(group.removed.map(({ hadEnded }) => hadEnded)).toEqual([false]);
    expect(ready.least).toBe(2);
    expect(verdict.cutOff).toBeGreaterThan(CLIENTS / 4);
    expect(verdict.clientsThatMiss).toBeGreaterThan(0);
    expect(verdict.losses.length).toBeGreaterThanOrEqual(verdict.clientsThatMiss);
    expect(verdict.duplicates).toBe(0);
  });

  it('shrinks by three, and prints the number to write', async () => {
    const tier = await startGroup(5);
    const { verdict, ready } = await underLoad(tier, async () => {
      const { code, lines } = await roll(['--token-secret', TOKEN_SECRET, '--remove-count', '3']);
      expect(code).toBe(0);
      expect(lines.at(-1)).toMatch(/2 nodes are left: write 2 as the count before the next apply$/);
      await group.untilAllReady();
    });
    expectNothingMissed(verdict);
    expectDrainedFirst(3);
    expect(group.targetSize).toBe(2);
    expect(ready.least).toBe(2);
    expect(verdict.moves).toBeGreaterThan(CLIENTS / 2);
  });

  it('also shrinks a group of ingests, which have no clients', async () => {
    await startGroup(2, { service: 'ingest' });
    const { code, lines } = await roll(['--token-secret', TOKEN_SECRET, '--remove-count', '1']);
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatch(/1 nodes are left: write 1 as the count/);
    await group.untilAllReady();
    expectDrainedFirst(1);
  });

  it('continues if the token is changed in the middle of a roll, and rolls the mixed group with both', async () => {
    const tier = await startGroup(3, { token: OLD_TOKEN });
    const { verdict, ready } = await underLoad(tier, async () => {
      const first = await startRoll(['--iap', '--token-secret', TOKEN_SECRET]);
      await first.waitForLine((line) => (/1 of 3 replaced/.test(line) ? line : undefined), 60_000);
      group.tokens.push(NEW_TOKEN);
      expect((await untilEnded(first, ENDED_WITHIN_MS)).code).toBe(0);
      console.log(first.output.join('\n'));
      expect(group.machines.map(({ token }) => token)).toEqual([OLD_TOKEN, NEW_TOKEN, NEW_TOKEN]);

      const [newFile, oldFile] = [await tokenFile(NEW_TOKEN), await tokenFile(OLD_TOKEN)];
      for (const only of [oldFile, newFile]) {
        const refused = await roll(['--iap', '--token-file', only, '--surge', '2']);
        expect(refused.code).toBe(1);
        expect(refused.lines.at(-1)).toMatch(
          /^nothing was touched: .* answered 401: they accept none of the tokens/,
        );
      }
      expect(group.machines).toHaveLength(3);

      const both = ['--token-file', newFile, '--token-file', oldFile];
      expect((await roll(['--iap', '--surge', '2', ...both])).code).toBe(0);
    });
    expectNothingMissed(verdict);
    expect(group.machines.map(({ token }) => token)).toEqual([NEW_TOKEN, NEW_TOKEN, NEW_TOKEN]);
    expectDrainedFirst(6);
    // The purpose of a surge.
    expect(ready.least).toBe(2);
  });

  it('deletes the templates that no machine uses, and keeps the others', async () => {
    const tier = await startGroup(2, { templates: ['edges-1', 'edges-2'] });
    group.addTemplate('edges-3');
    group.addTemplate('ingest-1', 'ingest');
    group.resize(3);
    await group.untilAllReady();
    const { verdict } = await underLoad(tier, async () => {
      const { code, lines } = await roll(['--clean-templates']);
      expect(code).toBe(0);
      expect(lines.at(-1)).toMatch(/templates deleted that no node uses: edges-1$/);
    });
    expect([...group.templates.keys()]).toEqual(['edges-2', 'edges-3', 'ingest-1']);
    expect(templatesOfMachines()).toEqual(['edges-2', 'edges-2', 'edges-3']);
    expectNothingMissed(verdict);
    expect(verdict.moves).toBe(0);
    const place = [`--region=${REGION}`, `--project=${PROJECT}`];
    const used = runGcloud(['compute', 'instance-templates', 'delete', 'edges-2', ...place]);
    await expect(used).rejects.toThrow("'edges-2' is already being used");
  });
});

interface GroupOptions {
  readonly service?: 'edge' | 'ingest';
  readonly templates?: readonly string[];
  readonly token?: string;
  /** Settings of the machines' services besides the shipped ones. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a tier, and the group whose machines are its edges. */
async function startGroup(size: number, groupOptions: GroupOptions = {}): Promise<BalancedTier> {
  const { service = 'edge', templates = ['edges-1'], token = OLD_TOKEN } = groupOptions;
  const tier = owned.use(await startBalancedTier([], BALANCER));
  const { redisUrl, balancer } = tier;
  const ofEdge = service === 'edge' ? { EDGE_WORKERS: '1' } : {};
  const settings = {
    ...{ ...shippedSettings(service), ...DRAIN, ...ofEdge, REDIS_URL: redisUrl },
    ...groupOptions.settings,
  };
  const options = { name: `${service}s`, service, size, templates, token };
  group = owned.use(await InstanceGroup.start({ ...options, settings, balancer }));
  gcloud = owned.use(await startInstanceGroupGcloud(group));
  return tier;
}

/** Keeps all clients connected during an action, and returns the experiences of the clients and the group. */
async function underLoad(
  tier: BalancedTier,
  act: (clients: ClientsUnderLoad) => Promise<void>,
): Promise<{ readonly verdict: Verdict; readonly ready: ReadyCounts }> {
  const load = await startNumberedLoad(tier.ingest.url, CHANNELS);
  using clients = await startClients(tier);
  const watch = watchReady(group);
  const startedAt = performance.now();
  try {
    await act(clients);
  } finally {
    const seconds = (performance.now() - startedAt) / 1_000;
    const { least, most, looks } = await watch.stop();
    console.log(`${seconds.toFixed(1)} s; ready: ${least} to ${most} in ${looks} looks`);
  }
  return { verdict: await judge(clients, await load.stop()), ready: await watch.stop() };
}

async function startRoll(args: readonly string[]) {
  const all = [...group.rollOptions, ...QUICK, ...args];
  return owned.use(await startRollCommand(all, gcloud.environment));
}

async function roll(args: readonly string[]) {
  const command = await startRoll(args);
  const { code } = await untilEnded(command, ENDED_WITHIN_MS);
  console.log(command.output.join('\n'));
  return { code, lines: command.output };
}

async function runGcloud(args: readonly string[]): Promise<void> {
  const env = { ...process.env, ...gcloud.environment };
  await promisify(execFile)('gcloud', [...args], { env });
}

async function tokenFile(token: string): Promise<string> {
  const folder = await mkdtemp(`${tmpdir()}/roll-token-`);
  owned.defer(() => rm(folder, { recursive: true }));
  await writeFile(`${folder}/token`, `${token}\n`);
  return `${folder}/token`;
}

/** Expects that `count` machines were removed, and that the service of each had ended by itself before. */
function expectDrainedFirst(count: number): void {
  expect(group.removed.map(({ hadEnded }) => hadEnded)).toEqual(Array(count).fill(true));
}

function templatesOfMachines(): readonly string[] {
  return group.machines.map(({ options }) => options.template);
}
