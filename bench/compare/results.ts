import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import type { Machine } from './arena/machine.ts';

/** The folder of results; git ignores it. */
const FOLDER = join(WORKSPACE_ROOT, 'results');

/** Every result file holds this besides the result. */
export interface ResultContext {
  /** The command line. */
  readonly command: string;
  readonly startedAt: string;
  readonly machine: Machine;
}

/** Writes a result as JSON into a new file and returns its path. */
export async function writeResult(
  name: string,
  context: ResultContext,
  result: unknown,
): Promise<string> {
  await mkdir(FOLDER, { recursive: true });
  const time = context.startedAt.replace(/[:.]/g, '-');
  const path = join(FOLDER, `bench-${name}-${time}.json`);
  await writeFile(path, `${JSON.stringify({ ...context, result }, undefined, 2)}\n`);
  return path;
}
