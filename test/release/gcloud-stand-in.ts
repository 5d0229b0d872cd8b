import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { json } from 'node:stream/consumers';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';

/**
 * The program that acts as `gcloud` in tests of `infra/roll`: it asks the test for its answer, and is itself the
 * tunnel.
 */
const PROGRAM = `${WORKSPACE_ROOT}infra/roll/src/testing/fake-gcloud.ts`;

/** Its output, or the target of its tunnel. */
export type GcloudAnswer = string | { readonly tunnelTo: { host: string; port: number } };

/** Options by their names, without dashes. */
export type Options = ReadonlyMap<string, string>;

/** Answers one command. gcloud prints a thrown error as its own, and ends with 1. */
export type GcloudCommand = (words: readonly string[], options: Options) => GcloudAnswer;

/** A `gcloud` on the PATH of a process that knows certain commands and no others. */
export interface GcloudStandIn extends AsyncDisposable {
  /** The environment that makes a process find it. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * @param commands by words such as `compute instances list`, with the names of the options that each accepts; further
 * words are passed to the command.
 */
export async function startGcloudStandIn(
  commands: Readonly<Record<string, readonly [options: readonly string[], GcloudCommand]>>,
): Promise<GcloudStandIn> {
  function answer(args: readonly string[]): GcloudAnswer {
    const words = args.filter((arg) => !arg.startsWith('--'));
    const name = Object.keys(commands).find((each) => `${words.join(' ')} `.startsWith(`${each} `));
    const [known, command] = commands[name ?? ''] ?? [];
    if (name === undefined || known === undefined || command === undefined) {
      throw new Error(`Invalid choice: '${words.join(' ')}'.`);
    }
    const options = new Map<string, string>();
    for (const arg of args.filter((each) => each.startsWith('--') && each !== '--quiet')) {
      const [, option = '', value = ''] = /^--([\w-]+)=(.*)$/s.exec(arg) ?? [];
      if (!known.includes(option)) throw new Error(`unrecognized arguments: ${arg}`);
      options.set(option, value);
    }
    return command(words.slice(name.split(' ').length), options);
  }

  const server = createServer(async (request, response) => {
    const { args } = (await json(request)) as { readonly args: readonly string[] };
    let given: object;
    try {
      const said = answer(args);
      given = typeof said === 'string' ? { stdout: said, error: '' } : said;
    } catch (error) {
      given = { stdout: '', error: (error as Error).message };
    }
    response.end(JSON.stringify(given));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(`${tmpdir()}/gcloud-stand-in-`);
  await writeFile(`${folder}/gcloud`, `#!/bin/sh\nexec '${WORKSPACE_NODE}' '${PROGRAM}' "$@"\n`);
  await chmod(`${folder}/gcloud`, 0o755);
  return {
    environment: {
      PATH: `${folder}:${process.env.PATH}`,
      FAKE_CLOUD_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Prints values like gcloud with `--format=json(…)`: of each value only the fields that the format names. Otherwise a
 * wrong name would first be noticed at Google.
 */
export function printJson(format: string | undefined, value: object): string {
  const [, names] = /^json\((.*)\)$/.exec(format ?? '') ?? [];
  if (names === undefined) throw new Error(`not a format that is known here: ${format}`);
  const paths = names.split(',').map((path) => path.split('.'));
  const projected = Array.isArray(value)
    ? value.map((each) => project(each, paths))
    : project(value, paths);
  return JSON.stringify(projected);
}

function project(value: unknown, paths: readonly (readonly string[])[]): unknown {
  const source = value as Readonly<Record<string, unknown>>;
  const projected: Record<string, unknown> = {};
  for (const name of new Set(paths.map(([first = '']) => first))) {
    const key = name.replace('[]', '');
    if (source[key] === undefined) continue;
    const below = paths.flatMap(([first, ...rest]) =>
      first === name && rest.length > 0 ? [rest] : [],
    );
    const part = source[key];
    if (below.length === 0) projected[key] = part;
    else if (!name.endsWith('[]')) projected[key] = project(part, below);
    else projected[key] = (part as readonly unknown[]).map((each) => project(each, below));
  }
  return projected;
}
