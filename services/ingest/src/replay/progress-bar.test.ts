import { describe, expect, it } from 'vitest';
import { ProgressBar } from './progress-bar.ts';

describe('ProgressBar', () => {
  it('draws over itself and leaves the line at the end', () => {
    const written: string[] = [];
    const bar = new ProgressBar({ write: (text) => written.push(text) });
    bar.update(0.5, 'half');
    bar.update(0.6, 'drawn too soon after the last');
    bar.end(1, 'all');
    expect(written).toEqual([
      `\r\x1b[K${'█'.repeat(15)}${'░'.repeat(15)} 50% half`,
      `\r\x1b[K${'█'.repeat(30)} 100% all`,
      '\n',
    ]);
  });
});
