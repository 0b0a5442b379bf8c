#!/usr/bin/env node
/**
 * What ssh runs as SSH_ASKPASS after `berth ssh --password`: asks Berth for the password of the environment
 * that BERTH_ASKPASS_ENVIRONMENT names, so that the password lies in no file, argument or variable.
 */
process.argv.splice(2, Infinity, 'ssh-password', process.env.BERTH_ASKPASS_ENVIRONMENT ?? '');
await import('./berth.mjs');
