/**
 * The Linux capabilities (capabilities(7)) that the environment image needs beside `--cap-drop ALL`. Each was found
 * by leaving it out and trying every way in. Only root in the container holds them: sshd, the entrypoint and, with
 * sudo on, what people run through sudo. A session without sudo has none.
 */

/** For an environment without sudo, together with no-new-privileges. */
export const sshdCapabilities: readonly string[] = [
  'SETUID', // sshd becomes its unprivileged self before authentication and the user after it
  'SETGID', // the same for groups
  'SYS_CHROOT', // sshd locks the process that speaks before authentication into /run/sshd
  'CHOWN', // the terminal, /etc/shadow's successor and fresh volumes get their owner
  'KILL', // processes of the user get their TERM when the environment stops
  'AUDIT_WRITE', // Debian's sshd ends a session that gets a terminal when it cannot write the login's audit record
  'DAC_OVERRIDE', // the files at /etc/berth may belong to the user that Berth runs as, mode 0600
  'NET_BIND_SERVICE', // port 22, where the runtime does not open low ports to everyone as Docker does
];

/** For an environment with sudo: what installing packages needs as well. No privilege over the network or devices. */
export const sudoCapabilities: readonly string[] = [
  ...sshdCapabilities,
  'FOWNER', // apt and dpkg change the mode of files that already belong to another account
  'FSETID', // dpkg keeps a set-group-ID bit on a file of a group that root is not in
  'SETFCAP', // packages that give a program a file capability
];
