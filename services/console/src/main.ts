import { readConfig, runService } from '@tradewind/runtime';
import { readConsoleConfig } from './config.ts';
import { startConsole } from './console.ts';

await runService({
  name: 'console',
  main: (lifecycle) => startConsole(readConfig(process.env, readConsoleConfig), lifecycle),
});
