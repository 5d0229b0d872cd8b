import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startProcess } from '@tradewind/dev';
import { rolldown } from 'rolldown';
import { type Bridge, startBridge } from './bridge.ts';
import { DRIVER_CALLS, type Driver, type PageDriver } from './driver.ts';
import type { Work } from './remote-worker.ts';
import { openTab } from './tab.ts';

export type RuntimeName = 'chromium' | 'bun' | 'deno';

const BUILD = fileURLToPath(new URL('../../packages/client/build.ts', import.meta.url));

/** How long a call for the page waits, so that its answer is there before it is done, ms. */
const ANSWERED_WITHIN_MS = 200;

/** Lines of a runtime's output that are shown when it ends too early. */
const LAST_LINES = 20;

/** A runtime that has imported the SDK. Disposing of it ends its processes. */
export interface Runtime extends AsyncDisposable {
  /** How it calls itself, for example `Bun/1.4.5`. */
  readonly agent: string;
  /** Runs one thing after the other, and resolves with the faults that were found. */
  run(work: Work): Promise<readonly string[]>;
  /** Loads the page again, and resolves when the SDK is imported again. */
  reload(): Promise<void>;
}

/** Starts a runtime on the edges of a driver. Undefined where it is not installed. */
export async function startRuntime(
  name: RuntimeName,
  driver: Driver,
): Promise<Runtime | undefined> {
  return name === 'chromium' ? await startPage(driver) : await startProgram(name, driver);
}

async function startProgram(name: 'bun' | 'deno', driver: Driver): Promise<Runtime | undefined> {
  const command = findRuntime(name);
  if (command === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const worker = await bundleWorker();
  const bridge = stack.use(await startBridge(worker, callsOf(driver)));
  const folder = await mkdtemp(join(tmpdir(), `tradewind-${name}-`));
  stack.defer(() => rm(folder, { recursive: true }));
  const start = join(folder, 'start.mjs');
  await writeFile(join(folder, 'worker.mjs'), worker);
  await writeFile(
    start,
    `import { workFor } from './worker.mjs';\nawait workFor('${bridge.url}');\n`,
  );
  const program = stack.use(
    await startProcess({
      name,
      command,
      args: name === 'deno' ? ['run', '--allow-net=127.0.0.1', '--no-lock', start] : [start],
      env: { PATH: process.env.PATH, HOME: folder, DENO_NO_UPDATE_CHECK: '1' },
      cwd: folder,
    }),
  );
  void program.exited.then(({ code, signal }) => {
    const lines = program.output.slice(-LAST_LINES).join('\n');
    bridge.fail(new Error(`${name} ended with ${signal ?? code}; its last output:\n${lines}`));
  });
  const agent = await bridge.arrived;
  const owned = stack.move();
  return {
    agent,
    run: (work) => bridge.run(work),
    reload: () => Promise.reject(new Error(`${name} has no page`)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startPage(driver: Driver): Promise<Runtime | undefined> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-chromium-'));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const later = async (act: () => Promise<unknown>): Promise<void> => {
    setTimeout(() => act().catch((error) => bridge.fail(error)), ANSWERED_WITHIN_MS);
  };
  const pageDriver: PageDriver = {
    freeze: (channel, count, forMs) =>
      later(async () => {
        await tab!.send('Page.setWebLifecycleState', { state: 'frozen' });
        const passed = new Promise((resolve) => setTimeout(resolve, forMs));
        await driver.publish(channel, count);
        await passed;
        await tab!.send('Page.setWebLifecycleState', { state: 'active' });
      }),
    hide: (channel, count, forMs) =>
      later(async () => {
        await using _front = await tab!.cover();
        await new Promise((resolve) => setTimeout(resolve, forMs));
        await driver.publish(channel, count);
      }),
  };
  const calls = { ...callsOf(driver), ...pageDriver };
  const bridge: Bridge = stack.use(await startBridge(await bundleWorker(), calls));
  const tab = await openTab(folder, (method, params) => {
    if (method === 'Runtime.exceptionThrown') bridge.fail(new Error(JSON.stringify(params)));
  });
  if (tab === undefined) return undefined;
  stack.use(tab);
  await tab.send('Runtime.enable');
  await tab.send('Page.enable');
  await tab.send('Page.navigate', { url: bridge.url });
  const agent = await bridge.arrived;
  const owned = stack.move();
  return {
    agent,
    run: (work) => bridge.run(work),
    async reload() {
      const anew = bridge.awaitAnew();
      await tab.send('Page.reload');
      await anew;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function callsOf(driver: Driver) {
  const { urls, securedUrl } = driver;
  return {
    places: async () => ({ urls, securedUrl }),
    ...Object.fromEntries(DRIVER_CALLS.map((name) => [name, driver[name].bind(driver)])),
  };
}

/** The scenarios and the SDK as it is published, in one script that any runtime takes. It is made once. */
async function bundleWorker(): Promise<string> {
  worker ??= makeWorker();
  return await worker;
}
let worker: Promise<string> | undefined;

async function makeWorker(): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), 'tradewind-client-'));
  try {
    await promisify(execFile)(process.execPath, [BUILD, out]);
    const build = await rolldown({
      input: fileURLToPath(new URL('./remote-worker.ts', import.meta.url)),
      platform: 'neutral',
      tsconfig: false,
      resolve: {
        alias: {
          '@tradewind/client/binary': join(out, 'binary.js'),
          '@tradewind/client': join(out, 'index.js'),
        },
      },
    });
    const { output } = await build.generate({ format: 'esm' });
    await build.close();
    return output[0].code;
  } finally {
    await rm(out, { recursive: true });
  }
}

/** The program itself: what npm puts before it would not pass our signals on. Undefined where it is not installed. */
export function findRuntime(name: 'bun' | 'deno'): string | undefined {
  const { resolve } = createRequire(import.meta.url);
  try {
    if (name === 'bun') return resolve('bun/bin/bun.exe');
    const { platform, arch } = process;
    const system = `${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`;
    return createRequire(resolve('deno/package.json')).resolve(`@deno/${system}/deno`);
  } catch {
    return undefined;
  }
}
