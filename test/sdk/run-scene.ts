import type { Scene } from './scene.ts';

/**
 * Runs a scenario, ends it, and returns every breach of the promise and whatever it failed by. The next one begins with edges that
 * reach Redis: one that this scenario's client did not use may still be without it.
 */
export async function faultsOf(
  scene: Scene,
  run: (scene: Scene) => Promise<void>,
): Promise<readonly string[]> {
  const faults: string[] = [];
  try {
    await run(scene);
  } catch (error) {
    faults.push(String(error));
  }
  for (const edge of scene.driver.urls.keys()) {
    for (const fault of ['clear', 'accept', 'edge'] as const) {
      await scene.driver.fault(edge, fault);
    }
  }
  faults.push(...(await scene.end()));
  await scene.driver.linked().catch((error) => faults.push(String(error)));
  return faults;
}
