import { readConfig, runProgram } from '@tradewind/runtime';
import { readIngestConfig } from './config.ts';
import { startIngest } from './ingest.ts';

await runProgram({
  name: 'ingest',
  purpose: 'takes trades over HTTP, and publishes each once.',
  readConfig: (environment) => readConfig(environment, readIngestConfig),
  start: startIngest,
});
