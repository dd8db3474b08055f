import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claim, HeldCredential, Refusal } from '../src/api.ts';
import { nameless, reasonWords, turnedAway } from '../src/lib/ear.ts';
import { fixParts } from '../src/lib/fix.ts';
import { folderCommand, shortHash } from '../src/lib/folder.ts';
import {
  claimEnds,
  claimState,
  claimsInOrder,
  closedAfter,
  closing_ms_max,
  credentialState,
  credentialsInOrder,
  endingWords,
  fromNow,
  months,
  readSerials,
  secondsText,
} from '../src/lib/identity.ts';
import { day } from '../src/lib/time.ts';

const now = Date.parse('2026-11-29T12:00:00Z');
const at = (days: number) => new Date(now + days * day).toISOString();
const claim = (more: Partial<Claim> = {}): Claim => ({
  id: 'clm_1', name: '2026-48', venture: 'coolbox', kind: 'box', uses_max: 500, uses: 412, serials: 0,
  expires: at(70), revoked: null, made_by: 'owner', made_at: at(-20), ...more,
});
const held = (more: Partial<HeldCredential> = {}): HeldCredential => ({
  id: 'crd_1', kind: 'certificate', serial: '4f', issued_by: 'owner', issued_at: at(-1), expires: at(364),
  revoked: null, state: 'valid', rotate_by: at(242), ...more,
});

test('a claim is open until it is used up, ended or revoked, and its end is told before', () => {
  const words = (more: Partial<Claim>) => claimState(claim(more), now).words;
  assert.equal(words({}), 'open');
  assert.equal(words({ expires: at(11), uses: 268, uses_max: 1000 }), 'ends with 732 left');
  assert.equal(words({ expires: at(-8) }), 'expired with 88 left');
  assert.equal(words({ uses: 500, expires: at(-8) }), 'used up');
  assert.equal(words({ revoked: at(-1), uses: 500 }), 'revoked');
  assert.equal(words({ uses: 501 }), 'used up');
});

test('open claims stand first with the soonest end on top', () => {
  const list = [claim({ id: 'late' }), claim({ id: 'gone', revoked: at(-1) }), claim({ id: 'soon', expires: at(3) }), claim({ id: 'old', expires: at(-9) })];
  assert.deepEqual(claimsInOrder(list, now).map((one) => one.id), ['soon', 'late', 'gone', 'old']);
});

test('before a claim is revoked the page says what ends and what stays', () => {
  assert.equal(claimEnds(claim()), 'No further device gets in with it: 88 of 500 are not yet claimed. The 412 devices it let in stay.');
  assert.match(claimEnds(claim({ uses: 1 })), /The 1 device it let in stays\.$/);
  assert.match(claimEnds(claim({ uses: 0 })), /It has let in none so far\.$/);
});

test('a certificate past two thirds of its life is to be renewed, unless it has a follower', () => {
  const state = (one: HeldCredential, ...others: HeldCredential[]) => credentialState(one, [one, ...others], now);
  const old = held({ rotate_by: at(-1), expires: at(60) });
  assert.equal(state(old, held()).words, 'valid, has a follower');
  assert.equal(state(old, held({ state: 'revoked' }), held({ kind: 'token', expires: null })).words, 'valid, renew it');
  assert.deepEqual(state(held()), { tone: 'ok', words: 'valid' });
  assert.deepEqual(state(held({ rotate_by: at(-1) })), { tone: 'warn', words: 'valid, renew it' });
  assert.equal(state(held({ state: 'revoked', revoked: at(-1), rotate_by: at(-1) })).words, 'revoked');
  assert.equal(state(held({ state: 'expired' })).tone, 'crit');
  assert.equal(state(held({ state: 'not_yet_valid' })).words, 'not valid yet');
});

test('credentials that open something stand first, newest first', () => {
  const list = [held({ id: 'a', state: 'revoked', issued_at: at(-1) }), held({ id: 'b', issued_at: at(-9) }), held({ id: 'c', issued_at: at(-2) })];
  assert.deepEqual(credentialsInOrder(list).map((one) => one.id), ['c', 'b', 'a']);
});

test('days are counted in whole days, the last one in hours, far ones in years', () => {
  assert.equal(fromNow(at(70.9), now), 'in 70 d');
  assert.equal(fromNow(at(-8), now), '8 d ago');
  assert.equal(fromNow(at(0.5), now), 'in 12 h');
  assert.equal(fromNow(at(0.01), now), 'in less than 1 h');
  assert.equal(fromNow(at(400), now), 'in 400 d');
  assert.equal(fromNow(at(7299), now), 'in 19 years');
  assert.equal(fromNow(null, now), '');
});

