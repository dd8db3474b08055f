import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, chance, evidence, fell, figure, gateWords, mark, money, nextGate, roughMoney, stageOf, target, ticks, tone } from '../src/lib/venture.ts';
import type { Criterion, Decision, Gate } from '../src/lib/venture.ts';

test('a probability is never shown as certain', () => {
  assert.deepEqual([0, 0.004, 0.5, 0.894, 0.9999, 1].map(chance), ['< 1 %', '< 1 %', '50 %', '89 %', '> 99 %', '> 99 %']);
  assert.equal(chance(null), 'no value');
});

test('an assumed figure does not look like a measured one', () => {
  assert.deepEqual(['measured', 'assumed', 'computed', 'simulated', 'missing'].map(mark), ['m', 'a', 'a', 's', 'x']);
  assert.notEqual(tone('simulated'), tone('pass'));
});

test('the share of a bar is read from its text', () => {
  assert.equal(bar('>= 30 %'), 0.3);
  assert.equal(bar('< 2.5 %'), 0.025);
  assert.equal(bar('<= 2 EUR'), null);
  assert.equal(bar(null), null);
});

test('money is in thousands from ten thousand on', () => {
  assert.equal(money(9.04, 'EUR'), '9.04 EUR');
  assert.equal(money(-141_200, 'EUR'), '−141.2 k EUR');
});

test('gridlines stand on round numbers within the range', () => {
  assert.deepEqual(ticks(-38, 160, 5), [0, 50, 100, 150]);
  assert.deepEqual(ticks(5, 5, 5), [5]);
});

test('a target is told without the name of its metric', () => {
  assert.equal(target({ text: 'fleet.on_time >= 99.5 %', metric: 'fleet.on_time' }), '≥ 99.5 %');
  assert.equal(target({ text: 'case.npv.p10 > 0 EUR', metric: 'case.npv.p10' }), '> 0 EUR');
  assert.equal(target({ text: 'a <= b', metric: 'c' }), 'a ≤ b');
});

test('a rate is read as one, and its unit is no digit of the value', () => {
  const rate = { text: 'x <= 0.5/device/month', unit: '1/device/month' } as Criterion;
  assert.equal(figure(0, rate), '0 per device/month');
  assert.equal(figure(4, { ...rate, unit: 'EUR/device/month' }), '4 EUR/device/month');
});

test('money of a simulation has three digits, and small money its cents', () => {
  assert.deepEqual([1516.23, -4282.41, 23_237.9, 12.345, -0.4].map((one) => roughMoney(one, 'EUR')), ['1,520 EUR', '−4,280 EUR', '23.2 k EUR', '12.35 EUR', '−0.4 EUR']);
});

test('where an actual fell is said as one says it, and never as a percentile that no trial reached', () => {
  assert.deepEqual([0.01, 0.02, 0.43, 0.11, 0.39].map(fell), ['1st percentile', '2nd percentile', '43rd percentile', '11th percentile', '39th percentile']);
  assert.deepEqual([0, 1, null].map(fell), ['below all trials', 'above all trials', 'no value']);
});

const gate = (stage: string, criteria: Partial<Criterion>[] = [], verdict: Gate['verdict'] = 'hold') => ({ stage, verdict, criteria, blockers: [] }) as unknown as Gate;
const went = (stage: string, decision: string, at: string) => ({ stage, decision, at }) as Decision;

test('a venture stands before its first gate until a go leads beyond one', () => {
  const gates = [gate('optimise'), gate('scale')];
  assert.equal(stageOf(gates, []), 'pilot');
  assert.equal(nextGate(gates, [])?.stage, 'scale');
  const decided = [went('scale', 'hold', '2026-11-01'), went('scale', 'go', '2026-11-02')];
  assert.equal(stageOf(gates, decided), 'scale');
  assert.equal(nextGate(gates, decided)?.stage, 'optimise');
  assert.deepEqual([stageOf([], []), nextGate([], [])], ['idea', null]);
});

test('a meter says what each criterion rests on, musts first, and shows what fails as failing', () => {
  const found = gate('scale', [
    { name: 'npv', level: 'should', state: 'pass', basis: 'computed' },
    { name: 'false_alarms', level: 'must', state: 'pass', basis: 'measured' },
    { name: 'margin', level: 'must', state: 'fail', basis: 'measured' },
    { name: 'demand', level: 'must', state: 'missing', basis: 'missing' },
  ]);
  assert.deepEqual(evidence(found).map((one) => [one.name, one.look, one.words]), [
    ['false alarms', 'm', 'pass, measured'], ['margin', 'f', 'fail, measured'], ['demand', 'x', 'missing'], ['npv', 'a', 'pass, computed'],
  ]);
  assert.equal(gateWords(found), '1 of 3 musts pass');
  assert.equal(gateWords(gate('scale', [], 'go')), 'can be decided');
});
