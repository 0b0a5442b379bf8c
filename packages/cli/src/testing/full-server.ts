/** A server with one of everything, on which all that can be asked succeeds. */
import { ServerDouble, json, makeEnvironment, makeEvent, makeSshAccess } from './server-double.ts';

const at = '2026-02-03T04:05:06.000Z';

function page(item: object): object {
  return { items: [item], next_cursor: null };
}

export const demo = makeEnvironment('demo', 'running');
export const key = {
  id: 3,
  name: 'laptop',
  type: 'ssh-ed25519',
  fingerprint: 'SHA256:abc',
  public_key: 'ssh-ed25519 AAAA',
  created_at: at,
  last_used_at: null,
};
const customer = {
  id: 1,
  name: 'main',
  created_at: at,
  accounts: 2,
  environments: 1,
  password_login: true,
};
const account = {
  id: 2,
  name: 'alice',
  role: 'member',
  customer_id: 1,
  customer: 'main',
  created_at: at,
  last_login_at: null,
  has_password: true,
};
const token = {
  id: 5,
  kind: 'api',
  name: 'ci',
  account_id: 2,
  account: 'alice',
  scopes: ['read'],
  hint: 'berth_abc',
  created_at: at,
  expires_at: null,
  last_used_at: null,
  current: false,
};
const quota = {
  customer_id: 1,
  customer: 'main',
  limits: { environments: 10, cpu: 16, memory: null, gpu: 0, storage: null },
  used: { environments: 1, cpu: 2, memory: 4, gpu: 0, storage: 60 },
};
const image = {
  name: 'default',
  reference: 'berth/environment:1',
  description: "Berth's own",
  default_resources: { cpu: 2 },
  customers: null,
  check: {
    usable: true,
    checked_at: at,
    findings: [
      { what: 'sshd', result: 'ok', detail: '/usr/sbin/sshd', cure: null },
      { what: 'jupyter', result: 'warning', detail: 'there is none', cure: 'Install jupyterlab.' },
    ],
  },
  created_at: at,
};
const dataset = {
  name: 'faces',
  kind: 'folder',
  source: '/srv/faces',
  read_only: true,
  description: 'Faces',
  customers: [1],
  mount_path: '/gemini/data-faces',
  environments: 0,
  created_at: at,
};
const kept = { env_id: 'old-1234', name: 'old', customer_id: 1, storage: 20, kept_since: at };
const auditRecord = {
  id: 9,
  at,
  action: 'customer.create',
  outcome: 'done',
  account: 'admin',
  customer_id: 1,
  source: '192.0.2.7',
  target: 'acme',
  detail: { name: 'acme' },
};
const port = {
  id: 1,
  external_port: 30001,
  internal_port: 2222,
  env_id: 'demo-7f3k',
  customer_id: 1,
  status: 'active',
  allocated_at: at,
  released_at: null,
};
const entry = {
  id: 4,
  customer_id: 1,
  env_id: null,
  network: '203.0.113.0/24',
  note: 'office',
  created_at: at,
};
const authority = {
  id: 4,
  customer_id: 1,
  name: 'company',
  type: 'ssh-ed25519',
  fingerprint: 'SHA256:ca',
  public_key: 'ssh-ed25519 AAAA',
  created_at: at,
};
const revocations = {
  customer_id: 1,
  list: 'U1NIS1JMCgA=',
  bytes: 44,
  version: '7',
  comment: 'lost laptops',
  updated_at: at,
};
const ban = {
  id: 6,
  source: '203.0.113.7',
  failures: 20,
  banned_at: at,
  until: '2126-02-03T04:35:06.000Z',
  cleared_at: null,
  cleared_by: null,
};
const lockout = {
  id: 7,
  target: 'demo-7f3k',
  env_id: 'demo-7f3k',
  customer_id: 1,
  source: '203.0.113.7',
  failures: 5,
  locked_at: at,
  until: '2126-02-03T04:35:06.000Z',
  cleared_at: null,
  cleared_by: null,
};
export const platform = {
  version: '0.1.0',
  installation_id: '0123456789abcdef',
  runtime: 'docker',
  database: 'pglite',
  images: [{ name: 'default', reference: 'berth/environment:1' }],
  settings: [
    { name: 'http', value: '127.0.0.1:8080', source: 'default' },
    { name: 'portRange', value: '30000-32767', source: 'default' },
    { name: 'sharedPort', value: 2222, source: 'default' },
  ],
  notes: ['Docker volumes have no size here.'],
  unclaimed: [{ kind: 'volume', name: 'old-code', env_id: 'old-1234' }],
  ports: { used: 1, resting: 0, free: 2767 },
};

