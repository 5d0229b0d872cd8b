import { findProgram } from '@tradewind/dev';
import { type Browser, chromium } from 'playwright-core';

/** Flags for a browser of a machine without a screen, as root. */
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];

/** The machine's Chromium without a window. The caller closes it. Undefined where there is none. */
export async function openChromium(): Promise<Browser | undefined> {
  const executablePath = await findProgram(['chromium', 'chromium-browser', 'google-chrome']);
  if (executablePath === undefined) return undefined;
  return await chromium.launch({ executablePath, args: FLAGS });
}
