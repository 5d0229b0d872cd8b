/**
 * Properties that only the SDK's own parts use of each other. The build shortens them; bundlers and minifiers cannot, since they do
 * not know which names others use. A name that is missing here costs some bytes and does no harm. The build fails if one
 * of them is also a name of the public types or of the wire.
 */
export const SHORTENED_NAMES: readonly string[] = [
  ...['accepted', 'accepts', 'activated', 'adopt', 'answered', 'ask', 'askSince', 'askedEveryMs'],
  ...['askedFor', 'admit', 'viewFor', 'slowDown', 'offer', 'skips', 'isRefused'],
  ...[
    'pace',
    'flush',
    'used',
    'changed',
    'isHolding',
    'behind',
    'item',
    'action',
    'change',
    'before',
  ],
  ...['beginning', 'clearAll', 'configure', 'continueAgain', 'core', 'counts', 'dead'],
  ...['deliver', 'duplicate', 'ended', 'follows', 'forget', 'freshness', 'guard', 'heard', 'holds'],
  ...['hurry', 'isClosed', 'isHidden', 'isLive', 'isOffline', 'isOver', 'isPaused', 'isRecovered'],
  ...['isSubscribe', 'isWaiting', 'isWanted', 'lagOf', 'later', 'leave', 'listen', 'listeners'],
  ...['measured', 'monotonic', 'mustMove', 'needed', 'needsRewind', 'phase', 'primary', 'probe'],
  ...['problem', 'progressed', 'reconcile', 'rejections', 'released', 'requests', 'restart'],
  ...['returning', 'setState', 'settings', 'startsAt', 'stopAsking', 'surroundings', 'take'],
  ...['timers', 'tryNow', 'waiters', 'wantsBack', 'wasLive', 'woke'],
];
