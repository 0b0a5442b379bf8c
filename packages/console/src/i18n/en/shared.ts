/** What several pages say. */
export const shared = {
  adminsOnly: {
    title: 'For administrators',
    what: 'Only administrators see this page',
    why: 'You are signed in as {{account}}, who is none. Ask an administrator of this Berth for what you need.',
  },
  filter: {
    clear: 'Clear the filters',
    narrow: 'Filter',
    narrowed: 'Filtered',
    period: 'Period',
    always: 'At any time',
    own: 'From … to …',
    since: 'From',
    until: 'To',
    spans: { '1h': 'Last hour', '24h': 'Last 24 hours', '7d': 'Last 7 days', '30d': 'Last 30 days' },
    customer: 'Customer',
    environment: 'Environment',
    everyCustomer: 'Every customer',
    nothing: 'Nothing fits',
    nothingWhat: 'Take a filter away, or choose a longer period.',
  },
} as const;
