import { createHook, executionAsyncResource } from 'node:async_hooks';
import { WebSocket } from 'ws';

/**
 * Loaded into a service before its own code (`--import`), and never imported by a test. It measures the CPU time of its
 * thread from one callback of the event loop to the next, and so finds the whole cost of an input, wherever the work is
 * done. The product knows nothing of it. `costs.ts` reads its results.
 */

/** CPU time of one callback, or of the handling of one message in it. */
interface Cost {
  readonly cpuMs: number;
  /** The caller of the callback: `TCP`, `Timeout`, `Immediate`, and so on; or `message`. */
  readonly kind: string;
  /** Client messages that were handled in it. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The beginning of the first of these messages. */
  readonly text: string;
}

/** The number of most expensive costs that are kept. */
const KEPT = 8;

/** The kept part of a message, in characters. */
const TEXT_LENGTH = 240;

class Costliest {
  readonly costs: Cost[] = [];

  /** Whether a cost of `cpuMs` would be kept. */
  keeps(cpuMs: number): boolean {
    const least = this.costs.at(-1);
    return this.costs.length < KEPT || least === undefined || cpuMs > least.cpuMs;
  }

  add(cost: Cost): void {
    this.costs.push(cost);
    this.costs.sort((one, other) => other.cpuMs - one.cpuMs);
    this.costs.length = Math.min(this.costs.length, KEPT);
  }
}

let callbacks = new Costliest();
let messages = new Costliest();
let callbackCount = 0;
let messageCount = 0;
let messageBytes = 0;

let depth = 0;
let startedAt = cpuMs();
let kind = 'start';
let messagesBefore = 0;
let bytesBefore = 0;
let text = '';

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** A callback begins: the CPU time since the previous one belongs to that one, with its microtasks and ticks. */
function endCallback(next: string): void {
  const now = cpuMs();
  const used = now - startedAt;
  if (callbacks.keeps(used)) {
    const [count, bytes] = [messageCount - messagesBefore, messageBytes - bytesBefore];
    callbacks.add({ cpuMs: used, kind, messages: count, bytes, text });
  }
  callbackCount += 1;
  startedAt = now;
  kind = next;
  messagesBefore = messageCount;
  bytesBefore = messageBytes;
  text = '';
}

/** The names of ticks and microtasks, which run at the end of the callback that scheduled them. */
const WITHIN_CALLBACK = new Set(['', 'Object', 'AsyncResource']);

createHook({
  trackPromises: false,
  before() {
    depth += 1;
    if (depth > 1) return;
    const name = executionAsyncResource().constructor?.name ?? '';
    if (!WITHIN_CALLBACK.has(name)) endCallback(name);
  },
  after() {
    depth -= 1;
  },
} as Parameters<typeof createHook>[0]).enable();

const emit = WebSocket.prototype.emit;
WebSocket.prototype.emit = function emitAndMeter(this: WebSocket, event, ...args) {
  if (event !== 'message') return emit.call(this, event, ...args);
  const data = args[0] as Buffer;
  messageCount += 1;
  messageBytes += data.length;
  const begin = data.toString('latin1', 0, TEXT_LENGTH);
  if (text === '') text = begin;
  const before = cpuMs();
  const result = emit.call(this, event, ...args);
  const used = cpuMs() - before;
  if (messages.keeps(used)) {
    messages.add({ cpuMs: used, kind: 'message', messages: 1, bytes: data.length, text: begin });
  }
  return result;
};

Object.assign(globalThis, {
  /**
   * Returns the costs since the last call, as JSON. The callback that this interrupts is measured further, without the
   * time of this call.
   */
  takeCosts(): string {
    const askedAt = cpuMs();
    const { heapUsed, external } = process.memoryUsage();
    const found = {
      callbacks: callbacks.costs,
      messages: messages.costs,
      callbackCount,
      messageCount,
      messageBytes,
      threadCpuMs: askedAt,
      memoryBytes: heapUsed + external,
    };
    callbacks = new Costliest();
    messages = new Costliest();
    const text = JSON.stringify(found);
    startedAt += cpuMs() - askedAt;
    return text;
  },
  /** Charges nobody with the CPU time so far, for example after a garbage collection that a test forced. */
  forgetCosts(): void {
    callbacks = new Costliest();
    messages = new Costliest();
    startedAt = cpuMs();
  },
});
