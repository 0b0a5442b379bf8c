export const signIn = {
  title: '登录 Berth',
  account: '账号',
  password: '密码',
  showPassword: '显示或隐藏密码',
  action: '登录',
  wrong: '账号或密码错误。',
  firstTime: '刚刚安装 Berth？',
  firstTimeHow:
    '账号为 <code>admin</code>，初始密码保存在运行 Berth 的机器上，位于数据目录的 <code>admin-password</code> 文件中；<code>berth up</code> 会打印它的位置。',
  api: 'API 文档',
};
