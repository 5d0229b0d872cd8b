import { randomInt } from 'node:crypto';
import { bringRedisServer } from '@tradewind/dev';
import { REDIS_KIND_VARIABLE } from '../support/redis.ts';
import { fuzzEdge } from './edge-fuzz.ts';
import { conditionsFor, RUNS } from './edge-runs.ts';
import { complaintsAbout, formatReport } from './verdict.ts';

/** Sets the seed, to make the same inputs again. */
const SEED_VARIABLE = 'FUZZ_SEED';

/** Messages that are sent in all, unless the first argument says another number. */
const MESSAGES = 100_000;

/** What replies of Redis are late by, in ms. */
const DELAYS_MS = [0, 50, 2_000];

/** `npm run fuzz -- MESSAGES`: what inputs cost an edge; ends with 1 when one costs more than it is worth. */
const seed = Number(process.env[SEED_VARIABLE] ?? randomInt(2 ** 31));
const total = Number(process.argv[2] ?? MESSAGES);
process.env[REDIS_KIND_VARIABLE] = 'process';
await bringRedisServer((line) => console.log(line));
console.log(`${SEED_VARIABLE}=${seed}, ${total} messages`);
let complaintCount = 0;
for (const [i, redisDelayMs] of DELAYS_MS.entries()) {
  for (const { crowd, share } of RUNS) {
    const report = await fuzzEdge({
      seed: seed + i,
      messages: Math.ceil((total * share) / DELAYS_MS.length),
      crowd,
      redisDelayMs,
      ...conditionsFor(crowd),
    });
    console.log(`\nRedis ${redisDelayMs} ms late, ${crowd.clients} clients, ${crowd.appetite}:`);
    console.log(formatReport(report));
    for (const complaint of complaintsAbout(report)) {
      complaintCount += 1;
      console.log(`WRONG: ${complaint}`);
    }
  }
}
console.log(
  `\n${complaintCount === 0 ? 'right' : `${complaintCount} complaints`}: ${SEED_VARIABLE}=${seed}`,
);
process.exitCode = complaintCount === 0 ? 0 : 1;
