/** What an environment uses. */
export const usage = {
  title: 'Resources',
  what: 'What it uses of what it has.',
  range: 'Over how long',
  ranges: { hour: 'An hour', day: 'A day' },
  nothing: 'Nothing is measured',
  nothingYet: 'The first figures come about 20 seconds after it started.',
  notRunning: 'It does not run.',
  names: {
    cpu: 'CPU cores',
    memory: 'Memory',
    gpu: 'GPU',
    gpuMemory: 'GPU memory',
    disk: 'Disk',
    network: 'Network',
  },
  none: '–',
  ofLimit: '{{value}} of {{limit}}',
  inOut: '{{in}} in, {{out}} out',
  highest: 'at most {{value}}',
  curveOf: 'Curve: {{what}}',
} as const;
