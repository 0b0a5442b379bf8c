export const shared = {
  adminsOnly: {
    title: '管理员页面',
    what: '此页面仅管理员可见',
    why: '当前登录账号 {{account}} 不是管理员。如有需要，请联系本 Berth 的管理员。',
  },
  filter: {
    clear: '清除筛选',
    narrow: '筛选',
    narrowed: '已筛选',
    period: '时间范围',
    always: '全部时间',
    own: '自定义…',
    since: '开始时间',
    until: '结束时间',
    spans: { '1h': '最近 1 小时', '24h': '最近 24 小时', '7d': '最近 7 天', '30d': '最近 30 天' },
    customer: '客户',
    environment: '环境',
    everyCustomer: '全部客户',
    nothing: '没有符合条件的记录',
    nothingWhat: '请减少筛选条件，或选择更长的时间范围。',
  },
};
