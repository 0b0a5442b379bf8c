// The page /device in the browser: sign in, compare the code, approve or refuse. See ../page.ts.
'use strict';

const { paths, words } = JSON.parse(document.getElementById('data').textContent);
const element = (id) => document.getElementById(id);
const steps = ['sign-in', 'ask', 'decide', 'end'];
let account = null;

/** Shows one step, and puts the keyboard where it goes on. */
function show(step, focus) {
  for (const each of steps) element(each).hidden = each !== step;
  element('who').hidden = account === null || step === 'end';
  element('who-is').textContent = words.signedInAs.replace('{account}', account ?? '');
  element(focus).focus();
}

function say(text) {
  element('said').textContent = text;
}

/** @returns the answer's body; null when it has none. Throws its problem document. */
async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
  });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw content;
  return content;
}

/** Runs one step with its buttons off, and says what went wrong. */
async function attempt(step, work) {
  const buttons = element(step).querySelectorAll('button');
  for (const button of buttons) button.disabled = true;
  say('');
  try {
    await work();
  } catch (problem) {
    const said = {
      wrong_password: words.wrongPassword,
      rate_limited: words.rateLimited,
      not_found: words.noSuchCode,
      bad_request: step === 'sign-in' ? words.wrongPassword : words.noSuchCode,
      unauthorized: words.ended,
    };
    if (problem.code === 'unauthorized') {
      account = null;
      show('sign-in', 'account');
    } else if (problem.code === 'not_found' && step === 'decide') show('ask', 'code');
    say(
      said[problem.code] ??
        (typeof problem.detail === 'string' ? words.mayNot + problem.detail : words.unreachable),
    );
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function ask() {
  show('ask', 'code');
  if (element('code').value !== '') element('ask').requestSubmit();
}

async function look() {
  const query = new URLSearchParams({ user_code: element('code').value });
  const device = await call('GET', `${paths.approval}?${query}`);
  element('shown').textContent = device.user_code;
  element('name').textContent = device.name || words.unnamed;
  element('source').textContent = device.source ?? words.thisMachine;
  element('as').textContent = account;
  show('decide', 'shown');
}

function decide(approve) {
  return attempt('decide', async () => {
    await call('POST', paths.approval, { user_code: element('shown').textContent, approve });
    element('end').textContent = approve ? words.approved : words.refused;
    show('end', 'end');
  });
}

element('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  void attempt('sign-in', async () => {
    const password = element('password').value;
    element('password').value = '';
    ({ account } = await call('POST', paths.session, { account: element('account').value, password }));
    ask();
  });
});
element('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  void attempt('ask', look);
});
element('approve').addEventListener('click', () => void decide(true));
element('refuse').addEventListener('click', () => void decide(false));
element('sign-out').addEventListener('click', () => {
  void attempt('who', async () => {
    await call('DELETE', paths.session);
    account = null;
    show('sign-in', 'account');
  });
});

element('code').value = new URLSearchParams(location.search).get('user_code') ?? '';

async function begin() {
  try {
    ({ account } = await call('GET', paths.whoami));
  } catch {
    return show('sign-in', 'account');
  }
  ask();
}

void begin();
