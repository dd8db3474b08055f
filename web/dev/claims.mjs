/**
 * The mock's part of evidence and forecasts: one plan against its fleet, made up.
 */
const leaf = (label, value, basis = 'measured') => ({ label, value, unit: '', basis, formula: '', source: 'made up', inputs: [] });
const tree = (label, formula, value, inputs) => ({ label, value, unit: 'EUR', basis: 'computed', formula, source: '', inputs });

export const actual = (venture) => ({
  venture, revision: 1, offset: 4711, trials: 4000, seed: 1, currency: 'EUR', month_1: '2026-09',
  inputs: [
    { input: 'churn', metric: 'fleet.churn', unit: '1/month', text: '1.2 to 2.5 %/month', plan: [0.0133, 0.0173, 0.0226], actual: 0.0312, error: 0.009, devices: 30, percentile: 0.994, surprise: false, learnt: [0.0146, 0.0188, 0.0243], basis: 'measured', months: [{ month: '2026-09', whole: true, actual: 0.02, percentile: 0.71 }, { month: '2026-10', whole: true, actual: 0.04, percentile: 0.999 }, { month: '2026-11', whole: false, actual: 0.031, percentile: 0.99 }], explain: tree('fleet.churn', 'sum over devices / sum over devices', 0.0312, [leaf('sum', 2), leaf('by', 64.1), leaf('standard error', 0.009)]) },
    { input: 'cost.radio.megabytes', metric: 'fleet.data', unit: 'MB/device/month', text: '43,200 sessions a month x 10000 B', plan: [432, 432, 432], actual: null, error: null, devices: 0, percentile: null, surprise: false, learnt: null, basis: 'missing', months: [], explain: { ...leaf('fleet.data', null, 'missing') } },
  ],
  installed: [
    { month: '2026-09', number: 1, whole: true, plan: [0.8, 4.2, 11.9], actual: 5, percentile: 0.58 },
    { month: '2026-10', number: 2, whole: true, plan: [1.6, 8.6, 24.4], actual: 13, percentile: 0.71 },
    { month: '2026-11', number: 3, whole: false, plan: [2.5, 13.1, 37.2], actual: 30, percentile: 0.93 },
  ],
  npv_plan: [-62_400, 118_300, 402_900], npv_now: [-81_000, 96_200, 371_500],
  changes: [{ input: 'churn', npv: -31_400 }, { input: 'devices that came', npv: 4_210 }],
  ahead: [], notes: ['simulated: virtual devices count in this tenant'],
});

export const next = () => ({
  currency: 'EUR', expected_loss: 4000, trials: 2000, seed: 1, offset: 4711,
  items: [
    { matter: 'input', name: 'churn', says: 'churn came out worse than the case says', money: 31_400, meaning: 'value lost against the case, over its horizon', explain: tree('churn', 'mean npv with it as planned - mean npv with it as known', 31_400, [leaf('plan, median', 0.0173, 'assumed'), leaf('actual', 0.0312)]) },
    { matter: 'experiment', name: 'preorder', says: 'run experiment preorder: it asks 40 in 10 days, and the answer is worth more than its cost', money: 8_950, meaning: 'value of the information less its cost', explain: tree('preorder', 'value - cost', 8_950, [leaf('value of the information', 9_350, 'assumed'), leaf('cost', 400, 'assumed')]) },
    { matter: 'risk', name: 'recall', says: 'ann watches it: make it less likely, or insure it', money: 4_000, meaning: 'expected loss within the horizon', explain: tree('recall', 'probability x money', 4_000, [leaf('probability', 0.05, 'assumed'), leaf('money', 80_000, 'assumed')]) },
  ],
});

const items = (closed) => [
  { what: 'churn', metric: 'fleet.churn', unit: '1/month', kind: 'measure', expected: [0.014, 0.018, 0.024], probability: null, actual: closed ? 0.031 : null, percentile: closed ? 0.98 : null, covered: closed ? false : null, crps: null },
  { what: 'installed', metric: null, unit: 'device', kind: 'guess', expected: [4, 18, 44], probability: null, actual: closed ? 30 : null, percentile: closed ? 0.77 : null, covered: closed ? true : null, crps: null },
  { what: 'assumption.will_pay', metric: null, unit: '', kind: 'pay', expected: null, probability: 0.74, actual: null, percentile: null, covered: null, crps: null },
];
const frozen = (month, closed) => ({ id: `coolbox.${month}.ann`, month, by: 'ann', at: new Date(Date.now() - 86_400_000 * (closed ? 40 : 2)).toISOString(), revision: 1, trials: 10_000, seed: 1, offset: 4000, closed: closed ? new Date().toISOString() : null, items: items(closed) });
const made = [frozen('2026-10', true)];

export const forecasts = () => ({ forecasts: made, scored: 2, coverage: 0.5, brier: null, settled: 0, by_person: [], by_kind: [] });
export function freeze() {
  if (!made.some((one) => one.month === '2026-12')) made.unshift(frozen('2026-12', false));
  return made[0];
}
