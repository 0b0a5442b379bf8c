/** Lockouts and bans, and the allowlist of a customer. */
export const controls = {
  lockouts: 'Lockouts',
  views: { lockouts: 'Lockouts', bans: 'Bans' },
  lockoutsWhat:
    'Five wrong passwords in half an hour keep an address out of that environment for half an hour; from elsewhere it stays open.',
  bansWhat: 'Addresses that failed too often anywhere. From them nothing is accepted, at no environment.',
  source: 'Address',
  target: 'Environment',
  noEnvironment: 'no environment',
  failures: 'Failures',
  since: 'Since',
  until: 'Ends',
  over: 'over',
  followed: 'another followed',
  liftedBy: 'unlocked by {{account}}',
  all: 'Also those that are over',
  unlock: 'Unlock',
  unlockOf: 'Unlock {{source}} at {{target}}',
  lift: 'Lift',
  liftOf: 'Lift the ban of {{source}}',
  noLockouts: 'No address is locked out',
  noLockoutsWhat:
    'Whoever types a wrong password too often stands here, with the time left and a way to let them in.',
  noBans: 'No address is banned',
  noBansWhat: 'Whoever guesses at many environments stands here.',
  allowlistWhat:
    'Networks from which the environments of {{customer}} can be reached. An environment can have entries of its own beside these.',
  openToAll: 'Everybody can reach the environments',
  openToAllWhat:
    'With the first network in the list, nobody else gets in, on any way in. Logins are needed in any case.',
  added: 'Added',
  removeWhat: 'Whoever gets in only by it is shut out at once; connections from there end.',
  removeLast: 'It is the last one: without it the environments can be reached from everywhere.',
} as const;
