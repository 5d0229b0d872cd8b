import { startProcess } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { eventually } from './suite/wait.ts';
import { collectFatalLines, fatalLines } from './tier.ts';

const LEAK = '(node:1) MaxListenersExceededWarning: Possible EventEmitter memory leak detected.';

it('fatalLines finds unhandled faults, and leaks of listeners', () => {
  const fatal = ['{"level":"fatal"}', 'Unhandled rejection', 'uncaughtException', LEAK];
  expect(fatalLines({ output: ['{"level":"warn"}', ...fatal] })).toEqual(fatal);
});

it('collectFatalLines keeps lines that the output has dropped', async () => {
  const script = `console.error(${JSON.stringify(LEAK)}); for (let i = 0; i < 5000; i += 1) console.log(i)`;
  await using service = await startProcess({
    ...{ name: 'talkative', command: process.execPath, args: ['-e', script] },
    ...{ env: process.env, cwd: undefined },
  });
  const collected = collectFatalLines(service);
  await service.exited;
  await eventually(() => service.output.at(-1) === '4999');
  expect(fatalLines(service)).toEqual([]);
  expect(collected).toEqual([LEAK]);
});
