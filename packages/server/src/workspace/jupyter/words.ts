/** The words of JupyterLab's own pages: while it is being started, and where it cannot be had. */
import type { Language } from '../../devices/words.ts';

export interface Words {
  starting: string;
  startingHint: string;
  seconds: string;
  tooLong: string;
  open: string;
  openHint: string;
  openButton: string;
  again: string;
  /** By code of the error; `other` for all else. */
  titles: Record<string, string> & { other: string };
}

export const words: Record<Language, Words> = {
  en: {
    starting: 'Opening JupyterLab of {environment}',
    startingHint: 'It opens here by itself.',
    seconds: '{seconds} s',
    tooLong: 'This page has lost its server. Load it again.',
    open: 'Open JupyterLab of {environment}?',
    openHint: 'You came here from another page. Go on if you meant to.',
    openButton: 'Open JupyterLab',
    again: 'Open it again',
    titles: {
      not_let_in: 'You are not let in from here',
      wrong_state: 'The environment is not running',
      jupyter_missing: 'This environment has no JupyterLab',
      jupyter_failed: 'JupyterLab does not answer',
      jupyter_entrance: 'The way in is not open any more',
      jupyter_not_served: 'JupyterLab is not served here',
      not_found: 'There is no such environment',
      forbidden: 'That is not allowed',
      unavailable: 'That is not to be had just now',
      other: 'JupyterLab could not be opened',
    },
  },
  zh: {
    starting: '正在打开 {environment} 的 JupyterLab',
    startingHint: '就绪后会在此页自动打开。',
    seconds: '{seconds} 秒',
    tooLong: '此页面与服务器的连接已断开，请重新加载。',
    open: '要打开 {environment} 的 JupyterLab 吗？',
    openHint: '您是从其他页面跳转过来的。如果这是您的本意，请继续。',
    openButton: '打开 JupyterLab',
    again: '重新打开',
    titles: {
      not_let_in: '不允许从此处进入',
      wrong_state: '环境未在运行',
      jupyter_missing: '此环境没有安装 JupyterLab',
      jupyter_failed: 'JupyterLab 没有响应',
      jupyter_entrance: '入口已失效',
      jupyter_not_served: '此处未提供 JupyterLab',
      not_found: '没有这个环境',
      forbidden: '不允许此操作',
      unavailable: '暂时不可用',
      other: '无法打开 JupyterLab',
    },
  },
};
