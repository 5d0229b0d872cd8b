import { readConfig, runProgram } from '@tradewind/runtime';
import { readConsoleConfig } from './config.ts';
import { startConsole } from './console.ts';

await runProgram({
  name: 'console',
  purpose: 'shows operators all nodes on one page.',
  readConfig: (environment) => readConfig(environment, readConsoleConfig),
  start: startConsole,
});
