import { destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** What `LOG_LEVEL` may be, from the most talkative to none at all. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The least serious lines that are written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where lines go instead of standard output: each call is one line with its line break. */
export interface LogDestination {
  write(line: string): void;
}

/**
 * Lines that may wait for whoever reads our standard output, in bytes. A reader that stalls must
 * stop neither the event loop nor memory from being bounded: what goes beyond is dropped.
 */
const MAX_WAITING_LOG_BYTES = 1024 * 1024;

let standardOutput: ReturnType<typeof destination> | undefined;

/**
 * A logger that writes one JSON object a line: `level` as a word, `time` in ms since the Unix
 * epoch, `name`, `msg` (the event's stable name) and the event's fields. All loggers of a process
 * share one buffered standard output: {@link flushLogs} before the process ends by force.
 */
export function createLogger(options: {
  readonly name: string;
  readonly level: LogLevel;
  readonly destination?: LogDestination;
}): Logger {
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name, pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? openStandardOutput(),
  );
}

/** Writes what is still buffered, blocking until standard output has taken it. Never throws. */
export function flushLogs(): void {
  try {
    standardOutput?.flushSync();
  } catch {
    // Standard output is gone, and with it the only place where this could be told.
  }
}

function openStandardOutput(): ReturnType<typeof destination> {
  if (standardOutput === undefined) {
    standardOutput = destination({ dest: 1, sync: false, maxLength: MAX_WAITING_LOG_BYTES });
    // EPIPE: the reader has gone. A service outlives its log reader.
    standardOutput.on('error', () => undefined);
  }
  return standardOutput;
}
