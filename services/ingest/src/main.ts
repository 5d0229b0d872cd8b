import { readConfig, runService } from '@tradewind/runtime';
import { readIngestConfig } from './config.ts';
import { startIngest } from './ingest.ts';

await runService({
  name: 'ingest',
  main: (lifecycle) => startIngest(readConfig(process.env, readIngestConfig), lifecycle),
});
