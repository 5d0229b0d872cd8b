import { setTimeout as sleep } from 'node:timers/promises';
import { type Demo, startDemo } from './demo/demo.ts';
import {
  ignoredSettings,
  readStartSettings,
  type StartSettings,
  UsageError,
} from './demo/settings.ts';
import { DEMO_HOST, startDemoServer } from './demo-page/demo-server.ts';
import { Keys } from './terminal/keys.ts';
import { renderFarewell, renderLine } from './terminal/plain-lines.ts';
import { Screen } from './terminal/screen.ts';
import { renderView } from './terminal/view.ts';

/** How often the live view is drawn, in ms. */
const REDRAW_MS = 250;

/** How often a line is printed where there is no terminal, in ms. */
const LINE_MS = 5_000;

/** How long a second signal counts as an echo of the first, which npm forwards as well, in ms. */
const ECHO_MS = 1_000;

/** The exit code that shells use for Ctrl-C. */
const INTERRUPTED = 130;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** The wish of a person that this ends. */
interface Interrupt {
  readonly signal: AbortSignal;
  /** Does what Ctrl-C does. */
  readonly request: () => void;
}

/**
 * Aborts at the first Ctrl-C or SIGTERM, or when the process that started this one ends. A second one ends everything at once:
 * children are killed when this process is gone.
 */
function watchForInterrupt(): Interrupt {
  const interrupt = new AbortController();
  let interruptedAt: number | undefined;
  function onSignal(): void {
    if (interruptedAt === undefined) {
      interruptedAt = performance.now();
      interrupt.abort();
    } else if (performance.now() - interruptedAt > ECHO_MS) {
      process.exit(INTERRUPTED);
    }
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  process.on('disconnect', onSignal);
  process.channel?.unref();
  return { signal: interrupt.signal, request: onSignal };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function main(args: readonly string[]): Promise<number> {
  const settings = readStartSettings(args, process.env);
  const ignored = ignoredSettings(process.env);
  const warning = `npm start does not pass on ${ignored.join(', ')}: its services have settings of their own`;
  if (ignored.length > 0) console.error(warning);
  const interrupt = watchForInterrupt();
  const { seconds, ports } = settings;
  // Who kills a node during a measurement measures that.
  const demoUrl =
    seconds === undefined ? `http://${DEMO_HOST}:${ports.START_DEMO_PORT}` : undefined;
  const starting = startDemo(settings, (line) => console.error(line), demoUrl);
  const demo = await Promise.race([starting, aborted(interrupt.signal)]);
  // What has been started so far is not ours to see; it ends because we do.
  if (!demo) process.exit(INTERRUPTED);
  await using _ = demo;
  // The live view covers what was printed before it.
  if (ignored.length > 0) demo.note(warning);
  if (seconds !== undefined) return await measure(demo, seconds, interrupt.signal);
  await using _page = await startDemoServer(demo, ports.START_DEMO_PORT);
  console.error(`The demo is at ${demoUrl}`);
  await watch(demo, interrupt);
  return 0;
}

/** Runs until Ctrl-C, with a live view where there is a terminal. */
async function watch(demo: Demo, interrupt: Interrupt): Promise<void> {
  if (process.stdout.isTTY) {
    await watchOnTerminal(demo, interrupt);
    console.log(renderFarewell(demo.state()));
    return;
  }
  const timer = setInterval(() => console.log(renderLine(demo.state())), LINE_MS);
  await aborted(interrupt.signal);
  clearInterval(timer);
}

async function watchOnTerminal(demo: Demo, interrupt: Interrupt): Promise<void> {
  const { stdout, stdin, env } = process;
  using screen = new Screen(stdout, (env.NO_COLOR ?? '') === '');
  const show = (): void => {
    const { columns, rows } = stdout;
    screen.draw(renderView(demo.state(), { columns, rows }, stdin.isTTY));
  };
  using _ = stdin.isTTY
    ? new Keys(stdin, (key) => void press(demo, key).then(show), interrupt.request)
    : undefined;
  show();
  stdout.on('resize', show);
  const timer = setInterval(show, REDRAW_MS);
  await aborted(interrupt.signal);
  clearInterval(timer);
  stdout.off('resize', show);
}

/** Does what a key is for. */
async function press({ actions, note }: Demo, key: string): Promise<void> {
  const fault = await actOn(actions, key);
  if (fault !== undefined) note(fault);
}

function actOn(
  actions: Demo['actions'],
  key: string,
): Promise<string | undefined> | string | undefined {
  switch (key) {
    case 'k':
      return actions.kill();
    case 'd':
      return actions.drain();
    case 'f':
      return actions.freezeRedis();
    case 'b':
      return actions.burst();
    default:
      return undefined;
  }
}

/** Runs for `--seconds` and prints the summary. */
async function measure(
  demo: Demo,
  seconds: NonNullable<StartSettings['seconds']>,
  interrupt: AbortSignal,
): Promise<number> {
  const timer = setInterval(() => console.error(renderLine(demo.state())), LINE_MS);
  const over = sleep(seconds * 1_000, undefined, { signal: interrupt }).catch(() => {});
  const failure = await Promise.race([over, demo.ended]).then(
    () => undefined,
    (error: Error) => error.message,
  );
  clearInterval(timer);
  const summary = await demo.finish(failure);
  console.log(JSON.stringify(summary, undefined, 2));
  if (interrupt.aborted) return INTERRUPTED;
  return summary.ok ? 0 : EXIT_FAILED;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error((error as Error).message);
  if (isUsage) console.error('(npm start -- --help lists the settings)');
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
}
