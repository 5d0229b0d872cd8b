import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WORKSPACE_ROOT } from './service-process.ts';

export interface ToolResult {
  readonly code: number;
  /** Its output on stdout and stderr, in order. */
  readonly output: string;
}

/**
 * Runs a tool of `node_modules/.bin` and collects its output, which is bounded because the tool reads only our own files.
 * Rejects if there is no such tool.
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
