/**
 * The browser's one connection, in a shared worker: every tab hears what it asked for.
 *
 * Invariant: at most one feed for all tabs, and none without a tab.
 * Invariant: a tab that was closed or froze is dropped after `silent_ms`; it is back with its
 * next word, because each of its words carries its whole wish.
 */
import { Feed, type Wish } from './feed.ts';
import { union, wants } from './wishes.ts';
import { here_ms, type FromHub, type ToHub } from './hubwords.ts';

/** A browser may slow the timers of a hidden tab to one a minute. */
const silent_ms = 8 * here_ms;

interface Tab {
  wish: Wish;
  heardAt: number;
}
const tabs = new Map<MessagePort, Tab>();
let byteAt = 0;

const feed = new Feed({
  link: () => tell(),
  byte: (at) => {
    // Frames carry the time themselves; a heartbeat is worth a word a second.
    if (at - byteAt >= 1000) for (const port of tabs.keys()) say(port, { say: 'byte', at });
    byteAt = at;
  },
  frame: (kind, data) => {
    for (const [port, tab] of tabs) if (wants(tab.wish, kind, data)) say(port, { say: 'frame', kind, data, at: byteAt });
  },
  resync: (why) => {
    for (const port of tabs.keys()) say(port, { say: 'resync', why });
  },
});

function say(port: MessagePort, words: FromHub): void {
  port.postMessage(words);
}

function tell(): void {
  for (const port of tabs.keys()) say(port, { say: 'link', link: feed.link, tabs: tabs.size });
}

function heard(port: MessagePort, words: ToHub): void {
  switch (words.say) {
    case 'want': {
      const fresh = !tabs.has(port);
      tabs.set(port, { wish: words.wish, heardAt: Date.now() });
      feed.want(union([...tabs.values()].map((tab) => tab.wish)));
      feed.begin();
      if (!fresh) return;
      tell();
      // It joins a connection that is open already: what it shows may be older than that.
      if (feed.link.phase === 'open') say(port, { say: 'resync', why: 'connected' });
      return;
    }
    case 'starved':
      return feed.starved();
    case 'retry':
      return feed.retry();
    case 'bye':
      return drop(port);
  }
}

function drop(port: MessagePort): void {
  if (!tabs.delete(port)) return;
  if (tabs.size === 0) feed.end();
  else feed.want(union([...tabs.values()].map((tab) => tab.wish)));
  tell();
}

setInterval(() => {
  const now = Date.now();
  for (const [port, tab] of tabs) if (now - tab.heardAt > silent_ms) drop(port);
}, here_ms);

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (port) port.onmessage = (message: MessageEvent<ToHub>) => heard(port, message.data);
};
