import { destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** The values of `LOG_LEVEL`, from the most talkative to none at all. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The least serious lines that are written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The destination of lines instead of standard output. Each call is one line with its line break. */
export interface LogDestination {
  write(line: string): void;
}

/**
 * The most bytes of lines that wait for the reader of standard output. A reader that stalls must neither stop the
 * event loop nor make memory grow, so further lines are dropped.
 */
const MAX_WAITING_LOG_BYTES = 1024 * 1024;

let standardOutput: ReturnType<typeof destination> | undefined;

/**
 * A logger that writes one JSON object a line: `level` as a word, `time` in ms since the Unix epoch, `name`, `msg`
 * (the stable name of the event) and the fields of the event. All loggers of a process share one buffered standard
 * output, which {@link flushLogs} must empty before the process ends by force.
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

/** Writes what is buffered. Blocks until standard output has taken it. Never throws. */
export function flushLogs(): void {
  try {
    standardOutput?.flushSync();
  } catch {
    // Standard output is gone, and this could be told nowhere else.
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
