export const signIn = {
  title: 'Sign in to Berth',
  account: 'Account',
  password: 'Password',
  showPassword: 'Show or hide the password',
  action: 'Sign in',
  wrong: 'No account has this name and password.',
  firstTime: 'Berth was just installed?',
  firstTimeHow:
    'The account is <code>admin</code>. Its first password is in the file <code>admin-password</code> of the data folder, on the machine that runs Berth; <code>berth up</code> names the place.',
  api: 'API documentation',
} as const;