/** A server with the environment `demo`, on which everything that can be asked succeeds. */
export async function fullServer(): Promise<ServerDouble> {
  const server = await ServerDouble.start();
  server.hold(demo);
  const environment = '/api/environments/demo-7f3k';
  const answers: Record<string, unknown> = {
    'POST /api/environments': { ...makeEnvironment('new', 'creating'), ssh_password: 'Secret-Enough-1' },
    [`POST ${environment}/start`]: demo,
    [`POST ${environment}/stop`]: { ...demo, status: 'stopping' },
    [`POST ${environment}/restart`]: { ...demo, status: 'restarting' },
    [`DELETE ${environment}`]: { ...demo, status: 'deleting' },
    [`GET ${environment}/ssh`]: makeSshAccess(demo),
    [`POST ${environment}/ssh/reset-password`]: { ssh_password: 'Another-One-2' },
    [`GET ${environment}/events`]: { items: [makeEvent(1, 'made')], next_cursor: null },
    'GET /api/ssh-keys': { items: [key], next_cursor: null },
    'POST /api/ssh-keys': key,
    'GET /api/ssh-authorities': page(authority),
    'POST /api/ssh-authorities': authority,
    'GET /api/ssh-revocations': revocations,
    'PUT /api/ssh-revocations': revocations,
    'GET /api/lockouts': page(lockout),
    'GET /api/bans': page(ban),
    'GET /api/ports': { items: [port], next_cursor: null },
    'GET /api/platform': platform,
    'GET /api/whoami': {
      account: 'admin',
      account_id: 1,
      role: 'admin',
      customer_id: 1,
      customer: 'main',
      scopes: ['read', 'write', 'admin'],
    },
    [`PATCH ${environment}`]: demo,
    'GET /api/storage': page(kept),
    'GET /api/customers': page(customer),
    'POST /api/customers': customer,
    'PATCH /api/customers/1': customer,
    'GET /api/accounts': page(account),
    'POST /api/accounts': { ...account, password: 'Secret-Enough-1' },
    'PATCH /api/accounts/2': account,
    'GET /api/tokens': page(token),
    'POST /api/tokens': { ...token, token: 'berth_abcdefghijklmnop' },
    'GET /api/quotas': page(quota),
    'GET /api/quotas/1': quota,
    'PUT /api/quotas/1': quota,
    'GET /api/images': page(image),
    'POST /api/images': image,
    'GET /api/images/default': image,
    'PATCH /api/images/default': image,
    'POST /api/images/default/check': image,
    'GET /api/datasets': page(dataset),
    'POST /api/datasets': dataset,
    'GET /api/datasets/faces': dataset,
    'PATCH /api/datasets/faces': dataset,
    'GET /api/allowlist': page(entry),
    'POST /api/allowlist': entry,
    'GET /api/allowlist-check': { address: null, limited: true, allowed: null, covered_by: [] },
    'GET /api/audit': page(auditRecord),
    'GET /api/audit/verify': {
      type: 'verdict',
      whole: true,
      records: 3,
      links: 1,
      unsealed: 0,
      first_at: at,
      last_at: at,
      first_link: 1,
      last_link: 1,
      last_hash: 'ab'.repeat(32),
      records_since: null,
      faults: [],
      fault_count: 0,
    },
    'GET /healthz': { status: 'ok' },
    'GET /readyz': { status: 'ready', checks: { database: 'ok', runtime: 'ok' } },
  };
  for (const [asked, document] of Object.entries(answers)) server.answers.set(asked, json(document));
  server.answers.set(`GET ${environment}/logs`, (response) => response.end('one\x1b[2J\ntwo'));
  const removable = [
    'ssh-keys/3',
    'allowlist/4',
    'ssh-authorities/4',
    'ssh-revocations',
    'lockouts/7',
    'bans/6',
    'storage/old-1234',
    'customers/1',
    'accounts/2',
    'tokens/5',
    'images/default',
    'datasets/faces',
  ];
  for (const each of removable) {
    server.answers.set(`DELETE /api/${each}`, (response) => response.writeHead(204).end());
  }
  server.answers.set('GET /metrics', (response) => response.end('berth_environments 1\n'));
  return server;
}
