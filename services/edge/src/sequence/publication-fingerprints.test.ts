import { describe, expect, it } from 'vitest';
import { PublicationFingerprints } from './publication-fingerprints.ts';

function publication(offset: number, text = `payload ${offset}`) {
  return { offset, publishedAt: 1_795_416_898_000 + offset, payload: Buffer.from(text) };
}

describe('fingerprints of publications', () => {
  it('tell the same publication from another under its offset, by payload and by time', () => {
    const prints = new PublicationFingerprints();
    for (let offset = 1; offset <= 20; offset += 1) prints.remember(publication(offset));
    expect(prints.has(publication(20))).toBe(true);
    expect(prints.has(publication(7))).toBe(true);
    expect(prints.has(publication(7, 'another'))).toBe(false);
    expect(prints.has({ ...publication(7), publishedAt: 1 })).toBe(false);
    expect(prints.has(publication(21))).toBeUndefined();
    expect(prints.has(publication(0))).toBeUndefined();
  });

  it('tell short payloads apart that were published within some ms', () => {
    const prints = new PublicationFingerprints();
    prints.remember({ offset: 1, publishedAt: 1_000_000, payload: Buffer.from('0') });
    for (let ms = 0; ms < 64; ms += 1) {
      for (let digit = 1; digit <= 9; digit += 1) {
        const another = {
          offset: 1,
          publishedAt: 1_000_000 + ms,
          payload: Buffer.from(`${digit}`),
        };
        expect(prints.has(another), `${digit} after ${ms} ms`).toBe(false);
      }
    }
  });

  it('go back 256 publications, however many there were', () => {
    const prints = new PublicationFingerprints();
    for (let offset = 1; offset <= 1_000; offset += 1) prints.remember(publication(offset));
    expect(prints.has(publication(745))).toBe(true);
    expect(prints.has(publication(744))).toBeUndefined();
  });

  it('do not reach over a hole, nor over a clear', () => {
    const prints = new PublicationFingerprints();
    prints.remember(publication(1));
    prints.remember(publication(3));
    expect(prints.has(publication(1))).toBeUndefined();
    expect(prints.has(publication(3))).toBe(true);
    prints.clear();
    expect(prints.has(publication(3))).toBeUndefined();
  });
});
