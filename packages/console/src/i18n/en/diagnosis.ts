/** The diagnosis of an environment. What it finds is in the contract's catalogues. */
export const diagnosis = {
  title: 'Why nobody gets in',
  what: 'Berth looks at everything between a person and a shell in here: machine, container, ports, firewall, allowlist, lockouts, password and keys.',
  source: 'For the address',
  sourceOwn: "this browser's own",
  ask: 'Diagnose',
  well: 'Nothing is wrong.',
  problems_one: '{{count}} problem',
  problems_other: '{{count}} problems',
  for: 'Looked at for {{source}}.',
  all_one: 'Everything that was looked at ({{count}})',
  all_other: 'Everything that was looked at ({{count}})',
  atFailure: 'Found before it was cleaned up',
  output: 'What your SSH client printed',
  outputWhat:
    'It is explained in this browser and sent nowhere. What "ssh -v" prints says most; PuTTY, dropbear and the log of Remote-SSH are read too.',
  paste: 'Output of the client',
  pasteLike: 'Paste what {{command}} printed',
  nothingKnown: 'Nothing in it is known here. Have the client say more, as with: ssh -v',
  otherPlace: 'It went to a place that is not this environment.',
  askWith: 'Diagnose with the key that it offered',
  verdicts: { ok: 'in order', problem: 'problem', unknown: 'cannot be told', skipped: 'not looked at' },
} as const;
