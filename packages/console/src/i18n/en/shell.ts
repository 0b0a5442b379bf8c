/** What stands around every page. */
export const shell = {
  shell: {
    bar: 'Berth',
    skip: 'Skip to the content',
    menu: 'Open the navigation',
    pages: 'Pages',
    find: 'Go to …',
    silent:
      'Berth has not answered since {{since}}. What you see is how things were then; it goes on by itself.',
    signOut: 'Sign out',
    language: 'Language',
    colorScheme: 'Appearance',
    colorSchemes: { auto: 'As the system', light: 'Light', dark: 'Dark' },
  },
  places: {
    groups: { work: 'Work', access: 'Access', administration: 'Administration', mine: 'Yours' },
    environments: 'Environments',
    connections: 'Connections',
    images: 'Images',
    datasets: 'Data sets',
    sshKeys: 'SSH keys',
    sshAuthorities: 'SSH authorities',
    allowlist: 'Allowlist',
    lockouts: 'Lockouts',
    ports: 'Ports',
    quotas: 'Quotas',
    customers: 'Customers',
    accounts: 'Accounts',
    audit: 'Audit log',
    settings: 'Settings',
    health: 'Health',
    keptStorage: 'Kept files',
    account: 'Account',
  },
  palette: {
    placeholder: 'A page, or the name of an environment',
    pages: 'Pages',
    nothing: 'Nothing is called “{{query}}”.',
  },
  notFound: {
    title: 'No such page',
    what: 'There is nothing at this address.',
    back: 'To the environments',
  },
  failed: {
    title: 'This page could not be shown',
  },
} as const;
