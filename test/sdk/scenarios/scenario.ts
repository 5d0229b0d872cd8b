import type { Scene } from '../scene.ts';

export interface Scenario {
  /** Its number in the list of 25. */
  readonly number: number;
  readonly title: string;
  run(scene: Scene): Promise<void>;
}
