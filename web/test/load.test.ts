/** How pages load: what is dropped, what is kept, and when what is shown is from before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

// Outside a browser a rune is the value it begins with.
Object.assign(globalThis, { $state: Object.assign((value: unknown) => value, { raw: (value: unknown) => value }) });
const { ListLoad, Load } = await import('../src/lib/load.svelte.ts');
const { Attempt } = await import('../src/lib/attempt.svelte.ts');
const { Problem } = await import('../src/api.ts');

/** A question that is answered when the test says so. */
function asked<T>() {
  const open: { answer: (value: T) => void; refuse: (error: unknown) => void }[] = [];
  const ask = () => new Promise<T>((answer, refuse) => open.push({ answer, refuse }));
  return { ask, open };
}

test('an answer to an older question is dropped, whichever comes last', async () => {
  const { ask, open } = asked<string>();
  const load = new Load(ask);
  const first = load.run();
  const second = load.run();
  open[1]!.answer('new');
  assert.equal(await second, true);
  open[0]!.answer('old');
  assert.equal(await first, false);
  assert.deepEqual([load.value, load.phase, load.busy], ['new', 'ready', false]);
});

test('a failure without an answer is a failure; with one, what is shown is from before', async () => {
  const { ask, open } = asked<string>();
  const load = new Load(ask);
  assert.equal(load.phase, 'loading');
  const first = load.run();
  open[0]!.refuse(new TypeError('no network'));
  await first;
  assert.deepEqual([load.phase, load.value, load.busy], ['failed', null, false]);
  const second = load.run();
  open[1]!.answer('here');
  await second;
  assert.equal(load.phase, 'ready');
  const third = load.run();
  open[2]!.refuse(new TypeError('no network'));
  await third;
  assert.deepEqual([load.phase, load.value], ['stale', 'here']);
});

test('an older question that fails says nothing', async () => {
  const { ask, open } = asked<string>();
  const load = new Load(ask);
  const first = load.run();
  const second = load.run();
  open[0]!.refuse(new TypeError('no network'));
  await first;
  assert.deepEqual([load.phase, load.busy], ['loading', true]);
  open[1]!.answer('here');
  await second;
  assert.equal(load.phase, 'ready');
});

test('an answer about another month is no value of this one', async () => {
  const { ask, open } = asked<string>();
  let month = '2026-10';
  const load = new Load(ask, () => month);
  const first = load.run();
  open[0]!.answer('October');
  await first;
  month = '2026-11';
  assert.deepEqual([load.value, load.last, load.phase], [null, 'October', 'loading']);
});

test('what an act answered is newer than a question on its way', async () => {
  const { ask, open } = asked<string>();
  const load = new Load(ask);
  const first = load.run();
  load.take('by the act');
  open[0]!.answer('before the act');
  assert.equal(await first, false);
  assert.deepEqual([load.value, load.busy], ['by the act', false]);
});

test('pages are joined in order, and a list that was asked anew does not take an old page', async () => {
  const { ask, open } = asked<{ items: number[]; next_cursor: string | null }>();
  const load = new ListLoad(() => ask());
  const first = load.run();
  open[0]!.answer({ items: [1, 2], next_cursor: 'b' });
  await first;
  const more = load.more();
  open[1]!.answer({ items: [3], next_cursor: null });
  assert.equal(await more, true);
  assert.deepEqual(load.items, [1, 2, 3]);
  assert.equal(await load.more(), false, 'there is no further page');
  const again = load.run();
  open[2]!.answer({ items: [9], next_cursor: 'b' });
  await again;
  const late = load.more();
  const anew = load.run();
  open[4]!.answer({ items: [10], next_cursor: null });
  await anew;
  open[3]!.answer({ items: [8], next_cursor: null });
  assert.equal(await late, false);
  assert.deepEqual(load.items, [10]);
});

test('a refusal stands until the next try, and whoever asks is told whether it was done', async () => {
  const attempt = new Attempt();
  assert.equal(await attempt.run(() => Promise.reject(new TypeError('no network'))), false);
  assert.notEqual(attempt.problem, null);
  const trying = attempt.run(async () => undefined);
  assert.deepEqual([attempt.busy, attempt.problem], [true, null]);
  assert.equal(await trying, true);
  assert.equal(attempt.busy, false);
});

test('what is asked for twice at once is done once', async () => {
  const { ask, open } = asked<void>();
  const attempt = new Attempt();
  const first = attempt.run(ask);
  assert.equal(await attempt.run(ask), false, 'the second click');
  assert.deepEqual([open.length, attempt.busy], [1, true]);
  open[0]!.answer();
  assert.equal(await first, true);
  const next = attempt.run(ask);
  assert.equal(open.length, 2, 'what was done may be asked for again');
  open[1]!.answer();
  await next;
});

test('what is wrong with a part of it is said beside that part', async () => {
  const attempt = new Attempt();
  assert.equal(attempt.wrong('mail'), null);
  const errors = [{ pointer: '/mail', message: 'it has no @' }];
  await attempt.run(() => Promise.reject(new Problem(422, { title: 'invalid', code: 'E0301', errors })));
  assert.deepEqual([attempt.wrong('mail'), attempt.wrong('webhook')], ['It has no @.', null]);
  attempt.forget();
  assert.equal(attempt.wrong('mail'), null);
});

test('a page that is opened again begins with what it was answered last, until the new answer is there', async () => {
  const { ask, open } = asked<string>();
  const first = new Load(ask, undefined, 'a page');
  const asking = first.run();
  open[0]!.answer('before');
  await asking;
  const again = new Load(ask, undefined, 'a page');
  assert.deepEqual([again.value, again.phase], ['before', 'ready']);
  const anew = again.run();
  open[1]!.refuse(new TypeError('no network'));
  await anew;
  assert.deepEqual([again.value, again.phase], ['before', 'stale']);
  assert.equal(new Load(ask, () => 'another month', 'a page').value, null);
});
