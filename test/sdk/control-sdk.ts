import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Sdk } from './scene.ts';

const CLIENT = fileURLToPath(new URL('../../packages/client/', import.meta.url));

/** One protection of the SDK, and what stands in its place in a control. */
export interface Removal {
  readonly name: string;
  /** A file of `packages/client/src`. */
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

export const WITHOUT_DEDUPE: Removal = {
  name: 'without-dedupe',
  file: 'consumers/consumer.ts',
  text: 'if (epoch === this.epoch && this.offset !== undefined && offset <= this.offset) return false;',
  instead: '',
};

export const WITHOUT_GENERATIONS: Removal = {
  name: 'without-generations',
  file: 'connection/link.ts',
  text: 'code = CONNECTION_LOST): void {\n    if (this.#isOver) return;',
  instead: 'code = CONNECTION_LOST): void {',
};

/** The SDK without one of its protections, for controls. Throws if the protection is no longer where it was. */
export async function controlSdk({ name, file, text, instead }: Removal): Promise<Sdk> {
  // It must stand where its imports are found.
  const folder = `${CLIENT}dist/control-${name}`;
  await rm(folder, { recursive: true, force: true });
  await cp(`${CLIENT}src`, folder, { recursive: true, filter: (path) => !path.includes('.test.') });
  const source = await readFile(`${folder}/${file}`, 'utf8');
  if (source.split(text).length !== 2) throw new Error(`${file} does not have ${text} once`);
  await writeFile(`${folder}/${file}`, source.replace(text, instead));
  const { connect } = (await import(pathToFileURL(`${folder}/index.ts`).href)) as Sdk;
  return { connect, WebSocket: globalThis.WebSocket };
}
