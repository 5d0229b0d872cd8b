import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WORKSPACE_ROOT } from './service-process.ts';

export interface ToolResult {
  readonly code: number;
  /** What it wrote on stdout and stderr, as it came. */
  readonly output: string;
}

/**
 * Runs a tool out of `node_modules/.bin` and collects its output, which is that of a program of
 * ours over our own files and so of limited size. Rejects when there is no such tool.
 */
export async function runTool(tool: string, args: readonly string[]): Promise<ToolResult> {
  const child = spawn(`${WORKSPACE_ROOT}node_modules/.bin/${tool}`, [...args], {
    cwd: WORKSPACE_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pieces: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, output: pieces.join('') };
}
