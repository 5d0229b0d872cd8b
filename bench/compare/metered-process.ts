import type { OwnedProcess } from '@tradewind/dev';
import type { MeterReading } from './allocation-count.ts';

const METER = new URL('./allocation-meter.ts', import.meta.url);

/** Settings under which a Node process counts what it allocates; see {@link readMeter}. */
export const METERED = { NODE_OPTIONS: `--import=${METER.href}` };

/** How long a process may take to say what it has counted, in ms: it may be busy. */
const ANSWER_DEADLINE_MS = 20_000;

/** What a process that was started with {@link METERED} has come to. One reading at a time. */
export async function readMeter(
  metered: Pick<OwnedProcess, 'output' | 'signal' | 'waitForLine'>,
): Promise<MeterReading> {
  const last = metered.output.findLast((line) => meterReading(line) !== undefined) ?? '';
  const wanted = (meterReading(last)?.meterReading ?? 0) + 1;
  metered.signal('SIGUSR2');
  return await metered.waitForLine((line) => {
    const reading = meterReading(line);
    return reading?.meterReading === wanted ? reading : undefined;
  }, ANSWER_DEADLINE_MS);
}

function meterReading(line: string): MeterReading | undefined {
  return line.startsWith('{"meterReading":') ? (JSON.parse(line) as MeterReading) : undefined;
}
