// A client for browsers, to copy: the rules of docs/protocol.md for up to 128 channels. docs/clients.md says more.
const RESUME = [1001, 1005, 1006, 1012, 4002, 4008]; // After these the first wait is short again.
const isFinal = (code) => [1000, 1002, 1007, 1008, 1009].includes(code) || (code >= 4400 && code < 5000);
const isPassing = (code) => ['rate_limited', 'unavailable', 'node_channels_full'].includes(code);

/**
 * Receives channels until the returned function is called. `on` is given every publication (a frame without `type`), every
 * `gap`, and three more: `begins` (what follows does not continue what came before; `offset` is missing if the next
 * publication tells it), `refused` (a channel will never come) and `stopped` (nothing will).
 */
export function subscribe(url, channels, on) {
  const states = new Map(channels.map((channel) => [channel, {}])); // where each channel is, and if it was asked for
  const timers = {};
  let [current, opening, boundMs] = [undefined, undefined, 1_000]; // `opening` has not said `welcome` yet.

  function after(ms, act) {
    clearTimeout(timers[act.name]);
    timers[act.name] = setTimeout(act, ms);
  }
  function open() {
    if (opening !== undefined) return;
    const link = new WebSocket(url, 'tradewind.v1.json');
    link.onmessage = ({ data }) => take(link, JSON.parse(data));
    link.onclose = ({ code }) => end(link, code);
    link.timer = setTimeout(end, 10_000, link, 1006);
    opening = link;
  }
  function leave(link) {
    clearTimeout(link.timer);
    link.onmessage = link.onclose = null; // Its end must not open another one.
    link.close(1000);
  }
  function end(link, code) {
    leave(link);
    [current, opening] = [current, opening].map((one) => (one === link ? undefined : one));
    if (isFinal(code)) return stop(code);
    const spreadMs = code === 1006 ? link.welcome?.reconnect.spreadMs : 0;
    if (link.welcome && RESUME.includes(code)) boundMs = Math.max(1_000, spreadMs);
    after(Math.random() * boundMs, open);
    boundMs = Math.min(30_000, 2 * boundMs);
  }
  function stop(code = 1000) {
    Object.values(timers).forEach(clearTimeout);
    [current, opening].filter(Boolean).forEach(leave);
    on({ type: 'stopped', code });
  }
  function ask() {
    const wanted = [...states].filter(([, { isAsked }]) => !isAsked);
    const asked = wanted.map(([channel, { epoch, offset }]) => {
      const since = offset === undefined ? undefined : { epoch, offset };
      states.set(channel, { epoch, offset, since, isAsked: true });
      return { channel, since };
    });
    if (current && asked.length > 0) current.send(JSON.stringify({ type: 'subscribe', id: 1, channels: asked }));
  }
  function welcome(link, frame) {
    if (current) leave(current);
    [timers.open, link.timer].forEach(clearTimeout);
    [link.welcome, current, opening] = [frame, link, undefined];
    link.timer = setInterval(() => {
      if (link.isSilent) return end(link, 1006);
      link.isSilent = true;
      link.send('{"type":"ping"}');
    }, frame.heartbeat.clientPingMs);
    for (const state of states.values()) state.isAsked = false;
    ask();
  }
  function take(link, frame) {
    link.isSilent = false;
    const { type, channel, epoch, offset, to = offset, reason } = frame;
    const state = states.get(channel);
    if (type === 'welcome') welcome(link, frame);
    else if (type === 'subscribed') [frame.channels.forEach(hold), frame.rejected?.forEach(refuse)];
    else if (type === 'unsubscribed') for (const name of frame.channels) refuse({ channel: name, code: reason });
    else if (type === 'restored') after(1_000 * Math.random(), ask);
    else if (type === 'reconnect') after(frame.afterMs, open);
    else if (type === 'error' && frame.id === 1) frame.retryable ? end(link, 1006) : stop(frame.code);
    else if (type === 'resync') {
      Object.assign(state, { epoch, offset });
      if (reason !== 'started') on({ type: 'begins', channel, epoch, offset });
    } else if ((type === undefined || type === 'gap') && !(to <= state.offset)) {
      state.offset = to ?? state.offset;
      on(frame);
    }
  }
  function hold({ channel, epoch, offset, recovered, replayed = 0, reason }) {
    const state = states.get(channel);
    if (recovered && state.since) return; // The replay moves it on.
    if (epoch !== state.epoch || reason === 'offset_ahead') Object.assign(state, { epoch, offset: undefined });
    if (epoch !== undefined && replayed === 0) state.offset = Math.max(offset, state.offset ?? 0);
    on({ type: 'begins', channel, epoch, offset: replayed === 0 ? state.offset : undefined });
  }
  function refuse({ channel, code, retryAfterMs = 1_000 + 9_000 * Math.random() }) {
    if (isPassing(code)) states.get(channel).isAsked = false;
    else if (states.delete(channel)) on({ type: 'refused', channel, code });
    after(retryAfterMs, ask);
  }
  open();
  return stop;
}
