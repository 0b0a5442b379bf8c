import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renameUser } from './hand-over.ts';

const passwd = `root:x:0:0:root:/root:/bin/bash
games:x:5:60:games:/usr/games:/usr/sbin/nologin
ubuntu:x:1000:1000:Ubuntu,,,:/home/ubuntu:/bin/zsh
`;
const group = `root:x:0:
audio:x:29:pulse,ubuntu,ubuntus
ubuntu:x:1000:
`;

test('the user with the id 1000 and his group get the name, and nothing else changes', () => {
  assert.deepEqual(renameUser({ passwd, group }, 'user42'), {
    passwd: passwd.replace(
      'ubuntu:x:1000:1000:Ubuntu,,,:/home/ubuntu',
      'user42:x:1000:1000:Ubuntu,,,:/home/user42',
    ),
    group: group
      .replace('ubuntu:x:1000', 'user42:x:1000')
      .replace('pulse,ubuntu,ubuntus', 'pulse,user42,ubuntus'),
  });
});

test('nothing is done where the user has the name, where it is another account’s, and where there is no user', () => {
  assert.equal(renameUser({ passwd, group }, 'ubuntu'), null);
  assert.equal(renameUser({ passwd, group }, 'games'), null);
  assert.equal(renameUser({ passwd: 'root:x:0:0:root:/root:/bin/bash\n', group }, 'user42'), null);
  assert.equal(renameUser({ passwd: '', group: '' }, 'user42'), null);
});

test('a group of the user’s name with another id is another group', () => {
  const other = renameUser({ passwd, group: 'ubuntu:x:2000:\nusers:x:1000:\n' }, 'user42');
  assert.equal(other?.group, 'ubuntu:x:2000:\nusers:x:1000:\n');
});
