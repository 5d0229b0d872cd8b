import { connect } from '@tradewind/client';
import { connect as connectBinary } from '@tradewind/client/binary';
import { createRandom } from '../support/suite/random.ts';
import type { Driver, PageDriver } from './driver.ts';
import { PAGE_STEPS } from './page-steps.ts';
import { bridgeAt, reachDriver, reachPage } from './remote-driver.ts';
import { faultsOf } from './run-scene.ts';
import { SCENARIOS } from './scenarios/scenarios.ts';
import { Scene } from './scene.ts';

/** What a runtime is asked to run. */
export interface Work {
  /** The number of a scenario, or the name of a step of a page. */
  readonly step: number | string;
  /** The scene's name, which its channels begin with. */
  readonly name: string;
  readonly seed: number;
  /** Whether the clients take publications as binary frames. */
  readonly isBinary?: boolean;
}

/** Runs what the bridge asks for, one after the other, until the bridge is gone: then it rejects. */
export async function workFor(bridgeUrl: string): Promise<void> {
  const ask = bridgeAt(bridgeUrl);
  const driver = await reachDriver(ask);
  const page = reachPage(ask);
  const self = Math.random();
  for (;;) {
    const work = (await ask('next', navigator.userAgent, self)) as Work;
    await ask('done', await faultsOfWork(driver, page, work));
  }
}

async function faultsOfWork(
  driver: Driver,
  page: PageDriver,
  { step, name, seed, isBinary }: Work,
): Promise<readonly string[]> {
  const sdk = {
    connect: isBinary ? connectBinary : connect,
    WebSocket: globalThis.WebSocket,
    isBinary: isBinary === true,
  };
  const scene = new Scene(sdk, driver, name, createRandom(seed).next);
  const scenario = SCENARIOS.find(({ number }) => number === step);
  if (scenario !== undefined) return await faultsOf(scene, scenario.run);
  const pageStep = PAGE_STEPS[step];
  if (pageStep === undefined) return [`there is no ${step}`];
  const run = (): Promise<void> => pageStep.run(scene, page);
  if (!pageStep.isLeft) return await faultsOf(scene, run);
  await run();
  return [];
}
