/** Slots of a Redis Cluster. */
const SLOTS = 16_384;

const POLYNOMIAL = 0x1021;

/**
 * The slot of a Redis Cluster that a channel and its keys are in: CRC-16 (XMODEM) of its name, which holds no braces.
 *
 * @param channel of ASCII, as channels are.
 */
export function slotOf(channel: string): number {
  let crc = 0;
  for (let i = 0; i < channel.length; i += 1) {
    crc ^= channel.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit += 1)
      crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ POLYNOMIAL) & 0xffff;
  }
  return crc % SLOTS;
}
