import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './client.ts';
import { makeEvent, problem, sendEvent, ServerDouble } from './testing/server-double.ts';
import { followEvents, lastEventId } from './timeline.ts';

const path = '/api/environments/demo-7f3k/events';
const { signal } = new AbortController();

test('following goes on after the last event that was seen, each event once', async () => {
  await using server = await ServerDouble.start();
  let connections = 0;
  server.answers.set(`GET ${path}`, (response, asked) => {
    const { query, headers } = asked;
    connections += 1;
    assert.equal(headers['last-event-id'], query.get('after'));
    assert.equal(headers.accept, 'text/event-stream');
    if (connections === 1) {
      sendEvent(response, makeEvent(4, 'one'));
      sendEvent(response, makeEvent(7, 'two'));
      response.write('id: 8\ndata: {"id":8', () => response.destroy());
    } else if (connections === 2) {
      problem('unavailable', 'It starts.')(response, asked);
    } else {
      sendEvent(response, makeEvent(7, 'two'));
      sendEvent(response, makeEvent(8, 'three'));
      response.end('event: gone\ndata: {}\n\n');
    }
  });
  let interruptions = 0;
  const following = followEvents(Client.onThisMachine(server.folder), 'demo-7f3k', {
    after: 3,
    signal,
    onInterruption: () => (interruptions += 1),
  });
  const messages = (await Array.fromAsync(following)).map((event) => event.message);
  assert.deepEqual(messages, ['one', 'two', 'three']);
  assert.deepEqual(
    server.asked.map(({ query }) => query.get('after')),
    ['3', '7', '7'],
  );
  assert.equal(interruptions, 2);
});

test('following ends when the environment is gone, and fails at once where it never was', async () => {
  await using server = await ServerDouble.start();
  const client = Client.onThisMachine(server.folder);
  await assert.rejects(Array.fromAsync(followEvents(client, 'demo-7f3k', { after: 0, signal })), {
    exitCode: 4,
  });

  server.answers.set(`GET ${path}`, (response) => {
    server.answers.delete(`GET ${path}`);
    sendEvent(response, makeEvent(1, 'last words'));
    response.end();
  });
  const events = await Array.fromAsync(followEvents(client, 'demo-7f3k', { after: 0, signal }));
  assert.equal(events.length, 1);
});

test('the last event is found over all pages', async () => {
  await using server = await ServerDouble.start();
  server.answers.set(`GET ${path}`, (response, { query }) => {
    const after = Number(query.get('after'));
    const last = Math.min(after + Number(query.get('limit')), 2345);
    const items = Array.from({ length: last - after }, (_, index) => makeEvent(after + index + 1, 'x'));
    response.end(JSON.stringify({ items, next_cursor: last < 2345 ? String(last) : null }));
  });
  assert.equal(await lastEventId(Client.onThisMachine(server.folder), 'demo-7f3k'), 2345);
});
