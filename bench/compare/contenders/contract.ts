/**
 * The contract of every contender, so that one load serves them all. It listens on a free port of 127.0.0.1 and
 * announces it in one line. A client sends `{"type":"subscribe","id":…,"channels":[…]}` and gets `subscribed` after
 * Redis has confirmed. A publication is a text frame `{"seq":…,"channel":…,"ts":…,"data":…}`. socket.io has its own
 * frames for all of this.
 */
export interface SubscribeMessage {
  readonly id: number | string;
  readonly channels: readonly string[];
}

/** The `subscribed` answer, in the form of an edge. */
export function subscribedAnswer({ id, channels }: SubscribeMessage): string {
  const list = channels.map((channel) => ({ channel }));
  return JSON.stringify({ type: 'subscribed', id, channels: list, done: true });
}

/** Announces the contender's port on stdout, in the form of an edge. */
export function announce(port: number): void {
  console.log(JSON.stringify({ msg: 'listening', port, adminPort: 0 }));
}

/** The Redis that feeds all contenders. */
export function redisUrl(): string {
  const url = process.env.REDIS_URL;
  if (url === undefined) throw new Error('REDIS_URL is not set');
  return url;
}

/** Pending handshakes that the kernel queues; an edge requests no fewer. */
export const LISTEN_BACKLOG = 4_096;