test('what ends is named by its kind', () => {
  assert.equal(endingWords({ kind: 'claim', name: 'halle-3' }), 'Claim batch halle-3');
  assert.equal(endingWords({ kind: 'root', name: 'root of this server' }), 'Root of this server');
});

test('months are named by their middle, and the last holds all that ends later', () => {
  const list = months([3, 0, 5], now);
  assert.deepEqual(list.map((one) => one.letter), ['D', 'J', 'later']);
  assert.deepEqual(list.map((one) => one.devices), [3, 0, 5]);
  assert.match(list[0]!.words, /2026 to 29 Dec 2026$/);
  assert.match(list[2]!.words, / or later$/);
});

test('a hash is shortened so that both ends can be compared', () => {
  assert.equal(shortHash('9F41C2' + '00'.repeat(27) + '7ae0'), '9f:41:c2:…:7a:e0');
  assert.equal(shortHash('9f41'), '9f:41');
});

test('pasted serial numbers are taken from lines and columns, each once', () => {
  assert.deepEqual(readSerials(' SN-1\r\nSN-2,SN-3;\tSN-1\n\n'), { serials: ['SN-1', 'SN-2', 'SN-3'], doubled: 1 });
  assert.deepEqual(readSerials('  \n'), { serials: [], doubled: 0 });
});

/** A clock that moves only when it is waited for. */
function steps(answers: boolean[]) {
  let time = 1000;
  let asked = 0;
  const clock = { now: () => time, wait: (ms: number) => ((time += ms), Promise.resolve()) };
  return { clock, ask: () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]!), asked: () => asked };
}

test('the time until a connection is closed counts from the moment it was revoked', async () => {
  const { clock, ask } = steps([true, true, false]);
  assert.equal(await closedAfter(960, ask, clock), 240);
});

test('a connection that stays is given up after the longest time, and no sooner', async () => {
  const { clock, ask, asked } = steps([true]);
  assert.equal(await closedAfter(1000, ask, clock), null);
  assert.equal(clock.now() - 1000, closing_ms_max);
  assert.equal(asked(), 31);
});

test('seconds are rounded up', () => {
  assert.deepEqual([secondsText(0), secondsText(101), secondsText(200), secondsText(1950)], ['0.1 s', '0.2 s', '0.2 s', '2.0 s']);
});

test('the command of a whole folder asks for TLS where it is offered', () => {
  assert.equal(folderCommand('box-1', 'esp-idf', 'plain'), 'iotbiz connect box-1 --for esp-idf');
  assert.equal(folderCommand('box-1', 'python', 'tls'), 'iotbiz connect box-1 --for python --tls');
});

test('a reason is a phrase, and an unknown one is still readable', () => {
  assert.equal(reasonWords('device_distrusts_ca'), 'device does not trust this server');
  assert.equal(reasonWords('wrong_token'), 'wrong token');
  assert.equal(reasonWords('some_new_reason'), 'some new reason');
});

test('only what is a command in a fix looks like one', () => {
  assert.deepEqual(fixParts('put the CA of `iotbiz ca show` on the device'), [
    { text: 'put the CA of ', code: false }, { text: 'iotbiz ca show', code: true }, { text: ' on the device', code: false },
  ]);
  assert.deepEqual(fixParts('iotbiz device rotate NAME'), [{ text: 'iotbiz device rotate NAME', code: true }]);
  assert.deepEqual(fixParts('make a new claim for the rest of the batch'), [{ text: 'make a new claim for the rest of the batch', code: false }]);
});

test('whoever gave no name may be any device', () => {
  const refusal: Refusal = { at: at(0), claimed: '', device: null, peer: '10.0.0.7:1', reason: 'not_tls', detail: '', fix: null };
  assert.equal(nameless(refusal), true);
  assert.equal(nameless({ ...refusal, claimed: 'box-1' }), false);
  assert.equal(nameless({ ...refusal, device: 'dev_1' }), false);
});

test('a serial number that was turned away twice is one line, and other refusals are none', () => {
  const one = (days: number, reason: string, claimed: string): Refusal => ({ at: at(days), claimed, device: null, peer: '', reason, detail: '', fix: '' });
  const list = turnedAway([one(-1, 'serial_taken', 'SN-1'), one(-3, 'used_up', 'SN-2'), one(-2, 'serial_taken', 'SN-1'), one(0, 'wrong_token', 'SN-1')]);
  assert.deepEqual(list.map(({ refusal, times }) => `${refusal.claimed} ${refusal.reason} ${times} ${refusal.at}`), [
    `SN-1 serial_taken 2 ${at(-1)}`, `SN-2 used_up 1 ${at(-3)}`,
  ]);
});
