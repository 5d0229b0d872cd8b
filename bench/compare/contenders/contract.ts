/**
 * What every contender keeps to, so that one load serves them all: it listens on a free port of
 * 127.0.0.1 and says so in one line; a client sends `{"type":"subscribe","id":…,"channels":[…]}` and
 * is answered with `subscribed` when Redis has confirmed; a publication is a text frame
 * `{"seq":…,"channel":…,"ts":…,"data":…}`. socket.io says all of this in its own way.
 */
export interface SubscribeMessage {
  readonly id: number | string;
  readonly channels: readonly string[];
}

/** The `subscribed` answer, as an edge gives it. */
export function subscribedAnswer({ id, channels }: SubscribeMessage): string {
  const list = channels.map((channel) => ({ channel }));
  return JSON.stringify({ type: 'subscribed', id, channels: list, done: true });
}

/** Says on stdout, in the words of an edge, where the contender listens. */
export function announce(port: number): void {
  console.log(JSON.stringify({ msg: 'listening', port, adminPort: 0 }));
}

/** The Redis that feeds all contenders. */
export function redisUrl(): string {
  const url = process.env.REDIS_URL;
  if (url === undefined) throw new Error('REDIS_URL is not set');
  return url;
}

/** Pending handshakes that the kernel keeps; what an edge asks for is no less. */
export const LISTEN_BACKLOG = 4_096;
