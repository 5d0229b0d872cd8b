import { availableParallelism } from 'node:os';
import {
  compileChannelPatterns,
  DEFAULT_CLIENT_PING_MS,
  DEFAULT_CLIENT_TIMEOUT_MS,
  MAX_CHANNELS_PER_REQUEST,
  MAX_REFERENCE_BYTES,
} from '@tradewind/protocol';
import { type Rights, rightsTo } from '../auth/rights.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { FanOutSettings } from '../clients/fan-out-settings.ts';
import { BEATS_PER_SECOND } from '../clients/time/attended-time.ts';
import { type EdgeConfig, SPARE_CONTROLS } from '../config/edge-config.ts';
import { maxBodyBytes } from '../hub/encode-publication.ts';
import { BINARY_FRAMES } from '../outbound/binary-frames.ts';
import { roundSpacing } from '../outbound/flush-scheduler.ts';
import { JSON_FRAMES } from '../outbound/json-frames.ts';
import { needsSendWindow } from '../outbound/send-window.ts';
import { subjectLimits } from './owner-limits.ts';

/** The most bytes that control frames take on average, without references. A gap with the longest names is smaller. */
const CONTROL_BYTES = 512;

/**
 * The most bytes that a control frame with a reference takes: each byte of a JSON text takes at most two in a JSON string. Clients
 * share these frames, so those that wait in a queue do not add to its memory.
 */
const REFERENCE_FRAME_BYTES = 2 * MAX_REFERENCE_BYTES + 128;

/** The rights that the node offers to every client. No token extends them. */
export function offeredRights({ channelPatterns }: EdgeConfig): Rights {
  return rightsTo(compileChannelPatterns(channelPatterns));
}

/**
 * The limits that a worker applies to its clients, from the configuration of the node.
 *
 * @param connections the number of connections of the whole node.
 * @param tokens verifies who clients are. Undefined if the node does not ask for tokens.
 */
export function fanOutSettings(
  config: EdgeConfig,
  connections: () => number,
  tokens?: TokenVerifier,
): FanOutSettings {
  const controls = config.maxChannelsPerClient + SPARE_CONTROLS;
  return {
    outbox: {
      slots: config.queueSlots,
      bytes: config.queueBytes,
      publicationBytes: maxBodyBytes(config.maxPublicationBytes),
      controls,
      controlBytes: controls * CONTROL_BYTES + config.maxChannelsPerClient * REFERENCE_FRAME_BYTES,
    },
    logBytes: config.logBytes,
    slow: { graceMs: config.slowGraceMs, maxLagMs: config.slowMaxLagMs },
    subscriptions: {
      maxChannelsPerClient: config.maxChannelsPerClient,
      maxHistory: config.maxHistory,
      replayRate: config.replayRate,
    },
    rights: offeredRights(config),
    subjectLimits: subjectLimits(config),
    tokens,
    liveness: {
      pingAfterBeats: config.pingSeconds * BEATS_PER_SECOND,
      deadAfterBeats: config.pongSeconds * BEATS_PER_SECOND,
    },
    enforcesRates: config.enforcesRates,
    requestRate: config.requestRate,
    maxErrors: config.maxErrors,
    subscribeRate: config.subscribeRate,
    silentSeconds: config.silentSeconds,
    flushMs: config.flushMs,
    roundSpacing: roundSpacing(config.workers, availableParallelism()),
    formats: [JSON_FRAMES, BINARY_FRAMES],
    writes: config.writes,
    isWindowed: needsSendWindow(),
    nodeConnections: connections,
    welcome: {
      node: config.nodeId,
      auth: tokens === undefined ? 'none' : 'required',
      heartbeat: { clientPingMs: DEFAULT_CLIENT_PING_MS, timeoutMs: DEFAULT_CLIENT_TIMEOUT_MS },
      limits: {
        maxMessageBytes: config.maxMessageBytes,
        maxChannels: config.maxChannelsPerClient,
        maxChannelsPerRequest: MAX_CHANNELS_PER_REQUEST,
        maxHistory: config.maxHistory,
        maxPublicationBytes: config.maxPublicationBytes,
      },
    },
  };
}
