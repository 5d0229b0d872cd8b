import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { json } from 'node:stream/consumers';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';

/** What plays `gcloud` for the tests of `infra/roll`: it asks what to answer, and is a tunnel itself. */
const PROGRAM = `${WORKSPACE_ROOT}infra/roll/src/testing/fake-gcloud.ts`;

/** What it prints, or where its tunnel leads. */
export type GcloudAnswer = string | { readonly tunnelTo: { host: string; port: number } };

/** Options by their names, without dashes. */
export type Options = ReadonlyMap<string, string>;

/** Answers one command. What it throws, gcloud prints as its error, and ends with 1. */
export type GcloudCommand = (words: readonly string[], options: Options) => GcloudAnswer;

/** A `gcloud` for the PATH of a process that knows certain commands and no others. */
export interface GcloudStandIn extends AsyncDisposable {
  /** What a process needs to find it. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * @param commands by `compute instances list` and the like, with the names of the options that each takes; what comes
 * after those words is passed on.
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
 * Prints values as gcloud does with `--format=json(…)`: of each, only what the format names. Without that a wrong name
 * would show first at Google's.
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
