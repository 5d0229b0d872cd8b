import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs gcloud with these arguments and resolves with its output; tests replace it. */
export type Gcloud = (args: readonly string[]) => Promise<string>;

/** The largest answer, in bytes: 100 machines take 20 KiB of it. */
const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;

/** How long one call may take, in ms. Removing a machine waits for an operation of several minutes. */
const CALL_DEADLINE_MS = 300_000;

/** @param signal ends calls in progress. */
export function createGcloud(signal?: AbortSignal): Gcloud {
  return async (args) => {
    const limits = { maxBuffer: MAX_ANSWER_BYTES, timeout: CALL_DEADLINE_MS };
    return (await run('gcloud', ['--quiet', ...args], { ...limits, signal })).stdout;
  };
}
