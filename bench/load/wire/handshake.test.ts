import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Handshake } from './handshake.ts';

function accepted(handshake: Handshake, extra = ''): string {
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(handshake.request.toString())?.[1];
  const accept = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: ${accept}\r\n${extra}\r\n`;
}

describe('Handshake', () => {
  const handshake = new Handshake(new URL('ws://127.0.0.1:1/ws'));

  it('waits for the end of the header, and gives back what came behind it', () => {
    const answer = accepted(handshake);
    expect(handshake.read(Buffer.from(answer.slice(0, -1)))).toBeUndefined();
    const read = handshake.read(Buffer.from(`${answer}frames`));
    expect(read).toEqual({ accepted: true, rest: Buffer.from('frames') });
  });

  it.each([
    ['ws://a/ws', '/ws', 'a'],
    ['ws://a:80/ws', '/ws', 'a'],
    ['ws://a:443/ws', '/ws', 'a:443'],
    ['wss://a/ws?b=c', '/ws?b=c', 'a'],
    ['wss://a:443/', '/', 'a'],
    ['wss://[::1]:8443/ws', '/ws', '[::1]:8443'],
  ])('asks %s for %s of the host %s', (url, path, host) => {
    const [request, ...fields] = new Handshake(new URL(url)).request.toString().split('\r\n');
    expect(request).toBe(`GET ${path} HTTP/1.1`);
    expect(fields).toContain(`Host: ${host}`);
  });

  it('asks for a subprotocol, and takes no other', () => {
    const binary = new Handshake(new URL('ws://127.0.0.1:1/ws'), 'tradewind.v2');
    expect(binary.request.toString()).toContain('\r\nSec-WebSocket-Protocol: tradewind.v2\r\n');
    const read = (extra: string) => binary.read(Buffer.from(accepted(binary, extra)));
    expect(read('Sec-WebSocket-Protocol: tradewind.v2\r\n')).toMatchObject({ accepted: true });
    expect(read('')).toEqual({ accepted: false, reason: 'another subprotocol' });
  });

  it.each([
    ['http 503', 'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\r\n{}'],
    ['http 200', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['http nonsense', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['wrong accept key', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['no http answer', 'x'.repeat(20_000)],
    [
      'an extension was not asked for',
      accepted(handshake, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
    ],
  ])('is refused: %s', (reason, answer) => {
    expect(handshake.read(Buffer.from(answer))).toEqual({ accepted: false, reason });
  });
});
