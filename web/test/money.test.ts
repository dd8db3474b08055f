import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amountText, isMonth, monthBy, nameFrom, nextSteps, periodText, plansOf, readReceipt, share, sum, sums, useText, type Invoice } from '../src/lib/money.ts';

const draft = (more: Partial<Invoice> = {}) =>
  ({ id: 'inv_1', kind: 'invoice', state: 'draft', mode: 'live', drafted_by: 'usr_a', grace_until: '2026-11-02T23:00:00Z', ...more }) as Invoice;
const names = (invoice: Invoice, now = Date.parse('2026-11-10T00:00:00Z')) => nextSteps(invoice, now).map((one) => one.step);

test('amounts are added to the last digit, whatever their size', () => {
  assert.equal(sum(['0.10', '0.20']), '0.30');
  assert.equal(sum(['90071992547409.93', '0.01', '-0.02']), '90071992547409.92');
  assert.equal(sum(['-0.05', '0.02']), '-0.03');
  assert.equal(sum(['100', '20']), '120');
  assert.equal(sum([]), '0');
  assert.equal(sum(['1e3']), null);
});

test('two currencies are two sums', () => {
  const rows = [{ currency: 'EUR', amount: '1.50' }, { currency: 'CHF', amount: '2.00' }, { currency: 'EUR', amount: '0.50' }];
  assert.deepEqual(sums(rows), [{ currency: 'CHF', amount: '2.00' }, { currency: 'EUR', amount: '2.00' }]);
});

test('a bar is as long as its share of the largest amount', () => {
  assert.equal(share('5', ['10', '5']), 0.5);
  assert.equal(share('-10', ['-10']), 1);
  assert.equal(share('0', ['0']), 0);
});

test('months go over the turn of the year', () => {
  assert.equal(monthBy('2026-01', -1), '2025-12');
  assert.equal(monthBy('2026-12', 1), '2027-01');
  assert.deepEqual(['2026-10', '2026-13', '2026-1', null].map(isMonth), [true, false, false, false]);
});

test('a period ends on its last day where the customer is', () => {
  const [from, to] = ['2026-09-30T22:00:00Z', '2026-10-31T23:00:00Z'];
  assert.equal(periodText(from, to, 'Europe/Berlin'), '1 Oct 2026 to 31 Oct 2026');
  assert.equal(periodText(from, to, 'Mars/Olympus'), '30 Sept 2026 to 31 Oct 2026');
});

test('a draft needs a second person, and the step says who it is not', () => {
  const [approve] = nextSteps(draft(), 0);
  assert.equal(approve?.step, 'approve');
  assert.match(approve!.who, /not usr_a/);
});

test('a shadow draft gets no number, and a live one none before its grace is over', () => {
  const shadow = nextSteps(draft({ state: 'approved', mode: 'shadow' }), Date.now())[0];
  assert.match(shadow!.blocked!, /shadow/);
  const early = nextSteps(draft({ state: 'approved' }), Date.parse('2026-11-01T00:00:00Z'))[0];
  assert.match(early!.blocked!, /2 Nov 2026/);
  assert.equal(nextSteps(draft({ state: 'approved' }), Date.parse('2026-11-03T00:00:00Z'))[0]!.blocked, null);
});

test('what is sent is paid, overdue or credited, and what is credited is done', () => {
  assert.deepEqual(names(draft({ state: 'final' })), ['send', 'credit']);
  assert.deepEqual(names(draft({ state: 'sent' })), ['pay', 'check_due', 'credit']);
  assert.deepEqual(names(draft({ state: 'credited' })), []);
});

const told = `line       linden/2026-10-01/1
charge     boxes of plan care, revision 1
quantity   2 device*day
formula    days with a reading x 0.30 EUR
           base: 2 x 0.30 = 0.6
rounded    half_up to 0.60 EUR
readings   1440, the first 2:
           2026-10-01T04:00:00Z box-1 temperature 3.9 at 101
           2026-10-02T04:00:00Z box-1 note two words at 102
receipt    ab12 agrees
`;
test('an explanation is read down to each reading and its place in the log', () => {
  const receipt = readReceipt(told);
  assert.equal(receipt.readings?.count, '1440');
  assert.deepEqual(receipt.readings?.shown[1], { time: '2026-10-02T04:00:00Z', device: 'box-1', property: 'note', value: 'two words', offset: '102' });
  assert.deepEqual([receipt.hash, receipt.agrees], ['ab12', true]);
  assert.deepEqual(receipt.facts[4], { what: '', value: 'base: 2 x 0.30 = 0.6' });
});

test('readings that do not give the receipt are told', () => {
  assert.equal(readReceipt('receipt    ab12 DIFFERS\n').agrees, false);
  assert.equal(readReceipt('line       a/b/1\n').agrees, null);
});

test('a name is made of what somebody is called', () => {
  assert.equal(nameFrom('Bäckerei Müller & Söhne'), 'backerei-muller-sohne');
  assert.equal(nameFrom('  -Linden.'), 'linden');
});

test('the plans of a blueprint are found once each', () => {
  assert.deepEqual(plansOf('[plan.care]\nbox = 1\n [plan.rent.boxes]\n[plan.care]\n# [plan.no]\n[planet.x]'), ['care', 'rent']);
});

test('an amount has its thousands apart and all digits of the server', () => {
  assert.equal(amountText('1470.00', 'EUR'), '1,470.00 EUR');
  assert.equal(amountText('-1234567.8', 'EUR'), '−1,234,567.8 EUR');
  assert.equal(amountText('999.9999', 'EUR'), '999.9999 EUR');
  assert.equal(amountText('-100', 'JPY'), '−100 JPY');
});

test('what was used is said as one says it', () => {
  assert.deepEqual(
    [useText('70', 'device/day'), useText('1', 'device'), useText('930', 'device'), useText('1.5', 'kB')],
    ['70 device-days', '1 device', '930 devices', '1.5 kB'],
  );
});
