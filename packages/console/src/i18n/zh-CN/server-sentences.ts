/**
 * What the server says of environments and of requests that it refuses, in Chinese: timelines, notes, causes, cures. Its
 * sentences are English; here each stands with its holes. One that is not here is shown as it came.
 */
export const serverSentences: readonly (readonly [english: string, chinese: string])[] = [
  // The timeline.
  ['{who} asked for it.', '{who} 请求创建。'],
  ['{who} asked: start.', '{who} 请求启动。'],
  ['{who} asked: stop.', '{who} 请求停止。'],
  ['{who} asked: restart.', '{who} 请求重启。'],
  ['{who} asked: delete.', '{who} 请求删除。'],
  ['{who} asked: {what}.', '{who} 请求修改：{what}。'],
  ['It takes over the files of {id}.', '接管 {id} 的文件。'],
  ['Its files are those of {id} now.', '其文件现由 {id} 使用。'],
  ['Port {port} is its own.', '分配独立端口 {port}。'],
  ['Port {port} was released.', '端口 {port} 已释放。'],
  [
    'Port {port} was passed over: another program on this host holds it.',
    '跳过端口 {port}：已被本机其他程序占用。',
  ],
  [
    'Ports {ports} were passed over: another program on this host holds them.',
    '跳过端口 {ports}：已被本机其他程序占用。',
  ],
  ['It goes without an own port.', '未分配独立端口。'],
  ['Looking for its image.', '查找镜像。'],
  ['pulling the image {image}', '正在拉取镜像 {image}'],
  ['Making its folders that last.', '创建持久化目录。'],
  ['Starting its container.', '启动容器。'],
  ['Stopping its container.', '停止容器。'],
  ['Waiting for its sshd to answer.', '等待 sshd 响应。'],
  ['Running: ssh answered after {seconds} s.', '运行中：{seconds} 秒后 SSH 就绪。'],
  ['Stopped after {seconds} s; its files stay.', '已停止，用时 {seconds} 秒；文件已保留。'],
  ['Removing its container and its files.', '删除容器及其文件。'],
  ['Removing its container; its files are kept.', '删除容器，保留文件。'],
  [
    'Deleted after {seconds} s; nothing is left but this history.',
    '已删除，用时 {seconds} 秒；仅保留此历史记录。',
  ],
  [
    'Deleted after {seconds} s; its files and this history are left.',
    '已删除，用时 {seconds} 秒；文件和此历史记录已保留。',
  ],
  [
    'The files that were kept are removed; nothing is left but this history.',
    '保留的文件已删除，仅保留此历史记录。',
  ],
  [
    'Its container was removed outside of Berth; it is made again.',
    '容器在 Berth 之外被删除，正在重新创建。',
  ],
  ['Its container was started again outside of Berth.', '容器在 Berth 之外被重新启动。'],
  ['Its container ran out of memory and ended; it is started again.', '容器因内存不足退出，正在重新启动。'],
  [
    'Its container was stopped outside of Berth (exit code {code}); it is started again.',
    '容器在 Berth 之外被停止（退出码 {code}），正在重新启动。',
  ],
  [
    'Its container was stopped outside of Berth; it is started again.',
    '容器在 Berth 之外被停止，正在重新启动。',
  ],
  ['Trying again.', '正在重试。'],
  ['Its files and its port were kept.', '文件和端口均已保留。'],
  ['The files that it took over were kept.', '接管的文件已保留。'],
  ['Nothing was left behind.', '没有遗留任何内容。'],
  ['Its password will be replaced on {day}.', '密码将于 {day} 自动更换。'],
  ['Its password was replaced after {days} days.', '密码已在使用 {days} 天后更换。'],

  // Notes.
  [
    'It asks for {asked} cores; the machine has {has}, which it may use.',
    '请求 {asked} 核，而主机只有 {has} 核，可全部使用。',
  ],
  [
    'The limit of {storage} GiB of storage is not held to on this host.',
    '本机无法强制执行 {storage} GiB 的存储上限。',
  ],
  [
    'Its folders keep the {size} GiB that they were made with; {runtime} cannot change that.',
    '目录仍为创建时的 {size} GiB，{runtime} 无法更改。',
  ],
  [
    'From the next start its own port is served by the gateway; port and host key stay.',
    '下次启动后独立端口由网关提供，端口和主机密钥不变。',
  ],
  [
    'From the next start its own port is served by the container itself; port and host key stay.',
    '下次启动后独立端口由容器自身提供，端口和主机密钥不变。',
  ],
  [
    'Passwords are switched off for all environments of its customer: only keys get in.',
    '该客户的全部环境已关闭密码登录，只能使用密钥。',
  ],
  ['Its password is switched off: only keys get in.', '密码登录已关闭，只能使用密钥。'],

  // Why one did not start, and what helps.
  ['The image {image} is no longer in the catalogue.', '镜像 {image} 已不在目录中。'],
  ['Create the environment again with another image.', '请使用其他镜像重新创建环境。'],
  [
    'The image {image} is not on this host and cannot be pulled ({why}).',
    '本机没有镜像 {image}，且无法拉取（{why}）。',
  ],
  ['The image is not on this host and cannot be pulled ({why}).', '本机没有该镜像，且无法拉取（{why}）。'],
  [
    'Check its reference, or bring it with "docker pull" or "docker load".',
    '请检查镜像引用，或用 "docker pull"、"docker load" 导入。',
  ],
  [
    'Check its reference, or pull it by hand with "docker pull".',
    '请检查镜像引用，或用 "docker pull" 手动拉取。',
  ],
  ['No environment image is set.', '未设置环境镜像。'],
  [
    'Start Berth with "npx berth up", which builds it, or set environmentImage.',
    '请用 "npx berth up" 启动 Berth（会自动构建），或设置 environmentImage。',
  ],
  ['The port is held by another program ({why}).', '端口被其他程序占用（{why}）。'],
  ['Free the port, or let Berth choose another.', '请释放端口，或让 Berth 另选一个。'],
  [
    'This host gives no GPU to containers: the engine has no NVIDIA device driver.',
    '本机无法为容器提供 GPU：容器引擎没有 NVIDIA 驱动。',
  ],
  [
    'Install the NVIDIA driver and the NVIDIA Container Toolkit, or start the environment with gpu 0.',
    '请安装 NVIDIA 驱动和 NVIDIA Container Toolkit，或将 GPU 设为 0 后启动。',
  ],
  ['The disk of this host is full.', '本机磁盘已满。'],
  [
    'Free space (see "docker system df"), then start the environment again.',
    '请清理空间（参见 "docker system df"），然后重新启动环境。',
  ],
  ['Docker does not answer.', 'Docker 没有响应。'],
  ['Docker refuses while {doing}: {why}.', 'Docker 拒绝了操作（{doing}）：{why}。'],
  ['Docker failed while {doing}: {why}.', 'Docker 操作失败（{doing}）：{why}。'],
  ['Change the resources of the environment and start it again.', '请调整环境的资源后重新启动。'],
  [
    'Look at the log of the Docker daemon, then start the environment again.',
    '请查看 Docker 守护进程的日志，然后重新启动环境。',
  ],
  ['Its sshd did not answer in time: {why}.', 'sshd 未在限定时间内响应：{why}。'],
  ['Look at its log, then start it again.', '请查看日志，然后重新启动。'],
  ['Its container was removed while it started.', '容器在启动过程中被删除。'],
  ['Start it again.', '请重新启动。'],
  ['Its container ran out of memory while it started.', '容器在启动过程中内存不足。'],
  ['Give it more memory and start it again.', '请增加内存后重新启动。'],
  [
    'Its container ended with exit code {code}; its log ends with: {line}.',
    '容器已退出（退出码 {code}），日志最后一行：{line}。',
  ],
  ['Its container ended with exit code {code}.', '容器已退出（退出码 {code}）。'],
  ['Berth made a mistake.', 'Berth 内部错误。'],
  ["Look into Berth's log, then start it again.", '请查看 Berth 日志，然后重新启动。'],
  ['The data set {name} cannot be mounted: {why}.', '数据集 {name} 无法挂载：{why}。'],

  // Requests that were refused.
  ['name: must hold more than spaces.', '名称不能只包含空格。'],
  ['name: {name} is the name of {id}.', '名称 {name} 已被 {id} 使用。'],
  [
    '{limit}: the limit of {most} {unit} is reached: {used} in use, {asked} asked for.',
    '{limit}：配额上限 {most} {unit}，已用 {used}，请求 {asked}。',
  ],
  [
    'None of the {count} ports {range} is left: {used} in use, {resting} resting, {held} held by other programs.',
    '{count} 个端口（{range}）已全部用完：{used} 个使用中，{resting} 个冷却中，{held} 个被其他程序占用。',
  ],
  [
    'resources.storage: is {after} and must be >= {before}: files may be there already, so storage can only grow.',
    '存储为 {after}，不能小于 {before}：其中可能已有文件，只能扩容。',
  ],
  ['The environment {id} is being deleted.', '环境 {id} 正在删除。'],
  [
    'The environment {id} is {status}; only a running one can be restarted.',
    '环境 {id} 当前为 {status}，只有运行中的环境才能重启。',
  ],
  ['There is no environment {id}.', '环境 {id} 不存在。'],
  ['network: {network} is in the allowlist already.', '{network} 已在白名单中。'],
  ['image: there is no image {name}; there are: {names}.', '镜像 {name} 不存在；可用镜像：{names}。'],
  ['datasets: there is no data set {name}.', '数据集 {name} 不存在。'],
  ['new: the password does not do: {faults}.', '密码不符合要求：{faults}。'],
  [
    '{count} wrong passwords within five minutes for this account came from this address; it may try again in {seconds} seconds.',
    '该地址在五分钟内对此账号输错密码 {count} 次，请在 {seconds} 秒后重试。',
  ],
  [
    '{count} wrong passwords within five minutes for any account came from this address; it may try again in {seconds} seconds.',
    '该地址在五分钟内输错密码 {count} 次，请在 {seconds} 秒后重试。',
  ],
  [
    'Only an administrator may do that; {account} is a member.',
    '只有管理员可以执行此操作，{account} 是普通成员。',
  ],

  // What helps, as the catalogue of errors has it.
  ['Correct the named field and send the request again.', '请修正所指字段后重试。'],
  ['Ask an administrator of this Berth.', '请联系本 Berth 的管理员。'],
  ['Check the id; GET on the list shows what there is.', '请检查 ID，列表中可以看到现有内容。'],
  [
    'Stop or delete an environment, or ask an administrator for a higher limit.',
    '请停止或删除一个环境，或联系管理员提高配额。',
  ],
  ['Choose another name, or delete the thing that has it.', '请换一个名称，或删除占用它的对象。'],
  ['Wait for the current step to end, or delete the environment.', '请等待当前步骤结束，或删除环境。'],
  ['Nothing to do: who is in it gets in already.', '无需操作：该网段已经可以访问。'],
  [
    'Remove some, or put one larger network in the place of several.',
    '请移除部分条目，或用更大的网段代替多个网段。',
  ],
  ['Remove what uses it first; the answer names it.', '请先移除使用它的对象。'],
  ['Choose one as the answer says.', '请按提示重新设置。'],
  ['Use one that the list shows.', '请使用列表中的对象。'],
  ['Use one of the images that the answer names.', '请使用上述镜像之一。'],
  ['Wait as long as the header Retry-After says.', '请稍后重试。'],
  ["Look for the request's id in Berth's log and report it.", '请在 Berth 日志中查找该请求的 ID 并报告。'],
  [
    'Delete an environment, widen portRange, or create it with "own_port": "auto" or "no".',
    '请删除一个环境、扩大 portRange，或不分配独立端口。',
  ],
  [
    'Start the engine ("systemctl start docker"); Berth goes on by itself once it answers.',
    '请启动容器引擎（"systemctl start docker"），恢复后 Berth 会自动继续。',
  ],
  ['Try again in a few seconds.', '请过几秒再试。'],
  ['Wait until it is running.', '请等待它运行起来。'],
  ['Start it instead.', '请改为启动。'],
  ['Create a new one.', '请新建一个。'],
  [
    'Choose one of at least {count} characters with {classes}.',
    '请设置至少 {count} 个字符的密码，并包含：{classes}。',
  ],
  ['Choose one of at least {count} characters.', '请设置至少 {count} 个字符的密码。'],
];
