/** The words of the page /device, in each of its languages. */
export interface Words {
  title: string;
  needsScript: string;
  signInFirst: string;
  account: string;
  password: string;
  signIn: string;
  codeLabel: string;
  next: string;
  compare: string;
  asks: string;
  unnamed: string;
  from: string;
  thisMachine: string;
  gets: string;
  warning: string;
  approve: string;
  refuse: string;
  approved: string;
  refused: string;
  /** `{account}` is filled in. */
  signedInAs: string;
  another: string;
  wrongPassword: string;
  rateLimited: string;
  noSuchCode: string;
  mayNot: string;
  ended: string;
  unreachable: string;
}

const en: Words = {
  title: 'Sign in from a terminal',
  needsScript: 'This page needs JavaScript. Without it, use a token: berth login --token.',
  signInFirst: 'Sign in with your Berth account. The terminal never sees your password.',
  account: 'Account',
  password: 'Password',
  signIn: 'Sign in',
  codeLabel: 'Code that your terminal shows',
  next: 'Continue',
  compare: 'Does your terminal show exactly this code?',
  asks: 'What asks',
  unnamed: 'no name given',
  from: 'From address',
  thisMachine: "Berth's own machine",
  gets: 'It may act as',
  warning: 'Approve only what you started yourself just now. If somebody sent you this code, refuse it.',
  approve: 'Approve',
  refuse: 'Refuse',
  approved: 'Approved. Your terminal is signed in within a few seconds; you can close this page.',
  refused: 'Refused. The terminal gets nothing; you can close this page.',
  signedInAs: 'Signed in as {account}.',
  another: 'Use another account',
  wrongPassword: 'Account or password is wrong.',
  rateLimited: 'Too many tries. Wait a few minutes and try again.',
  noSuchCode:
    'No sign-in waits with this code. Compare it with your terminal; it is good for ten minutes and once.',
  mayNot: 'This page may not do that here: ',
  ended: 'Your session has ended. Sign in again.',
  unreachable: 'Berth does not answer. Check the connection and try again.',
};

const zh: Words = {
  title: '从终端登录',
  needsScript: '此页面需要 JavaScript。若无法启用，请改用令牌：berth login --token。',
  signInFirst: '请使用您的 Berth 账号登录。终端不会看到您的密码。',
  account: '账号',
  password: '密码',
  signIn: '登录',
  codeLabel: '终端上显示的代码',
  next: '继续',
  compare: '您的终端上显示的正是这个代码吗？',
  asks: '请求方',
  unnamed: '未提供名称',
  from: '来源地址',
  thisMachine: 'Berth 所在的机器',
  gets: '将以此身份操作',
  warning: '只批准您自己刚刚发起的登录。如果代码是别人发给您的，请拒绝。',
  approve: '批准',
  refuse: '拒绝',
  approved: '已批准。终端将在几秒内完成登录，您可以关闭此页面。',
  refused: '已拒绝。终端不会获得任何权限，您可以关闭此页面。',
  signedInAs: '已登录为 {account}。',
  another: '换一个账号',
  wrongPassword: '账号或密码错误。',
  rateLimited: '尝试次数过多，请几分钟后再试。',
  noSuchCode: '没有等待此代码的登录请求。请与终端核对；代码十分钟内有效，且只能使用一次。',
  mayNot: '无法在此执行该操作：',
  ended: '会话已结束，请重新登录。',
  unreachable: 'Berth 没有响应。请检查网络后重试。',
};

export const words = { en, zh };
export type Language = keyof typeof words;
