import { afterAll, vi } from 'vitest';

/** Unit tests share processes (`vitest.config.ts`): what a file has replaced is back before the next one. */
afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});
