// Follows channels from a browser, with a token: import { follow } from './subscribe-with-token.js'
// `getToken` resolves with a token of your login, and rejects when there is none to be had.
export async function follow(url, getToken, channels, onPublication) {
  const positions = new Map();
  for (let waitMs = 1_000, refused = 0; refused < 2; waitMs = Math.min(30_000, 2 * waitMs)) {
    try {
      const token = await getToken();
      const { code, wasAccepted } = await new Promise((resolve) => use(token, resolve));
      if (wasAccepted) [waitMs, refused] = [1_000, 0];
      if (code === 4401) refused += 1;
    } catch {} // There was no token.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * waitMs));
  }

  /** Uses one connection until it ends. */
  function use(token, onEnd) {
    const socket = new WebSocket(url, 'tradewind.v1.json');
    const send = (message) => socket.send(JSON.stringify(message));
    let wasAccepted = false;
    socket.onclose = ({ code }) => onEnd({ code, wasAccepted });
    socket.onmessage = ({ data }) => {
      const { type, channel, epoch, offset, ...frame } = JSON.parse(data);
      const position = positions.get(channel);
      if (type === 'welcome') send({ type: 'auth', token });
      else if (type === 'authenticated' && !wasAccepted) {
        wasAccepted = true;
        const since = (name) => ({ channel: name, since: positions.get(name) });
        send({ type: 'subscribe', channels: channels.map(since) });
      } else if (type === 'expiring') {
        const renew = (fresh) => send({ type: 'auth', token: fresh });
        getToken().then(renew, () => {}); // Without one, the old token goes on until its end.
      } else if (type === 'subscribed') {
        for (const { channel: name, recovered, epoch, offset } of frame.channels)
          if (!recovered) positions.set(name, epoch && { epoch, offset });
      } else if (type === 'resync') positions.set(channel, { epoch, offset });
      else if (type === 'gap' && frame.to > position?.offset) position.offset = frame.to;
      else if (type === undefined && !(position && offset <= position.offset)) {
        if (position && offset) position.offset = offset;
        onPublication({ channel, offset, ...frame });
      }
    };
  }
}
