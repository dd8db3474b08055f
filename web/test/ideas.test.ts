import assert from 'node:assert/strict';
import test from 'node:test';
import { moneyText, scoreText, spanText, ventureName } from '../src/lib/ideas.ts';
import { href, parse } from '../src/lib/router.ts';

test('a title makes the name of a venture that a blueprint accepts', () => {
  for (const [title, name] of [
    ['An alarm at the lid', 'an_alarm_at_the_lid'],
    ['2 boxes für Köln!', 'boxes_fur_koln'],
    ['!!!', 'venture'],
  ] as const) {
    assert.equal(ventureName(title), name);
    assert.match(ventureName(title), /^[a-z][a-z0-9_]*$/);
  }
  assert.ok(ventureName('word '.repeat(40)).length <= 32);
});

test('a span is told in its two largest words, and what is missing is a dash', () => {
  assert.equal(spanText(5 * 60_000), '5 min');
  assert.equal(spanText(125 * 60_000), '2 h 5 min');
  assert.equal(spanText((2 * 1440 + 61) * 60_000), '2 d 1 h');
  assert.deepEqual([spanText(null), scoreText(null), moneyText(null, 'EUR')], ['–', '–', '–']);
  assert.equal(scoreText(1234.567), '1,234.57');
});

test('ideas and the form have addresses that read back', () => {
  for (const route of [{ page: 'ideas' }, { page: 'suggest', tenant: 'ten_01' }, { page: 'suggest', tenant: 'a b/c' }] as const) {
    assert.deepEqual(parse(href(route)), route);
  }
});
