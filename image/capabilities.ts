export const sshdCapabilities: readonly string[] = [
  'SETUID',
  'SETGID',
  'SYS_CHROOT',
  'CHOWN',
  'KILL',
  'DAC_OVERRIDE',
];
export const sudoCapabilities: readonly string[] = [
  ...sshdCapabilities,
  'FOWNER',
  'FSETID',
  'SETPCAP',
  'SETFCAP',
  'NET_BIND_SERVICE',
  'AUDIT_WRITE',
];
