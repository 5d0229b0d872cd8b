import { costsOf, measureRedis, type RedisCost } from './redis-core.ts';
import { readSizingCommand, SIZING_USAGE } from './settings.ts';
import { measureShards } from './shards.ts';
import {
  checkTable,
  fullTable,
  loadTable,
  savingTable,
  sizeTable,
  sourceTable,
  unitTable,
  WORKLOADS,
  type Workload,
} from './tables.ts';

/** Edges in the two measurements of Redis, publications in a pipeline, and how long each takes, in s. */
const SUBSCRIBERS = [2, 30] as const;
const TOGETHER = [1, 64] as const;
const SECONDS = 8;

/** The load of one shard and of three. */
const SHARD_LOAD = { perSecond: 2_000, seconds: 10 } as const;

const EXIT_USAGE = 2;

async function printRedisCosts(): Promise<void> {
  for (const together of TOGETHER) {
    const runs: RedisCost[] = [];
    for (const subscribers of SUBSCRIBERS) {
      const run = await measureRedis({ subscribers, seconds: SECONDS, together });
      const micros = (run.cpuMicros / run.publications).toFixed(2);
      console.log(
        `${subscribers} subscribers: ${run.publications} publications, ${micros} µs each`,
      );
      runs.push(run);
    }
    const { publish, delivery } = costsOf(runs[0]!, runs[1]!);
    const costs = `a publication ${publish.toFixed(2)} µs, each subscriber ${delivery.toFixed(2)} µs`;
    console.log(`${together} together: ${costs}`);
  }
}

async function printShardCosts(): Promise<void> {
  for (const masters of [1, 3]) {
    const cost = await measureShards(masters, SHARD_LOAD);
    const each = (micros: readonly number[]): string =>
      micros.map((one) => (one / cost.publications).toFixed(1)).join(', ');
    console.log(
      `${masters} masters, ${cost.publications} publications: Redis ${each(cost.redisMicros)} µs each, ` +
        `edges ${each(cost.edgeMicros)} µs each; subscriptions ${cost.subscriptions.join(', ')} of ${cost.wanted}`,
    );
  }
}

function printTables(): void {
  for (const part of [sourceTable(), unitTable(), checkTable(), fullTable(), savingTable()])
    console.log(`${part}\n`);
  for (const workload of Object.keys(WORKLOADS) as Workload[])
    console.log(`${workload}\n\n${sizeTable(workload)}\n`);
}

const command = readSizingCommand(process.argv.slice(2));
switch (command.kind) {
  case 'tables':
    printTables();
    break;
  case 'redis':
    await printRedisCosts();
    break;
  case 'shards':
    await printShardCosts();
    break;
  case 'own':
    console.log(loadTable(command.load));
    break;
  case 'help':
    console.log(SIZING_USAGE.trimEnd());
    break;
  case 'mistake':
    console.error(`${command.message}\n\n${SIZING_USAGE.trimEnd()}`);
    process.exitCode = EXIT_USAGE;
}
