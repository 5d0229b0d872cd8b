import { afterEach, describe, expect, it } from 'vitest';
import { runProgram } from './program.ts';
import { readConfig } from './settings/environment.ts';
import { RELEASE } from './settings/release.ts';

afterEach(() => {
  process.exitCode = undefined;
});

async function run(args: readonly string[], environment: Record<string, string> = {}) {
  const printed: string[] = [];
  const complaints: string[] = [];
  let started = 0;
  await runProgram(
    {
      name: 'edge',
      purpose: 'sends trades to clients.',
      readConfig: (env) =>
        readConfig(env, (reader) => ({
          port: reader.port('PORT', { default: 1 }),
          workers: reader.integer('EDGE_WORKERS', { default: 1, min: 1, max: 9 }),
          unknownVariables: reader.unknown(['EDGE_']),
        })),
      start: async () => {
        started += 1;
        throw new Error('nothing is started in a test');
      },
    },
    {
      args,
      environment,
      print: (text) => printed.push(text),
      complain: (text) => complaints.push(text),
    },
  );
  return { printed: printed.join('\n'), complaints, started, exitCode: process.exitCode ?? 0 };
}

describe('runProgram', () => {
  it('tells its version', async () => {
    const { printed, exitCode } = await run(['--version']);
    expect([printed, exitCode]).toEqual([`tradewind edge ${RELEASE}`, 0]);
  });

  it('tells what it does, and all its settings', async () => {
    const { printed, exitCode } = await run(['--help']);
    expect(printed).toContain('sends trades to clients.');
    expect(printed).toMatch(/^ {2}PORT$\n^ {2}EDGE_WORKERS$/m);
    expect(exitCode).toBe(0);
  });

  it('checks right settings, and starts nothing', async () => {
    const { printed, complaints, started, exitCode } = await run(['--check'], { PORT: '80' });
    expect(printed).toContain('the settings are right');
    expect([complaints, started, exitCode]).toEqual([[], 0, 0]);
  });

  it('names what looks like a setting, with the nearest one', async () => {
    const { complaints, exitCode } = await run(['--check'], { EDGE_WORKRES: '4', EDGE_FOO: '1' });
    expect(complaints).toEqual([
      'edge: EDGE_WORKRES is not a setting, and is ignored; EDGE_WORKERS is one',
      'edge: EDGE_FOO is not a setting, and is ignored',
    ]);
    expect(exitCode).toBe(0);
  });

  it('names every wrong setting, and ends as a start would', async () => {
    const { complaints, exitCode } = await run(['--check'], { PORT: 'x', EDGE_WORKERS: '0' });
    expect(complaints).toEqual([
      'edge: PORT: "x" must be an integer from 0 to 65535',
      'edge: EDGE_WORKERS: "0" must be an integer from 1 to 9',
    ]);
    expect(exitCode).toBe(78);
  });

  it('names an unknown setting beside a wrong one', async () => {
    const { complaints, exitCode } = await run(['--check'], { PORT: 'x', EDGE_WORKRES: '4' });
    expect(complaints).toEqual([
      'edge: PORT: "x" must be an integer from 0 to 65535',
      'edge: EDGE_WORKRES is not a setting, and is ignored; EDGE_WORKERS is one',
    ]);
    expect(exitCode).toBe(78);
  });

  it.each([[['--chek']], [['--check', 'x']], [['start']]])('refuses %j', async (args) => {
    const { complaints, started, exitCode } = await run(args);
    expect(complaints).toEqual([
      `edge: ${args.join(' ')} is not one of --help, --version, --check`,
    ]);
    expect([started, exitCode]).toEqual([0, 64]);
  });
});
