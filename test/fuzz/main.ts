import { randomInt } from 'node:crypto';
import { bringRedisServer } from '@tradewind/dev';
import { REDIS_KIND_VARIABLE } from '../support/redis/redis.ts';
import { fuzzEdge } from './edge-fuzz.ts';
import { conditionsFor, RUNS } from './edge-runs.ts';
import { complaintsAbout, formatReport } from './verdict.ts';

/** Sets the seed, to repeat the same inputs. */
const SEED_VARIABLE = 'FUZZ_SEED';

/** Messages in total, unless the first argument is another number. */
const MESSAGES = 100_000;

/** The delays of Redis' replies, in ms. */
const DELAYS_MS = [0, 50, 2_000];

const USAGE = `npm run fuzz -- [MESSAGES]

Sends an edge messages out of a grammar and says what they cost it. Ends with 1 when one costs more than it is worth.
  MESSAGES         how many in all, 1000 to 10000000 (${MESSAGES})
  ${SEED_VARIABLE}=SEED   in the environment: a whole number, to make the inputs of an earlier run again`;

const EXIT_USAGE = 2;
const [asked = String(MESSAGES)] = process.argv.slice(2);
const seed = Number(process.env[SEED_VARIABLE] ?? randomInt(2 ** 31));
const total = Number(asked);
if (asked === '--help') {
  console.log(USAGE);
  process.exit(0);
}
if (!Number.isInteger(total) || total < 1_000 || total > 10_000_000 || !Number.isInteger(seed)) {
  console.error(USAGE);
  process.exit(EXIT_USAGE);
}
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
