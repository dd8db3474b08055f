import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser } from '../src/lib/sse.ts';
import { pick, random } from './random.ts';

function parse(chunks: string[]) {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

test('kind, id and data of an event are read, a heartbeat is nothing', () => {
  assert.deepEqual(parse([': beat\n\nevent: reading\nid: 42\ndata: {"a":1}\n\n']), [
    { event: 'reading', data: '{"a":1}', id: '42' },
  ]);
});

test('several data lines are joined and an event without data is none', () => {
  assert.deepEqual(parse(['data: a\ndata: b\n\nevent: x\n\n']), [{ event: 'message', data: 'a\nb', id: null }]);
});

test('all three line ends mean the same', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const text = ['event: a', 'data: 1', '', 'data: 2', '', ''].join(end);
    assert.deepEqual(parse([text]).map((one) => one.data), ['1', '2'], JSON.stringify(end));
  }
});

test('cutting the stream anywhere changes nothing, whatever bytes it has', () => {
  const next = random(11);
  const pieces = ['event: x', 'data: 1', 'data:2', 'id: 7', ':', '\n', '\r\n', '\r', '\n\n', 'é', 'retry: 1', '\0'];
  for (let round = 0; round < 500; round += 1) {
    const text = Array.from({ length: 20 }, () => pick(next, pieces)).join('');
    const whole = parse([text]);
    const cut = Math.floor(next() * text.length);
    assert.deepEqual(parse([text.slice(0, cut), text.slice(cut)]), whole, JSON.stringify([text, cut]));
    assert.deepEqual(parse([...text]), whole, JSON.stringify(text));
  }
});
