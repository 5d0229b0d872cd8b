import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';

describe('createLogger', () => {
  it('writes one JSON object a line, with the level as a word and the event as msg', () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ name: 'edge', level: 'info', destination });
    logger.info({ port: 8080 }, 'listening');
    logger.debug('unseen');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      name: 'edge',
      msg: 'listening',
      port: 8080,
      time: expect.any(Number),
    });
  });
});
