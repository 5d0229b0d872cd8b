import { loadFromCLibrary, type Require } from '../outbound/native-library.ts';

/**
 * How often free memory is returned, in ms. After 1,000 stalled clients had left it took 1 ms. It grows with what is
 * free, and for so long the other threads wait when they allocate from the heap that is looked at.
 */
const MEMORY_RETURN_INTERVAL_MS = 30_000;

/** The allocator's memory that goes back to the system from time to time. */
export interface MemoryReturn {
  stop(): void;
}

/** `malloc_trim` of the GNU C library, called on a thread of Node's pool. `pad` is in bytes. */
interface MallocTrim {
  async(pad: number, done: (error: unknown) => void): void;
}

/**
 * Returns to the system, from time to time, the pages that the process's allocator holds and that are free. By
 * itself the allocator returns those at its end only: a few small pieces that came later keep all that a crowd, a burst
 * or stalled clients needed. All threads of the process have a part in it, so one that does it is enough.
 *
 * @throws Error where the C library has no `malloc_trim`, as musl's does not, or koffi does not load.
 */
export function startMemoryReturn(
  intervalMs: number = MEMORY_RETURN_INTERVAL_MS,
  require?: Require,
): MemoryReturn {
  const trim = loadFromCLibrary('int malloc_trim(size_t)', require) as MallocTrim;
  let isReturning = false;
  const timer = setInterval(() => {
    if (isReturning) return;
    isReturning = true;
    trim.async(0, () => {
      isReturning = false;
    });
  }, intervalMs).unref();
  return { stop: () => clearInterval(timer) };
}
