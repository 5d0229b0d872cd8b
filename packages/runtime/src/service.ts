import { createLogger, flushLogs, LOG_LEVELS, type Logger } from './log/logger.ts';
import { ConfigError } from './settings/environment.ts';

/** What the lifecycle needs of a service that has started. */
export interface RunningService {
  /**
   * Lets current work finish and takes no more. It keeps a deadline of its own.
   *
   * @param hurry aborts when the owner of the process loses patience; the drain must end soon then.
   */
  drain(hurry: AbortSignal): Promise<void>;
  /** Ends every timer, listener, socket and thread of the service. It is called once. */
  stop(): Promise<void>;
}

/** What a service may ask of its lifecycle. */
export interface Lifecycle {
  /** Does the same as the first SIGTERM; for `POST /drain`. */
  requestDrain(): void;
}

/** Time for a service to stop, or to start after it was told to stop, in ms. */
export const STOP_DEADLINE_MS = 10_000;

/** EX_CONFIG of sysexits.h. systemd should not restart what would fail in the same way. */
export const CONFIG_ERROR_EXIT_CODE = 78;

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a service from start to end. It starts the service, waits for SIGTERM, SIGINT or `requestDrain`, drains,
 * stops, and lets the process end with exit code 0. A second signal shortens the drain. A signal during the start
 * stops the service once it has started.
 *
 * A configuration with mistakes is printed to stderr and ends the process with 78. Any other failed start prints one
 * plain line and ends it with 1. An uncaught error, or a stop that takes longer than `stopDeadlineMs`, ends the
 * process at once with 1: a process in an unknown state is not trusted, and its supervisor starts another.
 */
export async function runService(options: {
  readonly name: string;
  readonly main: (lifecycle: Lifecycle) => Promise<RunningService>;
  readonly stopDeadlineMs?: number;
}): Promise<void> {
  const logger = createLogger({ name: options.name, level: lifecycleLevel() });
  const stopDeadlineMs = options.stopDeadlineMs ?? STOP_DEADLINE_MS;
  exitOnUncaught(logger);
  const end = watchForEnd(logger);

  let started = false;
  void end.requested.then(() => {
    if (!started) exitUnlessEnded(logger, stopDeadlineMs);
  });
  let service: RunningService;
  try {
    service = await options.main({ requestDrain: end.request });
  } catch (error) {
    await reportFailedStart(options.name, error);
    return;
  }

  if (!end.wasRequested()) {
    started = true;
    await end.requested;
    logger.info('draining');
    await drain(service, end.hurry, logger);
    exitUnlessEnded(logger, stopDeadlineMs);
  }
  logger.info('stopping');
  await stop(service, logger);
}

/** A drain that fails must not keep the service from stopping. */
async function drain(service: RunningService, hurry: AbortSignal, logger: Logger): Promise<void> {
  try {
    await service.drain(hurry);
  } catch (error) {
    logger.error({ err: error }, 'drain_failed');
  }
}

async function stop(service: RunningService, logger: Logger): Promise<void> {
  try {
    await service.stop();
  } catch (error) {
    logger.fatal({ err: error }, 'stop_failed');
    exitNow();
  }
  logger.info('stopped');
  process.exitCode = 0;
}

interface End {
  /** Resolves with the first request to end. */
  readonly requested: Promise<void>;
  /** Aborts with the second request to end. */
  readonly hurry: AbortSignal;
  request(): void;
  wasRequested(): boolean;
}

function watchForEnd(logger: Logger): End {
  const { promise, resolve } = Promise.withResolvers<void>();
  const hurry = new AbortController();
  let signals = 0;
  let requested = false;

  function request(): void {
    requested = true;
    resolve();
  }

  // A deployment asks for the drain over HTTP and then sends a SIGTERM, so one signal after that is no hurry.
  function onSignal(signal: NodeJS.Signals): void {
    signals += 1;
    logger.info({ signal, signals }, 'signal');
    if (signals === 1) request();
    else hurry.abort();
  }
  for (const signal of SIGNALS) process.on(signal, onSignal);

  return {
    requested: promise,
    hurry: hurry.signal,
    request,
    wasRequested: () => requested,
  };
}

/** The timer does not keep the process alive: it fires only if something else does. */
function exitUnlessEnded(logger: Logger, deadlineMs: number): NodeJS.Timeout {
  return setTimeout(() => {
    logger.error({ deadlineMs, stillOpen: process.getActiveResourcesInfo() }, 'stop_deadline');
    exitNow();
  }, deadlineMs).unref();
}

function exitOnUncaught(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught_exception');
    exitNow();
  });
  process.on('unhandledRejection', (reason) => {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    logger.fatal({ err: error }, 'unhandled_rejection');
    exitNow();
  });
}

async function reportFailedStart(name: string, error: unknown): Promise<never> {
  const isConfigError = error instanceof ConfigError;
  const lines = isConfigError
    ? error.mistakes
    : [error instanceof Error ? error.message : String(error)];
  await new Promise<void>((resolve) => {
    process.stderr.write(lines.map((line) => `${name}: ${line}\n`).join(''), () => resolve());
  });
  return exitNow(isConfigError ? CONFIG_ERROR_EXIT_CODE : 1);
}

/** A start that failed half-way, or a fault, may have left anything open, so the event loop may never become empty. */
function exitNow(code = 1): never {
  flushLogs();
  process.exit(code);
}

function lifecycleLevel(): (typeof LOG_LEVELS)[number] {
  return LOG_LEVELS.find((level) => level === process.env.LOG_LEVEL) ?? 'info';
}
