import { DRIVER_CALLS, type Driver, PAGE_CALLS, type PageDriver } from './driver.ts';

/** Asks the bridge to do something. Rejects with the text of what went wrong there. */
export type Ask = (call: string, ...args: readonly unknown[]) => Promise<unknown>;

/** @param url of the bridge, without a slash at its end. */
export function bridgeAt(url: string): Ask {
  return async (call, ...args) => {
    const body = JSON.stringify(args);
    const response = await fetch(`${url}/calls/${call}`, { method: 'POST', body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${call}: ${text}`);
    return JSON.parse(text);
  };
}

/** A driver whose edges, Redis and faults belong to the process behind the bridge. */
export async function reachDriver(ask: Ask): Promise<Driver> {
  const places = (await ask('places')) as Pick<Driver, 'urls' | 'securedUrl'>;
  return { ...places, ...(callsOf(ask, DRIVER_CALLS) as unknown as Driver) };
}

/** Only the bridge of a page answers it. */
export function reachPage(ask: Ask): PageDriver {
  return callsOf(ask, PAGE_CALLS) as unknown as PageDriver;
}

function callsOf(ask: Ask, names: readonly string[]): object {
  return Object.fromEntries(
    names.map((name) => [name, (...args: readonly unknown[]) => ask(name, ...args)]),
  );
}
