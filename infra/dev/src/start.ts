import { setTimeout as sleep } from 'node:timers/promises';
import { type Demo, startDemo } from './demo/demo.ts';
import { Screen } from './demo/screen.ts';
import { readStartSettings, START_USAGE, type StartSettings, UsageError } from './demo/settings.ts';
import { renderLine, renderView } from './demo/view.ts';

/** How often the live view is drawn, in ms. */
const REDRAW_MS = 500;

/** How often a line is printed where there is no terminal, in ms. */
const LINE_MS = 5_000;

/** How long a second signal counts as an echo of the first, which npm forwards as well, in ms. */
const ECHO_MS = 1_000;

/** The exit code that shells use for Ctrl-C. */
const INTERRUPTED = 130;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/**
 * Aborts at the first Ctrl-C or SIGTERM, or when the process that started this one ends. A second one ends everything at once:
 * children are killed when this process is gone.
 */
function watchForInterrupt(): AbortSignal {
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
  return interrupt.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(START_USAGE.trimEnd());
    return 0;
  }
  const settings = readStartSettings(args, process.env);
  const interrupt = watchForInterrupt();
  const starting = startDemo(settings, (line) => console.error(line));
  const demo = await Promise.race([starting, aborted(interrupt)]);
  // What has been started so far is not ours to see; it ends because we do.
  if (!demo) process.exit(INTERRUPTED);
  await using _ = demo;
  return settings.seconds === undefined
    ? await watch(demo, interrupt)
    : await measure(demo, settings.seconds, interrupt);
}

/** Runs until Ctrl-C, with a live view where there is a terminal. */
async function watch(demo: Demo, interrupt: AbortSignal): Promise<number> {
  const isTerminal = process.stdout.isTTY;
  using screen = isTerminal ? new Screen(process.stdout) : undefined;
  const show = (): void => {
    if (screen) screen.draw(renderView(demo.state()));
    else console.log(renderLine(demo.state()));
  };
  if (screen) show();
  const timer = setInterval(show, isTerminal ? REDRAW_MS : LINE_MS);
  await aborted(interrupt);
  clearInterval(timer);
  return 0;
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
  if (isUsage) console.error('(npm start -- --help tells the settings)');
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
}
